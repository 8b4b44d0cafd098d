package templates

import (
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
	body = append(body, touch(w, steps, scope, results)...)

	in := []jen.Code{contextParam(w.Context)}
	if w.NoContext {
		in = nil
	}
	e.declare(withDeprecation(w.doc(), w.Deprecated), method(w.Wrapper, w.TypeParams, w.Name).
		Params(args(in, declared(w.Params)...)...).
		Add(signatureOf(w.ResultNames, w.Results)).Block(body...))
}

func (e *emitter) writerScope(w *Writer) scope {
	s := e.scope().params(w.Params).params(w.Results).use(w.Context).use(paramNames(w.typeParams())...)
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

// A step is one call on a cache: for an entry, or for all tags of a verb that
// live in one store.
type step struct {
	handle string
	verb   Verb
	entry  *Target      // nil for tags
	tags   []guardedTag // of DeleteByTag and ExpireByTag
	nonNil []string     // pointers that must not be nil to take the step
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

// touch renders the calls on the caches. Every target is attempted, whatever
// became of the others.
func touch(w *Writer, steps []*step, scope scope, results func(jen.Code) jen.Code) []jen.Code {
	var body []jen.Code
	always := true
	calls := make([]jen.Code, len(steps))
	guardedBefore := make([][]jen.Code, len(steps))
	for i, s := range steps {
		before, call := s.call(w.context(), scope)
		calls[i] = call
		if len(s.nonNil) > 0 {
			always = false
			guardedBefore[i] = before
		} else {
			body = append(body, before...)
		}
	}
	switch {
	case len(steps) == 0:
		return []jen.Code{results(jen.Nil())}
	case always && len(steps) == 1:
		return append(body, results(calls[0]))
	case always:
		return append(body, results(jen.Qual("errors", "Join").Custom(callPerLine, calls...)))
	}

	// Some are behind a pointer of their own.
	errs := scope.local("errs")
	var first []jen.Code
	rest := 0
	for rest < len(steps) && len(steps[rest].nonNil) == 0 {
		first = append(first, calls[rest])
		rest++
	}
	if len(first) > 0 {
		body = append(body, jen.Id(errs).Op(":=").Index().Error().Values(first...))
	} else {
		body = append(body, jen.Var().Id(errs).Index().Error())
	}
	for i := rest; i < len(steps); i++ {
		add := jen.Id(errs).Op("=").Append(jen.Id(errs), calls[i])
		if len(steps[i].nonNil) > 0 {
			body = append(body, jen.If(noneNil(steps[i].nonNil)).Block(args(guardedBefore[i], add)...))
		} else {
			body = append(body, add)
		}
	}
	return append(body, results(jen.Qual("errors", "Join").Call(jen.Id(errs).Op("..."))))
}

// callPerLine is a call with an argument a line.
var callPerLine = jen.Options{Open: "(", Close: ")", Separator: ",", Multi: true}

// call renders the step's call, and what has to come before it.
func (s *step) call(ctx jen.Code, scope scope) (before []jen.Code, call jen.Code) {
	on := func(name string) *jen.Statement { return jen.Id(s.handle).Dot(name) }
	switch {
	case s.entry != nil && len(s.entry.Call) > 0:
		in := []jen.Code{ctx}
		for _, a := range s.entry.Args {
			in = append(in, jen.Id(a.Expr))
		}
		if s.verb == Set {
			in = append(in, jen.Id(s.entry.Value))
		}
		if s.entry.Many == "" {
			return nil, typ(s.entry.Call).Call(in...)
		}
		each := jen.Func().Params(jen.Id(s.entry.Element).Add(typ(s.entry.ElementType))).Error().Block(jen.Return(typ(s.entry.Call).Call(in...)))
		return nil, gen("Each").Call(jen.Id(s.entry.Many), each)
	case s.verb == Clear:
		return nil, on("Store").Call().Dot("Namespace").Call(jen.Lit(s.entry.Namespace)).Dot("Clear").Call(ctx)
	case s.entry != nil && s.entry.Many != "":
		name := "DeleteMany"
		if s.verb == Expire {
			name = "Expire"
		}
		return nil, on(name).Call(ctx, s.entry.keys().Op("..."))
	}
	if s.entry != nil {
		values := make([]string, len(s.entry.Args))
		for i, a := range s.entry.Args {
			values[i] = a.Expr
		}
		key := s.entry.Cache.literal(values)
		switch s.verb {
		case Set:
			return nil, on("Set").Call(ctx, key, jen.Id(s.entry.Value))
		case Expire:
			return nil, on("Expire").Call(ctx, key)
		default:
			return nil, on("Delete").Call(ctx, key)
		}
	}

	name := "DeleteByTag"
	if s.verb == Expire {
		name = "ExpireByTag"
	}
	in := []jen.Code{ctx}
	conditional := slices.ContainsFunc(s.tags, func(t guardedTag) bool { return len(t.nonNil) > 0 })
	if !conditional {
		for _, t := range s.tags {
			in = append(in, t.call)
		}
		return nil, on("Store").Call().Dot(name).Call(in...)
	}
	variable := scope.local("tags")
	return gather(variable, s.tags), on("Store").Call().Dot(name).Call(ctx, jen.Id(variable).Op("..."))
}

// keys renders the keys of a list's elements:
// gen.Keys(ids, func(id int64) UserKey { return UserKey{ID: id} }).
func (t *Target) keys() *jen.Statement {
	values := make([]string, len(t.Args))
	for i, a := range t.Args {
		values[i] = a.Expr
	}
	return gen("Keys").Call(jen.Id(t.Many), keyOf(t.Cache, t.Element, t.ElementType, values))
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
