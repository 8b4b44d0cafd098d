package templates

import "github.com/dave/jennifer/jen"

// unshare renders what gives the value at a spot, a copy by assignment, memory of its
// own.
func (b *body) unshare(at spot, s *Shape) []jen.Code {
	value := id(at.value())
	switch {
	case !s.Shares:
		return nil
	case s.Clone.Method == "Set":
		return []jen.Code{value.Clone().Op("=").Op("*").New(typ(s.Type)).Dot("Set").Call(id(at.address()))}
	case s.Clone.Method != "" && s.Clone.Pointer:
		return []jen.Code{value.Clone().Op("=").Op("*").Add(id(at.operand())).Dot(s.Clone.Method).Call()}
	case s.Clone.Method != "":
		return []jen.Code{value.Clone().Op("=").Add(id(at.operand())).Dot(s.Clone.Method).Call()}
	case s.ByReflection, s.Kind == Interface:
		return []jen.Code{value.Clone().Op("=").Add(wire("Copy")).Call(value)}
	case s.Func != "" && s.Cyclic:
		return []jen.Code{id("unshare"+s.Func).Call(id(at.address()), b.met())}
	case s.Func != "":
		return []jen.Code{id("unshare" + s.Func).Call(id(at.address()))}
	}
	return b.unshareInPlace(at, s)
}

// met is the record of what has been met: the function's, or a new one.
func (b *body) met() jen.Code {
	if b.seen != nil {
		return b.seen
	}
	return wire("Seen").Values()
}

func (b *body) unshareInPlace(at spot, s *Shape) (code []jen.Code) {
	value := id(at.value())
	if s.Cyclic && (s.Kind == Pointer || s.Kind == Slice || s.Kind == Map) {
		helper := map[ShapeKind]string{Pointer: "CopyPointer", Slice: "CopySlice", Map: "CopyMap"}[s.Kind]
		return []jen.Code{value.Clone().Op("=").Add(wire(helper)).Call(b.met(), value, b.unshareFunc(s.Elem))}
	}
	switch s.Kind {
	case Bytes:
		return []jen.Code{value.Clone().Op("=").Add(wire("CloneSlice")).Call(value)}
	case Slice:
		clone := value.Clone().Op("=").Add(wire("CloneSlice")).Call(value)
		return append([]jen.Code{clone}, b.eachIndex(at, s, b.unshare)...)
	case Array:
		return b.eachIndex(at, s, b.unshare)
	case Pointer:
		if s.Elem.Clone.Method == "Set" {
			return []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(
				value.Clone().Op("=").New(typ(s.Elem.Type)).Dot("Set").Call(value))}
		}
		b.block(func() {
			x := b.local("x", "target")
			inner := []jen.Code{id(x).Op(":=").Op("*").Add(value)}
			inner = append(inner, b.unshare(spot{expr: x}, s.Elem)...)
			inner = append(inner, value.Clone().Op("=").Op("&").Add(id(x)))
			code = []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(inner...)}
		})
	case Map:
		if !s.Elem.Shares {
			return []jen.Code{value.Clone().Op("=").Add(wire("CloneMap")).Call(value)}
		}
		b.block(func() {
			m, k, x := b.local("m", "copied"), b.local("k", "key"), b.local("x", "value")
			inner := append(b.unshare(spot{expr: x}, s.Elem), id(m).Index(id(k)).Op("=").Add(id(x)))
			code = []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(
				id(m).Op(":=").Make(typ(s.Type), jen.Len(value)),
				jen.For(jen.List(id(k), id(x)).Op(":=").Range().Add(value)).Block(inner...),
				value.Clone().Op("=").Add(id(m)),
			)}
		})
	case Struct:
		for _, m := range s.Members {
			code = append(code, b.unshare(at.field(m.Name), m.Shape)...)
		}
	}
	return code
}

// unshareFunc renders a function that does for elements what unshare does.
func (b *body) unshareFunc(s *Shape) (f jen.Code) {
	if s.Func != "" && s.Cyclic && s.NeedCopy {
		return id("unshare" + s.Func)
	}
	b.block(func() {
		x, seen := b.local("x", "element"), b.local("seen", "met")
		outer := b.seen
		b.seen = id(seen)
		f = jen.Func().Params(id(x).Op("*").Add(typ(s.Type)), id(seen).Add(wire("Seen"))).Block(b.unshare(spot{x, true}, s)...)
		b.seen = outer
	})
	return f
}
