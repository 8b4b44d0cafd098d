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

// gen is a name of the runtime that only generated code uses.
func gen(name string) *jen.Statement { return jen.Qual(GenPath, name) }

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

// funcType renders func(before..., params...) results.
func funcType(before []jen.Code, params []Param, results jen.Code) *jen.Statement {
	in := args(before)
	for _, p := range params {
		if p.Variadic {
			in = append(in, jen.Op("...").Add(typ(p.Type)))
		} else {
			in = append(in, typ(p.Type))
		}
	}
	return jen.Func().Params(in...).Add(results)
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

// method begins a method of a wrapper, or a function if w is nil. params are the type
// parameters of the function.
func method(w *Wrapper, params []Param, name string) *jen.Statement {
	if w == nil {
		return jen.Func().Id(name).Add(typeParams(params))
	}
	return jen.Func().Params(jen.Id(w.Receiver).Op("*").Add(w.name())).Id(name)
}

// typeParams renders [K comparable, V any], or nothing.
func typeParams(params []Param) *jen.Statement {
	if len(params) == 0 {
		return &jen.Statement{}
	}
	var list []jen.Code
	for _, p := range params {
		list = append(list, jen.Id(p.Name).Add(typ(p.Type)))
	}
	return jen.Types(list...)
}

// typeArgs renders [K, V], or nothing.
func typeArgs(names []string) *jen.Statement {
	if len(names) == 0 {
		return &jen.Statement{}
	}
	var list []jen.Code
	for _, n := range names {
		list = append(list, jen.Id(n))
	}
	return jen.Types(list...)
}

func paramNames(params []Param) []string {
	var list []string
	for _, p := range params {
		list = append(list, p.Name)
	}
	return list
}

// typ is the wrapped type with its parameters: UserRepo, Repo[K, V].
func (w *Wrapper) typ() *jen.Statement { return jen.Id(w.Type).Add(typeArgs(paramNames(w.TypeParams))) }

// name is the wrapper with its parameters.
func (w *Wrapper) name() *jen.Statement {
	return jen.Id(w.Name).Add(typeArgs(paramNames(w.TypeParams)))
}

// embedded is the wrapped type as the wrapper holds it.
func (w *Wrapper) embedded() *jen.Statement {
	if w.Pointer {
		return jen.Op("*").Add(w.typ())
	}
	return w.typ()
}

// typeParams are those of c's function or of its type.
func (c *Cache) typeParams() []Param {
	if c.Wrapper != nil {
		return c.Wrapper.TypeParams
	}
	return c.TypeParams
}

// key is the key's type: UserKey, ItemKey[K].
func (c *Cache) key() *jen.Statement {
	return c.qualified(c.KeyType).Add(typeArgs(c.KeyTypeParams))
}

// qualified is a package-level name of c's package.
func (c *Cache) qualified(name string) *jen.Statement {
	if c.Path == "" {
		return jen.Id(name)
	}
	return jen.Qual(c.Path, name)
}

// keyTypeParams are the parameters of the key's type with their constraints.
func (c *Cache) keyTypeParams() []Param {
	var list []Param
	for _, p := range c.typeParams() {
		for _, name := range c.KeyTypeParams {
			if p.Name == name {
				list = append(list, p)
			}
		}
	}
	return list
}

// wrapped is the annotated function as a generated one calls it: c.UserRepo.FindUser,
// LoadConfig, or LoadPage[T].
func wrapped(w *Wrapper, params []Param, name string) *jen.Statement {
	if w == nil {
		return jen.Id(name).Add(typeArgs(paramNames(params)))
	}
	return jen.Id(w.Receiver).Dot(w.Type).Dot(name)
}

// contextArg is the context in a call of the annotated function, if it takes one.
func contextArg(name string, none bool) []jen.Code {
	if none {
		return nil
	}
	return []jen.Code{jen.Id(name)}
}

// reference is the annotated function as comments link to it.
func reference(w *Wrapper, name string) string {
	if w == nil {
		return "[" + name + "]"
	}
	return "[" + w.Type + "." + name + "]"
}
