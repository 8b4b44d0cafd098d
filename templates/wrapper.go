package templates

import (
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

// wrapper renders the wrapper's struct and its constructor.
func (e *emitter) wrapper(w *Wrapper) {
	fields := []jen.Code{w.embedded()}
	addField := func(name, doc string, typ jen.Code) {
		fields = append(fields, jen.Line())
		for _, line := range wrap(doc) {
			fields = append(fields, jen.Comment(line))
		}
		fields = append(fields, jen.Id(name).Add(typ))
	}
	add := func(name, doc string, c *Cache) { addField(name, doc, jen.Op("*").Add(c.handleType())) }
	for _, c := range w.Caches {
		add(c.Field, c.Field+" is the cache of "+c.Func+".", c)
	}
	for _, f := range w.Foreign {
		add(f.Field, f.Field+" is the cache of "+e.reference(f.Cache)+", which methods of "+w.Type+" use.", f.Cache)
	}
	if w.InTx != "" {
		addField(w.InTx, w.InTx+" says that "+w.Type+" is bound to a transaction.", jen.Bool())
	}

	what := "a cache in front of its loaders"
	if len(w.Caches) == 0 {
		what = "methods that invalidate caches"
	}
	e.declare(withDeprecation(sentences(
		w.Name+" is "+article(w.Type)+" ["+w.Type+"] with "+what+".",
		"Methods that have nothing to do with a cache are those of "+w.Type+".",
		w.Type+"'s own methods do not see the cache: a call from inside "+w.Type+" bypasses it."), w.Deprecated),
		jen.Type().Id(w.Name).Add(typeParams(w.TypeParams)).Struct(fields...))
	e.constructor(w)
	for _, m := range w.TxMethods {
		e.txMethod(w, m)
	}
}

// reference is a cache's function as comments link to it, which may be another package's.
func (e *emitter) reference(c *Cache) string {
	if c.Path == "" || c.Path == e.file.Path {
		return reference(c.Wrapper, c.Func)
	}
	return "[" + packageName(e.file, c.Path) + "." + strings.TrimPrefix(reference(c.Wrapper, c.Func), "[")
}

// handleType is runtime.Cache[UserKey, *User].
func (c *Cache) handleType() *jen.Statement {
	return run("Cache").Types(c.key(), typ(c.Value))
}

func (e *emitter) constructor(w *Wrapper) {
	doc := w.Constructor + " wraps " + w.Param + "."
	if len(w.Caches)+len(w.Foreign) == 0 {
		stores := e.scope().use(w.Param, w.Receiver, w.Type, w.Name).local("stores")
		e.construct(w, doc+" Its methods use caches that [BindCaches] binds; "+stores+" is not used and the error is nil.",
			[]jen.Code{jen.Id(stores).Add(run("Stores"))}, jen.Return(w.fresh(), jen.Nil()))
		return
	}
	scope := e.scope().use(w.Param, w.Receiver, w.Type, w.Name)
	for _, f := range w.Foreign {
		if f.Source != nil {
			scope.mention(f.Source.Type)
		}
	}
	stores, within, err := scope.local("stores"), scope.local("within"), scope.local("err")
	body := []jen.Code{jen.Id(w.Receiver).Op(":=").Add(w.fresh())}
	var opens []jen.Code
	open := func(how, field string, c *Cache, source ...jen.Code) {
		opens = append(opens, gen(how).Call(args([]jen.Code{jen.Op("&").Id(w.Receiver).Dot(field), c.define()}, source...)...))
	}
	for _, c := range w.Caches {
		open("Source", c.Field, c, jen.Id(w.Param))
	}
	variables := map[string]string{} // by the expression of what they hold
	for _, f := range w.Foreign {
		if f.Source == nil || f.Cache.ManySources {
			open("Handle", f.Field, f.Cache)
			continue
		}
		from := f.Source
		if variables[from.Expr] == "" {
			variables[from.Expr] = scope.local(from.Name, "embedded")
			variable := jen.Id(variables[from.Expr])
			body = append(body, jen.Var().Add(variable).Add(typ(from.Type)),
				jen.If(noneNil(from.NonNil)).Block(jen.Add(variable).Op("=").Id(from.Expr)))
		}
		open("Embedded", f.Field, f.Cache, jen.Id(variables[from.Expr]))
	}
	perLine := jen.Options{Open: "(" + stores + ", " + within + ",", Close: ")", Separator: ",", Multi: true}
	body = append(body,
		jen.Id(err).Op(":=").Add(gen("OpenAll")).Custom(perLine, opens...),
		jen.If(jen.Id(err).Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Id(err))),
		jen.Return(jen.Id(w.Receiver), jen.Nil()))
	e.construct(w, w.constructorDoc(stores, within),
		[]jen.Code{jen.Id(stores).Add(run("Stores")), jen.Id(within).Op("...").Add(run("Within"))}, body...)
}

// constructorDoc is the comment of a constructor that opens caches.
func (w *Wrapper) constructorDoc(stores, within string) string {
	doc := w.Constructor + " wraps " + w.Param + " with caches of " + stores + ", inside the namespaces that " + within +
		" names. It fails if " + stores + " lacks a store that a method names, "
	contradict := "if its options contradict those of a method"
	if !slices.ContainsFunc(w.Caches, func(c *Cache) bool { return !c.ManySources }) &&
		!slices.ContainsFunc(w.Foreign, func(f ForeignCache) bool { return f.Source != nil && !f.Cache.ManySources }) {
		return doc + "or " + contradict + "."
	}
	return doc + contradict + ", or if another " + w.Type + " has these caches already: give each a [runtime.Within] of its own."
}

// construct renders the constructor.
func (e *emitter) construct(w *Wrapper, doc string, params []jen.Code, body ...jen.Code) {
	e.declare(withDeprecation(doc, w.Deprecated), jen.Func().Id(w.Constructor).Add(typeParams(w.TypeParams)).
		Params(args([]jen.Code{jen.Id(w.Param).Add(w.embedded())}, params...)...).
		Params(jen.Op("*").Add(w.name()), jen.Error()).
		Block(body...))
}

// fresh is a wrapper without caches: &CachedUserRepo{UserRepo: repo}.
func (w *Wrapper) fresh() *jen.Statement {
	return jen.Op("&").Add(w.name()).Values(jen.Id(w.Type + ":").Id(w.Param))
}
