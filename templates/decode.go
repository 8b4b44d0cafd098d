package templates

import "github.com/dave/jennifer/jen"

// decode renders what reads a value into a spot, which holds the zero value.
func (b *body) decode(at spot, s *Shape) []jen.Code {
	if read := b.read(s); read != nil {
		return []jen.Code{id(at.value()).Op("=").Add(read)}
	}
	switch {
	case s.Marshal != ByStructure:
		return []jen.Code{b.call(string(s.Marshal), id(at.address()))}
	case s.ByReflection:
		return []jen.Code{b.call("Reflect", id(at.address()))}
	case s.Func != "":
		return []jen.Code{id("decode"+s.Func).Call(id(b.coder), id(at.address()))}
	}
	return b.decodeInPlace(at, s)
}

// read renders the expression that reads a value; nil if it takes statements.
func (b *body) read(s *Shape) jen.Code {
	if !s.readable() {
		return nil
	}
	switch s.Kind {
	case Basic:
		read := b.call(decodeMethods[s.Basic])
		if s.Named {
			return typ(s.Type).Call(read)
		}
		return read
	case Time:
		if s.As != nil {
			return typ(s.Type).Call(b.call("Time"))
		}
		return b.call("Time")
	}
	if s.Named {
		return wire("FromBytes").Types(typ(s.Elem.Type)).Call(b.call("Bytes"))
	}
	return b.call("Bytes")
}

func (b *body) decodeInPlace(at spot, s *Shape) []jen.Code {
	switch s.Kind {
	case ByteArray:
		return []jen.Code{b.call("Fill", s.bytes(id(at.operand()+"[:]")))}
	case Pointer:
		return []jen.Code{b.unlessNil(append([]jen.Code{
			id(at.value()).Op("=").Add(b.new(s.Elem.Type)),
		}, b.decode(at.pointee(), s.Elem)...)...)}
	case Slice:
		return []jen.Code{b.unlessNil(b.decodeElements(at, s)...)}
	case Array:
		return []jen.Code{b.ifArray(int(s.Len), b.eachElement(at, s, b.decode))}
	case Map:
		return []jen.Code{b.unlessNil(b.decodeEntries(at, s)...)}
	case Struct:
		return []jen.Code{b.decodeFields(at, s)}
	}
	panic("unreachable: a shape of this kind is not decoded")
}

// new renders what makes room for a value that is about to be read.
func (b *body) new(t Type) jen.Code { return wire("New").Types(typ(t)).Call(id(b.coder)) }

// unlessNil renders statements that are for a value that is there.
func (b *body) unlessNil(code ...jen.Code) jen.Code {
	return jen.If(jen.Op("!").Add(b.call("Nil"))).Block(code...)
}

// countdown renders the head of a loop for as many times as variable n says. It ends
// with the first error: n may be what hostile bytes say.
func (b *body) countdown(start *jen.Statement, n string) jen.Code {
	return start.Op(";").Add(id(n).Op(">").Lit(0).Op("&&").Add(b.call("OK"))).Op(";").Add(id(n).Op("--"))
}

// ifArray renders statements that are for an array of n elements.
func (b *body) ifArray(n int, code []jen.Code) jen.Code {
	array := b.call("Array", jen.Lit(n))
	if len(code) == 0 {
		return array
	}
	return jen.If(array).Block(code...)
}

func (b *body) decodeElements(at spot, s *Shape) (code []jen.Code) {
	b.block(func() {
		n, i := b.local("n", "length"), ""
		inner := b.read(s.Elem)
		var body []jen.Code
		loop := b.countdown(jen.Empty(), n)
		switch {
		case inner != nil:
			body = []jen.Code{id(at.value()).Op("=").Append(id(at.value()), inner)}
		case s.Elem.blank():
			body = append([]jen.Code{
				id(at.value()).Op("=").Append(id(at.value()), s.Elem.zero()),
			}, b.decode(spot{}, s.Elem)...)
		default:
			// In place: the element may be large, and must not be moved if it holds a lock.
			i = b.local("i", "j", "index")
			body = append([]jen.Code{
				id(at.value()).Op("=").Append(id(at.value()), s.Elem.zero()),
			}, b.decode(at.index(i), s.Elem)...)
			loop = id(i).Op(":=").Lit(0).Op(";").Add(id(i).Op("<").Add(id(n)).Op("&&").Add(b.call("OK"))).Op(";").Add(id(i).Op("++"))
		}
		code = []jen.Code{
			id(n).Op(":=").Add(b.call("Slice")),
			id(at.value()).Op("=").Make(typ(s.Type), jen.Lit(0), wire("Cap").Types(typ(s.Elem.Type)).Call(id(b.coder), id(n))),
			jen.For(loop).Block(body...),
		}
	})
	return code
}

// zero renders the zero value.
func (s *Shape) zero() jen.Code {
	switch s.Kind {
	case Basic:
		switch s.Basic {
		case "bool":
			return jen.False()
		case "string":
			return jen.Lit("")
		}
		return jen.Lit(0)
	case Array, ByteArray, Struct, Time:
		return typ(s.Type).Values()
	}
	return jen.Nil()
}

func (b *body) decodeEntries(at spot, s *Shape) (code []jen.Code) {
	b.block(func() {
		n := b.local("n", "length")
		var body []jen.Code
		part := func(s *Shape, names ...string) jen.Code {
			if read := b.read(s); read != nil && names == nil {
				return read
			}
			if names == nil {
				names = []string{"x", "value"}
			}
			v := b.local(names...)
			if read := b.read(s); read != nil {
				body = append(body, id(v).Op(":=").Add(read))
			} else {
				body = append(body, jen.Var().Id(v).Add(typ(s.Type)))
				body = append(body, b.decode(spot{expr: v}, s)...)
			}
			return id(v)
		}
		key := part(s.Key, "k", "key") // before the value is read
		value := part(s.Elem)
		body = append(body, id(at.operand()).Index(key).Op("=").Add(value))
		code = []jen.Code{
			id(n).Op(":=").Add(b.call("Map")),
			id(at.value()).Op("=").Make(typ(s.Type), wire("MapCap").Types(typ(s.Key.Type), typ(s.Elem.Type)).Call(id(b.coder), id(n))),
			jen.For(b.countdown(jen.Empty(), n)).Block(body...),
		}
	})
	return code
}

func (b *body) decodeFields(at spot, s *Shape) jen.Code {
	if s.AsArray {
		var code []jen.Code
		for _, f := range s.Fields {
			if inner := b.decodePromoted(at, f); len(f.Pointers) > 0 {
				code = append(code, b.unlessNil(inner...))
			} else {
				code = append(code, inner...)
			}
		}
		return b.ifArray(len(s.Fields), code)
	}
	if len(s.Fields) == 0 {
		return b.call("Skip")
	}
	n := b.local("fields", "inner")
	defer delete(b.scope, n)
	var cases []jen.Code
	for _, f := range s.Fields {
		names := []jen.Code{jen.Lit(f.Name)}
		for _, alias := range f.Aliases {
			names = append(names, jen.Lit(alias))
		}
		cases = append(cases, jen.Case(names...).Block(b.decodeField(at, f)...))
	}
	cases = append(cases, jen.Default().Block(b.call("Skip")))
	return jen.For(b.countdown(id(n).Op(":=").Add(b.call("Struct")), n)).Block(jen.Switch(b.call("Key")).Block(cases...))
}

// decodeField renders a field with a name.
func (b *body) decodeField(at spot, f WireField) []jen.Code {
	code := b.decodePromoted(at, f)
	switch k := f.Shape.Kind; {
	case len(f.Pointers) == 0, k == Pointer, k == Slice, k == Map, k == Bytes, f.Shape.Marshal != ByStructure:
		return code
	}
	return []jen.Code{b.unlessNil(code...)} // msgpack writes nil for the fields of a nil pointer
}

// decodePromoted renders a field, with the embedded pointers on the way to it.
func (b *body) decodePromoted(at spot, f WireField) []jen.Code {
	var code []jen.Code
	for _, p := range f.Pointers {
		embedded := at.field(p.Path...).expr
		code = append(code, jen.If(id(embedded).Op("==").Nil()).Block(id(embedded).Op("=").Add(b.new(p.Elem))))
	}
	return append(code, b.decode(at.field(f.Path...), f.Shape)...)
}
