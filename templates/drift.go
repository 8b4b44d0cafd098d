package templates

import "github.com/dave/jennifer/jen"

// handshake makes the file fail to compile with a runtime that it does not fit.
func (e *emitter) handshake() {
	e.declare(`This file was written for this version of the runtime. If the next line does
		not compile, run "go generate" with the cachegen command of the runtime's module version.`,
		jen.Const().Id("_").Op("=").Add(gen("Generated5")))
}

// An assertion is the signature that a generated function was written for.
type assertion struct {
	wrapper         *Wrapper
	name            string
	typeParams      []Param // of the function or its type
	noContext       bool
	params, results []Param
	result          Type // of a function without an error: all that it returns
}

// drift makes the file fail to compile when an annotated function's signature has
// changed, with an error that names the function rather than generated code.
func (e *emitter) drift() {
	var all []assertion
	for _, c := range e.file.Caches {
		all = append(all, assertion{c.Wrapper, c.Func, c.typeParams(), c.NoContext, c.Params, c.results(), nil})
	}
	for _, b := range e.file.Batches {
		all = append(all, assertion{b.Wrapper, b.Func, b.typeParams(), b.NoContext, b.Params, []Param{{Type: b.Result}}, nil})
	}
	for _, w := range e.file.Writers {
		all = append(all, assertion{w.Wrapper, w.Func, w.typeParams(), w.NoContext, w.Params, w.Results, nil})
	}
	for _, w := range e.file.Wrappers {
		for _, m := range w.TxMethods {
			a := assertion{w, m.Func, w.TypeParams, m.NoContext, m.Params, []Param{{Type: m.Result}}, nil}
			if !m.HasError {
				a.results, a.result = nil, m.Result
			}
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return
	}
	var lines []jen.Code
	var generic []assertion
	for _, a := range all {
		if len(a.typeParams) > 0 {
			generic = append(generic, a)
		} else {
			lines = append(lines, a.line())
		}
	}
	doc := `The signatures that the code below was written for. If one of these lines
		does not compile, the function has changed: run "go generate" again.`
	if len(lines) > 0 {
		e.declare(doc, jen.Var().Defs(lines...))
		doc = "The same for generic functions and methods."
	}
	for len(generic) > 0 {
		// Those of one type, or one function, share the type parameters.
		first := generic[0]
		var rest []assertion
		lines = nil
		for _, a := range generic {
			if a.wrapper == first.wrapper && (a.wrapper != nil || a.name == first.name) {
				lines = append(lines, a.line())
			} else {
				rest = append(rest, a)
			}
		}
		declaration := jen.Var().Defs(lines...)
		if len(lines) == 1 {
			declaration = jen.Var().Add(lines[0])
		}
		e.declare(doc, jen.Func().Id("_").Add(typeParams(first.typeParams)).Params().Block(declaration))
		generic, doc = rest, ""
	}
}

// line renders _ func(*UserRepo, context.Context, int64) error = (*UserRepo).Rename.
func (a assertion) line() jen.Code {
	var before []jen.Code
	function := jen.Id(a.name).Add(typeArgs(paramNames(a.typeParams)))
	if w := a.wrapper; w != nil {
		before = append(before, w.embedded())
		function = w.typ().Dot(a.name)
		if w.Pointer {
			function = jen.Parens(jen.Op("*").Add(w.typ())).Dot(a.name)
		}
	}
	if !a.noContext {
		before = append(before, jen.Qual("context", "Context"))
	}
	out := resultTypes(a.results)
	if a.result != nil {
		out = typ(a.result)
	}
	return jen.Id("_").Add(funcType(before, a.params, out)).Op("=").Add(function)
}

// results are those of the annotated function, without the error.
func (c *Cache) results() []Param {
	list := []Param{{Type: c.Value}}
	if c.HasOK {
		list = append(list, Param{Type: Type{{Text: "bool"}}})
	}
	return list
}

func (w *Writer) typeParams() []Param {
	if w.Wrapper != nil {
		return w.Wrapper.TypeParams
	}
	return w.TypeParams
}

func (b *Batch) typeParams() []Param {
	if b.Wrapper != nil {
		return b.Wrapper.TypeParams
	}
	return nil
}
