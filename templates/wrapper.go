package templates

import (
	"strings"

	"github.com/dave/jennifer/jen"
)

// wrapper renders the wrapper's struct and its constructor.
func (e *emitter) wrapper(w *Wrapper) {
	fields := []jen.Code{w.embedded()}
	add := func(name, doc string, c *Cache) {
		fields = append(fields, jen.Line())
		for _, line := range wrap(doc) {
			fields = append(fields, jen.Comment(line))
		}
		fields = append(fields, jen.Id(name).Op("*").Add(c.handleType()))
	}
	for _, c := range w.Caches {
		add(c.Field, c.Field+" is the cache of "+c.Func+".", c)
	}
	for _, f := range w.Foreign {
		add(f.Field, f.Field+" is the cache of "+e.reference(f.Cache)+", which methods of "+w.Type+" use.", f.Cache)
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
	scope := e.scope().use(w.Param, w.Receiver, w.Type, w.Name)
	stores, err := scope.local("stores"), scope.local("err")

	fresh := jen.Op("&").Add(w.name()).Values(jen.Id(w.Type + ":").Id(w.Param))
	doc := w.Constructor + " wraps " + w.Param + " with caches of " + stores + ". It fails if " + stores +
		" lacks a store that a method names, or if its options contradict those of a method."
	var body []jen.Code
	open := func(field string, c *Cache) {
		body = append(body, jen.If(
			jen.List(jen.Id(w.Receiver).Dot(field), jen.Id(err)).Op("=").Add(gen("Open")).Add(c.cacheTypes()).Call(jen.Id(stores), c.define()),
			jen.Id(err).Op("!=").Nil(),
		).Block(jen.Return(jen.Nil(), jen.Id(err))))
	}
	for _, c := range w.Caches {
		open(c.Field, c)
	}
	for _, f := range w.Foreign {
		open(f.Field, f.Cache)
	}
	if len(body) == 0 {
		doc = w.Constructor + " wraps " + w.Param + ". Its methods use caches that [BindCaches] binds; " + stores + " is not used and the error is nil."
		body = []jen.Code{jen.Return(fresh, jen.Nil())}
	} else {
		body = append([]jen.Code{
			jen.Id(w.Receiver).Op(":=").Add(fresh),
			jen.Var().Id(err).Error(),
		}, body...)
		body = append(body, jen.Return(jen.Id(w.Receiver), jen.Nil()))
	}
	e.declare(withDeprecation(doc, w.Deprecated), jen.Func().Id(w.Constructor).Add(typeParams(w.TypeParams)).
		Params(jen.Id(w.Param).Add(w.embedded()), jen.Id(stores).Add(run("Stores"))).
		Params(jen.Op("*").Add(w.name()), jen.Error()).
		Block(body...))
}
