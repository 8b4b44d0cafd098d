package templates

import (
	"cmp"

	"github.com/dave/jennifer/jen"
)

// plain renders everything about functions without a receiver.
func (e *emitter) plain() {
	for _, c := range e.file.Caches {
		if c.Wrapper == nil {
			e.keyType(c)
		}
	}
	for _, c := range e.file.Caches {
		switch {
		case c.Wrapper != nil:
		case len(c.TypeParams) > 0:
			e.instances(c)
		default:
			e.declare(c.Variable+" is the cache of "+reference(nil, c.Func)+". It works once [BindCaches] has been called.",
				jen.Var().Id(c.Variable).Op("=").Add(gen("Declare")).Add(c.cacheTypes()).Call(jen.Op("&").Add(e.describe(c, nil))))
		}
	}
	for _, h := range e.file.Handles {
		e.declare(h.Name+" reaches the cache of "+e.reference(h.Cache)+" from functions, which have no wrapper. It works once [BindCaches] has been called.",
			jen.Var().Id(h.Name).Op("=").Add(gen("Declare")).Add(h.Cache.cacheTypes()).Call(h.Cache.define()))
	}
	e.bindCaches()
	for _, c := range e.file.Caches {
		if c.Wrapper == nil {
			e.helpers(c)
		}
	}
	for _, b := range e.file.Batches {
		if b.Wrapper == nil {
			e.batch(b)
		}
	}
	for _, w := range e.file.Writers {
		if w.Wrapper == nil {
			e.writer(w)
		}
	}
}

// instances renders the caches of a generic function.
func (e *emitter) instances(c *Cache) {
	e.declare(c.Caches+" are the caches of "+reference(nil, c.Func)+", one for each list of type arguments. They work once [BindCaches] has been called.",
		jen.Var().Id(c.Caches).Add(gen("Instances")))
	scope := e.cacheScope(c)
	instance := scope.local("instance", "typeArgs")
	e.declare(c.Variable+" returns the cache for its type arguments.",
		jen.Func().Id(c.Variable).Add(typeParams(c.TypeParams)).Params().Op("*").Add(c.handleType()).Block(
			jen.Return(gen("Instance").Types(c.instanceType(), c.key(), typ(c.Value)).Call(jen.Op("&").Id(c.Caches),
				jen.Func().Params(jen.Id(instance).String()).Op("*").Add(gen("Definition")).Block(
					jen.Return(jen.Op("&").Add(e.describe(c, jen.Id(instance)))))))))
}

func (f *File) bindName() string { return cmp.Or(f.BindName, "BindCaches") }

// bindCaches renders the function that opens the caches of the package.
func (e *emitter) bindCaches() {
	if len(e.file.Bind)+len(e.file.BindInstances) == 0 {
		return
	}
	caches := []jen.Code{jen.Id("stores")}
	for _, variable := range e.file.Bind {
		caches = append(caches, jen.Id(variable).Dot("Untyped").Call())
	}
	for _, variable := range e.file.BindInstances {
		caches = append(caches, jen.Op("&").Id(variable))
	}
	body := jen.Return(gen("Bind").Call(caches...))
	if len(caches) > 2 {
		body = jen.Return(gen("Bind").Custom(callPerLine, caches...))
	}
	e.declare(`BindCaches opens the caches of this package's functions on stores. It fails if
		stores lacks a store that a function names. Before, the functions fail with
		[runtime.ErrNotBound]. A second call binds them to other stores.`,
		jen.Func().Id(e.file.bindName()).Params(jen.Id("stores").Add(run("Stores"))).Error().Block(body))
}
