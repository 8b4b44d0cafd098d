package templates

import "github.com/dave/jennifer/jen"

// plain renders everything about functions without a receiver.
func (e *emitter) plain() {
	for _, c := range e.file.Caches {
		if c.Wrapper == nil {
			e.keyType(c)
		}
	}
	for _, c := range e.file.Caches {
		if c.Wrapper == nil {
			e.declare(c.Variable+" is the cache of "+reference(nil, c.Func)+". It works once [BindCaches] has been called.",
				jen.Var().Id(c.Variable).Op("=").Add(run("Declare")).Call(e.describe(c)))
		}
	}
	e.bindCaches()
	for _, c := range e.file.Caches {
		if c.Wrapper == nil {
			e.helpers(c)
		}
	}
	for _, w := range e.file.Writers {
		if w.Wrapper == nil {
			e.writer(w)
		}
	}
}

// bindCaches renders the function that opens the caches of the package.
func (e *emitter) bindCaches() {
	if len(e.file.Bind) == 0 {
		return
	}
	var calls []jen.Code
	for _, c := range e.file.Bind {
		variable := c.Variable
		if c.Handle != "" {
			variable = c.Handle
		}
		calls = append(calls, jen.Id(variable).Dot("Bind").Call(jen.Id("stores")))
	}
	body := jen.Return(calls[0])
	if len(calls) > 1 {
		body = jen.Return(jen.Qual("errors", "Join").Custom(callPerLine, calls...))
	}
	e.declare(`BindCaches opens the caches of this package's functions on stores. It fails if
		stores lacks a store that a function names. Before, the functions fail with
		[runtime.ErrNotBound]. A second call binds them to other stores.`,
		jen.Func().Id("BindCaches").Params(jen.Id("stores").Add(run("Stores"))).Error().Block(body))
}
