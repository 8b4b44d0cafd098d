package templates

import "github.com/dave/jennifer/jen"

// unshare renders what gives the value at a spot, a copy by assignment, memory of its
// own.
func (b *body) unshare(at spot, s *Shape) []jen.Code {
	if !s.Shares {
		return nil
	}
	if copied := b.copied(at, s); copied != nil {
		return []jen.Code{id(at.value()).Op("=").Add(copied)}
	}
	switch {
	case s.Func != "" && s.Cyclic:
		return []jen.Code{id("unshare"+s.Func).Call(id(at.address()), b.met())}
	case s.Func != "":
		return []jen.Code{id("unshare" + s.Func).Call(id(at.address()))}
	}
	return b.unshareInPlace(at, s)
}

// copied renders the expression that is a copy of the value at a spot; nil if it takes
// statements.
func (b *body) copied(at spot, s *Shape) jen.Code {
	value := id(at.value())
	switch {
	case s.Clone.Into:
		return jen.Op("*").New(typ(s.Type)).Dot(s.Clone.Method).Call(id(at.address()))
	case s.Clone.Method != "" && s.Clone.Pointer:
		return jen.Op("*").Add(id(at.operand())).Dot(s.Clone.Method).Call()
	case s.Clone.Method != "":
		return id(at.operand()).Dot(s.Clone.Method).Call()
	case s.ByReflection, s.Kind == Interface:
		return wire("Copy").Call(value)
	case s.Func != "", s.Cyclic:
		return nil
	case s.Kind == Bytes, s.Kind == Slice && !s.Elem.Shares:
		return wire("CloneSlice").Call(value)
	case s.Kind == Map && !s.Elem.Shares:
		return wire("CloneMap").Call(value)
	}
	return nil
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
		if s.Elem.Clone.Into {
			return []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(
				value.Clone().Op("=").New(typ(s.Elem.Type)).Dot(s.Elem.Clone.Method).Call(value))}
		}
		b.block(func() {
			x := b.local("x", "target")
			var inner []jen.Code
			if copied := b.copied(at.pointee(), s.Elem); copied != nil {
				inner = []jen.Code{id(x).Op(":=").Add(copied)}
			} else {
				inner = append([]jen.Code{id(x).Op(":=").Op("*").Add(value)}, b.unshare(spot{expr: x}, s.Elem)...)
			}
			inner = append(inner, value.Clone().Op("=").Op("&").Add(id(x)))
			code = []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(inner...)}
		})
	case Map:
		if !s.Elem.Shares {
			return []jen.Code{value.Clone().Op("=").Add(wire("CloneMap")).Call(value)}
		}
		b.block(func() {
			m, k, x := b.local("m", "copied"), b.local("k", "key"), b.local("x", "value")
			var inner []jen.Code
			entry := id(m).Index(id(k)).Op("=")
			if copied := b.copied(spot{expr: x}, s.Elem); copied != nil {
				inner = []jen.Code{entry.Add(copied)}
			} else {
				inner = append(b.unshare(spot{expr: x}, s.Elem), entry.Add(id(x)))
			}
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
		f = jen.Func().Params(id(x).Op("*").Add(typ(s.Type)), id(seen).Add(wire("Seen"))).Block(b.unshare(spot{expr: x, deref: true}, s)...)
		b.seen = outer
	})
	return f
}
