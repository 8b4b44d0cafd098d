package templates

import "github.com/dave/jennifer/jen"

// wrapper renders the wrapper's struct and its constructor.
func (e *emitter) wrapper(w *Wrapper) {
	embedded := jen.Id(w.Type)
	if w.Pointer {
		embedded = jen.Op("*").Id(w.Type)
	}
	fields := []jen.Code{embedded}
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
		add(f.Field, f.Field+" is the cache of "+reference(f.Cache.Wrapper, f.Cache.Func)+", in which methods of "+w.Type+" invalidate entries.", f.Cache)
	}

	what := "a cache in front of its loaders"
	if len(w.Caches) == 0 {
		what = "methods that keep caches in step"
	}
	e.declare(sentences(
		w.Name+" is a ["+w.Type+"] with "+what+".",
		"Methods that have nothing to do with a cache are those of "+w.Type+".",
		w.Type+"'s own methods do not see the cache: a call from inside "+w.Type+" goes past it."),
		jen.Type().Id(w.Name).Struct(fields...))
	e.constructor(w)
}

// handleType is runtime.Cache[UserKey, *User].
func (c *Cache) handleType() *jen.Statement {
	return run("Cache").Types(jen.Id(c.KeyType), typ(c.Value))
}

func (e *emitter) constructor(w *Wrapper) {
	embedded := jen.Id(w.Type)
	if w.Pointer {
		embedded = jen.Op("*").Id(w.Type)
	}
	scope := e.scope().use(w.Param, w.Receiver, w.Type, w.Name)
	stores, err := scope.local("stores"), scope.local("err")

	fresh := jen.Op("&").Id(w.Name).Values(jen.Id(w.Type + ":").Id(w.Param))
	doc := w.Constructor + " puts caches of " + stores + " in front of " + w.Param + ". It fails if " + stores +
		" lacks a store that a method names, or if its options contradict those of a method."
	var body []jen.Code
	open := func(field string, c *Cache) {
		body = append(body, jen.If(
			jen.List(jen.Id(w.Receiver).Dot(field), jen.Id(err)).Op("=").Add(run("Open")).Call(jen.Id(stores), jen.Id(c.Variable)),
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
	e.declare(doc, jen.Func().Id(w.Constructor).
		Params(jen.Id(w.Param).Add(embedded), jen.Id(stores).Add(run("Stores"))).
		Params(jen.Op("*").Id(w.Name), jen.Error()).
		Block(body...))
}
