package templates

import "github.com/dave/jennifer/jen"

// handshake makes the file fail to compile with a runtime that it does not fit.
func (e *emitter) handshake() {
	e.declare(`This file was written for this version of the runtime. If the next line does
		not compile, run "go generate" with the cachegen command of the runtime's module version.`,
		jen.Const().Id("_").Op("=").Add(run("Generated1")))
}

// drift makes the file fail to compile when an annotated function's signature has
// changed, with an error that names the function rather than our code.
func (e *emitter) drift() {
	var lines []jen.Code
	for _, c := range e.file.Caches {
		lines = append(lines, assertion(c.Wrapper, c.Func, c.Params, []Param{{Type: c.Value}}))
	}
	for _, w := range e.file.Writers {
		lines = append(lines, assertion(w.Wrapper, w.Func, w.Params, w.Results))
	}
	if len(lines) == 0 {
		return
	}
	e.declare(`The signatures that the code below was written for. If one of these lines
		does not compile, the function has changed: run "go generate" again.`,
		jen.Var().Defs(lines...))
}

// assertion renders _ func(*UserRepo, context.Context, int64) error = (*UserRepo).Rename.
func assertion(w *Wrapper, name string, params, results []Param) jen.Code {
	if w == nil {
		return jen.Id("_").Add(funcType(nil, params, results)).Op("=").Id(name)
	}
	receiver, function := jen.Id(w.Type), jen.Id(w.Type)
	if w.Pointer {
		receiver, function = jen.Op("*").Id(w.Type), jen.Parens(jen.Op("*").Id(w.Type))
	}
	return jen.Id("_").Add(funcType([]jen.Code{receiver}, params, results)).Op("=").Add(function.Dot(name))
}
