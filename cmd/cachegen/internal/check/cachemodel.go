package check

import (
	"cmp"
	"go/types"
	"path/filepath"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

func (p *pack) cacheModel(c *cache, o *output) *templates.Cache {
	n, m := c.names, c.skeleton()
	*m = templates.Cache{
		Path: p.Path, TypeParams: o.typeParams(c.typeParams),
		Func: c.name(), Entity: n.entity, Article: prose(n.entity),
		Label: p.Path + "." + c.label(), Pattern: c.pattern.Text, Position: filepath.Base(c.file.Name),
		Variable: n.variable, Caches: n.caches, KeyType: n.keyType, ParseKey: n.parseKey,
		Context: c.context, NoContext: c.noContext, Params: o.params(c.params), KeyParams: o.params(c.keyParams),
		Value: o.typ(c.value()), ValueName: c.valueName, ValueNil: canBeNil(c.value()),
		HasOK: c.hasOK(), OK: c.okName, NilNotFound: c.notFound.nilValue,
		Store: c.store, Namespace: c.namespace, Shared: c.shared, Options: c.options, ValueVar: c.valueVar(), CopyFunc: c.copyFunc(),
		GetOrSet: n.getOrSet, Get: n.get, Set: n.set, Delete: n.delete, Expire: n.expire, Has: n.has, Pull: n.pull,
	}
	if c.recv != nil {
		m.Wrapper, m.Field = c.recv.model, n.field
	}
	if v := c.notFound.sentinel; v != nil {
		m.NotFound = o.object(v)
	}
	if c.foreground && m.Options.Refresh == nil {
		m.Options.Refresh = &templates.Amount{} // what the store says does not hold here
	}
	for _, o := range c.ignored {
		m.Ignored = append(m.Ignored, o.render(c.base(o)).Expr)
	}
	m.Key = templates.Key{Segments: c.segments}
	for _, f := range c.fields {
		m.Key.Fields = append(m.Key.Fields, templates.Field{
			Name: f.name, Source: f.convert(f.render(c.base(f.operand))).Expr, Type: o.typ(f.as),
			Form: f.Form, Basic: f.basic, Bits: f.bits,
		})
	}
	for _, t := range c.allTypeParams() {
		if slices.ContainsFunc(c.fields, func(f *field) bool { return mentions(f.as, t) }) {
			m.KeyTypeParams = append(m.KeyTypeParams, t.Obj().Name())
		}
	}
	m.Key.IntPrefix, m.Key.HasIntPrefix = c.intPrefix()
	for _, use := range c.keyTags {
		t := templates.TagUse{Tag: use.tag.skeleton()}
		for i, f := range use.fields {
			t.Args = append(t.Args, use.convert(i, templates.TagArg{Expr: "k." + f.name}))
		}
		m.Tags = append(m.Tags, t)
	}
	for _, use := range c.resultTags {
		t := templates.TagUse{Tag: use.tag.skeleton()}
		for i, operand := range use.operands {
			t.Args = append(t.Args, use.convert(i, operand.render(c.valueName)))
		}
		m.ResultTags = append(m.ResultTags, t)
	}
	return m
}

// convert makes an argument fit the constructor's parameter.
func (u *tagUse) convert(i int, arg templates.TagArg) templates.TagArg {
	if want := u.tag.types[i]; !types.Identical(u.operands[i].typ, want) {
		arg.Expr = want.String() + "(" + arg.Expr + ")"
	}
	return arg
}

// base is the source of an operand's root in f.
func (f *function) base(o *operand) string {
	if o.root == receiver {
		return f.recv.model.Receiver + "." + f.recv.obj.Name()
	}
	if o.of != nil {
		return o.of.name
	}
	return ""
}

// intPrefix is the text before a key's only value, where that is a number that fits
// an int64 and ends the key.
func (c *cache) intPrefix() (string, bool) {
	last := c.pattern.Segments[len(c.pattern.Segments)-1]
	if len(c.fields) != 1 || last.Value == nil || last.Before != "" || last.After != "" {
		return "", false
	}
	f := c.fields[0]
	if f.Form == templates.Int || f.Form == templates.Uint && f.bits > 0 && f.bits < 64 {
		return c.pattern.Text[:last.Offset], true
	}
	return "", false
}

func (o *output) writer(w *writer) *templates.Writer {
	m := &templates.Writer{
		Func: w.function.name(), Name: w.name, Context: w.context,
		NoContext: w.noContext, Params: o.params(w.params), Results: o.params(w.results), TypeParams: o.typeParams(w.typeParams),
	}
	if w.recv != nil {
		m.Wrapper = w.recv.model
	}
	for _, t := range w.targets {
		m.Targets = append(m.Targets, o.target(w, t))
	}
	// What is set comes after what is invalidated, whatever the directives' order:
	// an entry that carries an invalidated tag would not outlive the call.
	slices.SortStableFunc(m.Targets, func(a, b templates.Target) int {
		return cmp.Compare(setLast(a), setLast(b))
	})
	return m
}

func (o *output) target(w *writer, t *target) templates.Target {
	m := templates.Target{Verb: t.verb, Text: t.text, Namespace: t.namespace}
	switch {
	case t.tag != nil:
		m.Handle = w.handleExpr(t.handle)
		use := templates.TagUse{Tag: t.tag.tag.skeleton()}
		for i, o := range t.tag.operands {
			use.Args = append(use.Args, t.tag.convert(i, o.render(w.base(o))))
		}
		m.Tag = &use
		return m
	case t.cache == nil:
		m.Handle = w.handleExpr(t.handle)
		return m
	}
	if t.many != nil {
		m.Many, m.Element, m.ElementType = t.many.name, t.element, o.typ(t.many.Type().Underlying().(*types.Slice).Elem())
	}
	base := func(a *operand) string {
		if a.root == element {
			return t.element
		}
		return w.base(a)
	}
	if t.value != nil {
		m.Value = t.value.name
	}
	if t.remote(o.p) && t.cache.recv == nil {
		m.Cache = o.cacheOf(t.cache)
		m.Call = templates.Type{{Path: t.cache.p.Path, Text: t.function()}}
		for _, a := range t.params {
			m.Args = append(m.Args, a.render(base(a)))
		}
		return m
	}
	m.Cache, m.Handle = o.cacheOf(t.cache), w.handleExpr(t.cache)
	for i, a := range t.args {
		m.Args = append(m.Args, t.cache.fields[i].convert(a.render(base(a))))
	}
	return m
}

// function is the generated function of a plain function's cache that does what t asks.
func (t *target) function() string {
	switch n := t.cache.names; t.verb {
	case templates.Set:
		return n.set
	case templates.Expire:
		return n.expire
	default:
		return n.delete
	}
}

// handleExpr is the expression with which w reaches c.
func (w *writer) handleExpr(c *cache) string {
	switch {
	case c.recv == nil:
		return c.names.variable
	case w.recv == nil:
		return w.p.handle(w, c).name
	case c.recv == w.recv:
		return w.recv.model.Receiver + "." + c.names.field
	}
	i := slices.IndexFunc(w.recv.foreign, func(f *foreign) bool { return f.cache == c })
	return w.recv.model.Receiver + "." + w.recv.foreign[i].field
}

// bindCaches gives the first file with something that has to be bound the function that
// does it.
func (p *pack) bindCaches(outputs map[*load.File]*output) {
	var first *output
	in := func(file *load.File) *templates.File {
		if first == nil {
			first = outputs[file]
		}
		return first.file
	}
	for _, c := range p.caches {
		switch {
		case c.recv != nil:
		case c.names.caches != "":
			f := in(c.file)
			f.BindInstances = append(f.BindInstances, c.names.caches)
		default:
			f := in(c.file)
			f.Bind = append(f.Bind, c.names.variable)
		}
	}
	for _, h := range p.handles {
		f := in(h.owner.file)
		f.Bind = append(f.Bind, h.name)
	}
}

func setLast(t templates.Target) int {
	if t.Verb == templates.Set {
		return 1
	}
	return 0
}
