package templates

import "github.com/dave/jennifer/jen"

// typ renders a type. The file's imports follow from what is rendered.
func typ(t Type) *jen.Statement {
	s := &jen.Statement{}
	for _, part := range t {
		if part.Path != "" {
			s.Qual(part.Path, part.Text)
		} else {
			s.Op(part.Text)
		}
	}
	return s
}

// run is a name of the runtime.
func run(name string) *jen.Statement { return jen.Qual(RuntimePath, name) }

// contextParam is the first parameter of everything that may block.
func contextParam(name string) *jen.Statement {
	return jen.Id(name).Qual("context", "Context")
}

// declared renders parameters with their names, variadic ones as such.
func declared(params []Param) []jen.Code {
	var codes []jen.Code
	for i, p := range params {
		// Parameters of one type share it, as people write them.
		if i+1 < len(params) && sameType(p, params[i+1]) {
			codes = append(codes, jen.Id(p.Name))
			continue
		}
		if p.Variadic {
			codes = append(codes, jen.Id(p.Name).Op("...").Add(typ(p.Type)))
		} else {
			codes = append(codes, jen.Id(p.Name).Add(typ(p.Type)))
		}
	}
	return codes
}

func sameType(a, b Param) bool {
	if a.Variadic || b.Variadic || len(a.Type) != len(b.Type) {
		return false
	}
	for i := range a.Type {
		if a.Type[i] != b.Type[i] {
			return false
		}
	}
	return true
}

// fixed returns params with a variadic one turned into a slice, for functions
// that need the last place for something else.
func fixed(params []Param) []Param {
	out := append([]Param(nil), params...)
	for i, p := range out {
		if p.Variadic {
			out[i] = Param{Name: p.Name, Type: append(Type{{Text: "[]"}}, p.Type...)}
		}
	}
	return out
}

// passed renders params as the arguments of a call, a variadic one with its dots.
func passed(params []Param) []jen.Code {
	var codes []jen.Code
	for _, p := range params {
		if p.Variadic {
			codes = append(codes, jen.Id(p.Name).Op("..."))
		} else {
			codes = append(codes, jen.Id(p.Name))
		}
	}
	return codes
}

// names renders the names of params.
func names(params []Param) []jen.Code {
	var codes []jen.Code
	for _, p := range params {
		codes = append(codes, jen.Id(p.Name))
	}
	return codes
}

// args puts arguments together: one of them may be a list.
func args(first []jen.Code, more ...jen.Code) []jen.Code {
	return append(first[:len(first):len(first)], more...)
}

// funcType renders func(before..., context.Context, params...) results.
func funcType(before []jen.Code, params, results []Param) *jen.Statement {
	in := args(before, jen.Qual("context", "Context"))
	for _, p := range params {
		if p.Variadic {
			in = append(in, jen.Op("...").Add(typ(p.Type)))
		} else {
			in = append(in, typ(p.Type))
		}
	}
	return jen.Func().Params(in...).Add(resultTypes(results))
}

// resultTypes renders the types of results and an error, in parentheses only
// where there are several.
func resultTypes(results []Param) *jen.Statement {
	if len(results) == 0 {
		return jen.Error()
	}
	var out []jen.Code
	for _, r := range results {
		out = append(out, typ(r.Type))
	}
	return jen.Params(args(out, jen.Error())...)
}

// method begins a method of a wrapper, or a function if w is nil.
func method(w *Wrapper, name string) *jen.Statement {
	if w == nil {
		return jen.Func().Id(name)
	}
	return jen.Func().Params(jen.Id(w.Receiver).Op("*").Id(w.Name)).Id(name)
}

// wrapped is the annotated function as a generated one calls it:
// c.UserRepo.FindUser, or LoadConfig.
func wrapped(w *Wrapper, name string) *jen.Statement {
	if w == nil {
		return jen.Id(name)
	}
	return jen.Id(w.Receiver).Dot(w.Type).Dot(name)
}

// reference is the annotated function as comments link to it.
func reference(w *Wrapper, name string) string {
	if w == nil {
		return "[" + name + "]"
	}
	return "[" + w.Type + "." + name + "]"
}
