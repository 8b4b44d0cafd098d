package templates

import (
	"maps"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

// writer renders a function that touches its targets once the annotated one has
// succeeded.
func (e *emitter) writer(w *Writer) {
	scope := e.writerScope(w)
	err, set := "", ":="
	if n := len(w.ResultNames); n > 0 {
		scope.use(w.ResultNames...)
		err, set = w.ResultNames[n-1], "="
	} else {
		err = scope.local("err")
	}
	steps := w.steps()
	shared := sharedGuard(steps)

	call := wrapped(w.Wrapper, w.TypeParams, w.Func).Call(args(contextArg(w.Context, w.NoContext), passed(w.Params)...)...)
	results := func(last jen.Code) jen.Code { return jen.Return(args(names(w.Results), last)...) }
	var body []jen.Code
	if len(w.Results) == 0 {
		body = append(body, jen.If(jen.Id(err).Op(":=").Add(call), jen.Id(err).Op("!=").Nil()).Block(results(jen.Id(err))))
	} else {
		body = append(body,
			jen.List(args(names(w.Results), jen.Id(err))...).Op(set).Add(call),
			jen.If(jen.Id(err).Op("!=").Nil()).Block(results(jen.Id(err))))
	}
	if len(shared) > 0 {
		body = append(body, jen.If(anyNil(shared)).Block(results(jen.Nil())))
	}
	body = append(body, e.touch(w, steps, scope, results)...)

	in := []jen.Code{contextParam(w.Context)}
	if w.NoContext {
		in = nil
	}
	e.declare(withDeprecation(w.doc(), w.Deprecated), method(w.Wrapper, w.TypeParams, w.Name).
		Params(args(in, declared(w.Params)...)...).
		Add(signatureOf(w.ResultNames, w.Results)).Block(body...))
}

func (e *emitter) writerScope(w *Writer) scope {
	s := e.scope().params(w.Params).params(w.Results).use(paramNames(w.typeParams())...)
	if !w.NoContext {
		s.use(w.Context)
	}
	if w.Wrapper != nil {
		s.use(w.Wrapper.Receiver)
	}
	for _, t := range w.Targets {
		s.expr(t.Handle, t.Value).use(t.Element)
		for _, a := range t.Args {
			s.expr(a.Expr)
		}
		if t.Cache != nil {
			s.use(t.Cache.KeyType)
		}
		if t.Tag != nil {
			s.use(t.Tag.Tag.Func)
			for _, a := range t.Tag.Args {
				s.expr(a.Expr)
			}
		}
	}
	return s
}

// A step is one target of gen.Write: an entry, the entries of a list, a namespace, or all tags of
// a verb that live in one store.
type step struct {
	handle string
	verb   Verb
	entry  *Target      // nil for tags
	tags   []guardedTag // of DeleteByTag and ExpireByTag
	nonNil []string     // pointers that must not be nil to name it
}

// steps puts tags of one verb and store together, at the place of the first.
func (w *Writer) steps() []*step {
	var steps []*step
	for i := range w.Targets {
		t := &w.Targets[i]
		if t.Many != "" {
			steps = append(steps, &step{handle: t.Handle, verb: t.Verb, entry: t, nonNil: withoutElement(nonNil(t.Args), t.Element)})
			continue
		}
		if t.Tag == nil {
			steps = append(steps, &step{handle: t.Handle, verb: t.Verb, entry: t, nonNil: nonNil(t.Args)})
			continue
		}
		tag := guarded([]TagUse{*t.Tag}, nil)[0]
		at := slices.IndexFunc(steps, func(s *step) bool {
			return s.entry == nil && s.handle == t.Handle && s.verb == t.Verb
		})
		if at < 0 {
			at = len(steps)
			steps = append(steps, &step{handle: t.Handle, verb: t.Verb})
		}
		steps[at].tags = append(steps[at].tags, tag)
	}
	return steps
}

// sharedGuard takes the pointers that everything depends on out of the steps.
// With them, what every tag of a step depends on guards the step.
func sharedGuard(steps []*step) []string {
	for _, s := range steps {
		if s.entry != nil {
			continue
		}
		var pointers [][]string
		for _, t := range s.tags {
			pointers = append(pointers, t.nonNil)
		}
		s.nonNil = common(pointers)
		for i := range s.tags {
			s.tags[i].nonNil = without(s.tags[i].nonNil, s.nonNil)
		}
	}
	var pointers [][]string
	for _, s := range steps {
		pointers = append(pointers, s.nonNil)
	}
	shared := common(pointers)
	for _, s := range steps {
		s.nonNil = without(s.nonNil, shared)
	}
	return shared
}

// touch renders the call that changes what is cached: gen.Write(ctx, gen.Writer{…}, …).
func (e *emitter) touch(w *Writer, steps []*step, scope scope, results func(jen.Code) jen.Code) []jen.Code {
	if len(steps) == 0 {
		return []jen.Code{results(jen.Nil())}
	}
	head := []jen.Code{w.context(), e.writerOf(w)}
	var body, always []jen.Code
	var sometimes []*step
	for _, s := range steps {
		if len(s.nonNil) > 0 {
			sometimes = append(sometimes, s)
			continue
		}
		before, target := s.target(w, scope)
		body, always = append(body, before...), append(always, target)
	}
	if len(sometimes) == 0 {
		for _, t := range always {
			head = append(head, jen.Line().Add(t))
		}
		return append(body, results(gen("Write").Call(append(head, jen.Line())...)))
	}

	// Some are behind a pointer of their own.
	targets := scope.local("targets")
	if len(always) > 0 {
		body = append(body, jen.Id(targets).Op(":=").Index().Add(gen("Target")).Custom(itemPerLine, always...))
	} else {
		body = append(body, jen.Var().Id(targets).Index().Add(gen("Target")))
	}
	for len(sometimes) > 0 {
		guard, block, added := sometimes[0].nonNil, []jen.Code{}, []jen.Code{jen.Id(targets)}
		for len(sometimes) > 0 && slices.Equal(sometimes[0].nonNil, guard) {
			before, target := sometimes[0].target(w, scope)
			block, added = append(block, before...), append(added, target)
			sometimes = sometimes[1:]
		}
		body = append(body, jen.If(noneNil(guard)).Block(args(block, jen.Id(targets).Op("=").Add(appended(added)))...))
	}
	return append(body, results(gen("Write").Call(append(head, jen.Id(targets).Op("..."))...)))
}

// writerOf renders gen.Writer{Function: "example.com/app/users.UserRepo.Rename"}.
func (e *emitter) writerOf(w *Writer) jen.Code {
	fields := []jen.Code{field("Function", jen.Lit(w.Label))}
	if errors := w.Errors.code(); errors != nil {
		fields = append(fields, field("Errors", errors))
	}
	switch {
	case w.Collect:
		fields = append(fields, field("InTransaction", jen.True()))
	case w.Wrapper != nil && w.Wrapper.InTx != "":
		fields = append(fields, field("InTransaction", jen.Id(w.Wrapper.Receiver).Dot(w.Wrapper.InTx)))
	}
	return gen("Writer").Values(fields...)
}

// appended renders append(targets, target), with several targets a line each.
func appended(in []jen.Code) jen.Code {
	if len(in) <= 2 {
		return jen.Append(in...)
	}
	lines := []jen.Code{in[0]}
	for _, target := range in[1:] {
		lines = append(lines, jen.Line().Add(target))
	}
	return jen.Append(append(lines, jen.Line())...)
}

// itemPerLine is a literal with an element a line.
var itemPerLine = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

// callPerLine is a call with an argument a line.
var callPerLine = jen.Options{Open: "(", Close: ")", Separator: ",", Multi: true}

// target renders the step's target, and what has to come before it.
func (s *step) target(w *Writer, scope scope) (before []jen.Code, target jen.Code) {
	verb := "Delete"
	if s.verb == Expire {
		verb = "Expire"
	}
	cache := jen.Id(s.handle)
	switch t := s.entry; {
	case t != nil && len(t.Call) > 0:
		return nil, s.foreign(w, scope)
	case s.verb == Clear:
		return nil, gen("Clear").Call(cache, jen.Lit(t.Namespace))
	case t != nil && t.Many != "":
		return nil, gen(verb).Call(cache, t.keys().Op("..."))
	case t != nil:
		key := t.Cache.literal(exprs(t.Args))
		if s.verb == Set {
			return nil, gen("Set").Call(cache, key, jen.Id(t.Value))
		}
		return nil, gen(verb).Call(cache, key)
	}
	in := []jen.Code{cache}
	if !slices.ContainsFunc(s.tags, func(t guardedTag) bool { return len(t.nonNil) > 0 }) {
		for _, t := range s.tags {
			in = append(in, t.call)
		}
		return nil, gen(verb + "ByTag").Call(in...)
	}
	variable := scope.local("tags")
	return gather(variable, s.tags), gen(verb+"ByTag").Call(cache, jen.Id(variable).Op("..."))
}

// foreign renders a call of another package's function:
// gen.Call(func(ctx context.Context) error { return teams.DeleteQuota(ctx, id) }).
func (s *step) foreign(w *Writer, scope scope) jen.Code {
	t, ctx := s.entry, w.Context
	if w.NoContext {
		ctx = maps.Clone(scope).local("ctx") // known inside of the function alone
	}
	in := []jen.Code{jen.Id(ctx)}
	for _, expr := range exprs(t.Args) {
		in = append(in, jen.Id(expr))
	}
	if s.verb == Set {
		in = append(in, jen.Id(t.Value))
	}
	call := typ(t.Call).Call(in...)
	if t.Many != "" {
		each := jen.Func().Params(jen.Id(t.Element).Add(typ(t.ElementType))).Error().Block(jen.Return(call))
		call = gen("Each").Call(jen.Id(t.Many), each)
	}
	return gen("Call").Call(jen.Func().Params(contextParam(ctx)).Error().Block(jen.Return(call)))
}

func exprs(args []TagArg) []string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = a.Expr
	}
	return list
}

// keys renders the keys of a list's elements:
// gen.Keys(ids, func(id int64) UserKey { return UserKey{ID: id} }).
func (t *Target) keys() *jen.Statement {
	return gen("Keys").Call(jen.Id(t.Many), keyOf(t.Cache, t.Element, t.ElementType, exprs(t.Args)))
}

// keyOf renders func(id int64) UserKey { return UserKey{ID: id} }.
func keyOf(c *Cache, element string, elementType Type, values []string) *jen.Statement {
	return jen.Func().Params(jen.Id(element).Add(typ(elementType))).Add(c.key()).Block(jen.Return(c.literal(values)))
}

// context is the context for the caches.
func (w *Writer) context() jen.Code {
	if w.NoContext {
		return jen.Qual("context", "Background").Call()
	}
	return jen.Id(w.Context)
}

// withoutElement drops the pointers that only an element has.
func withoutElement(pointers []string, element string) []string {
	var out []string
	for _, p := range pointers {
		if p != element && !strings.HasPrefix(p, element+".") {
			out = append(out, p)
		}
	}
	return out
}
