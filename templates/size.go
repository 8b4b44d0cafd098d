package templates

import "github.com/dave/jennifer/jen"

// size renders what adds up the memory that the value at a spot refers to.
func (b *body) size(at spot, s *Shape) []jen.Code {
	switch {
	case !s.Refers:
		return nil
	case s.Hidden, s.ByReflection, s.Kind == Interface:
		return []jen.Code{b.plus(wire("Size").Call(id(at.address())))}
	case s.Func != "" && s.Cyclic:
		return []jen.Code{b.plus(id("size"+s.Func).Call(id(at.address()), b.met()))}
	case s.Func != "":
		return []jen.Code{b.plus(id("size" + s.Func).Call(id(at.address())))}
	}
	return b.sizeInPlace(at, s)
}

func (b *body) plus(n jen.Code) jen.Code { return id(b.sum).Op("+=").Add(n) }

func (b *body) sizeInPlace(at spot, s *Shape) (code []jen.Code) {
	value := id(at.value())
	if s.Cyclic && (s.Kind == Pointer || s.Kind == Slice || s.Kind == Map) {
		helper := map[ShapeKind]string{Pointer: "SizePointer", Slice: "SizeSlice", Map: "SizeMap"}[s.Kind]
		return []jen.Code{b.plus(wire(helper).Call(b.met(), value, b.sizeFunc(s)))}
	}
	switch s.Kind {
	case Basic:
		return []jen.Code{b.plus(jen.Len(value))}
	case Bytes:
		return []jen.Code{b.plus(jen.Cap(value))}
	case Slice:
		return append([]jen.Code{b.plus(wire("SliceSize").Call(value))}, b.eachIndex(at, s, b.size)...)
	case Array:
		return b.eachIndex(at, s, b.size)
	case Pointer:
		code = []jen.Code{b.plus(wire("PointerSize").Call(value))}
		if inner := b.size(at.pointee(), s.Elem); len(inner) > 0 {
			code = []jen.Code{jen.If(value.Clone().Op("!=").Nil()).Block(append(code, inner...)...)}
		}
	case Map:
		code = []jen.Code{b.plus(wire("MapSize").Call(value))}
		b.block(func() {
			k, x := b.local("k", "key"), b.local("x", "value")
			keys, values := b.size(spot{expr: k}, s.Key), b.size(spot{expr: x}, s.Elem)
			variables := id(k)
			switch {
			case len(keys)+len(values) == 0:
				return
			case len(keys) == 0:
				variables = jen.List(jen.Id("_"), id(x))
			case len(values) > 0:
				variables = jen.List(id(k), id(x))
			}
			code = append(code, jen.For(variables.Op(":=").Range().Add(value)).Block(append(keys, values...)...))
		})
	case Struct:
		for _, m := range s.Members {
			code = append(code, b.size(at.field(m.Name), m.Shape)...)
		}
	}
	return code
}

// sizeFunc renders a function that does for what s holds what size does.
func (b *body) sizeFunc(s *Shape) (f jen.Code) {
	if s.Kind != Map && s.Elem.Func != "" && s.Elem.Cyclic && s.Elem.NeedSize {
		return id("size" + s.Elem.Func)
	}
	b.block(func() {
		x, seen, sum := b.local("x", "element"), b.local("seen", "met"), b.local("n", "total", "size")
		outer := *b
		b.seen, b.sum = id(seen), sum
		var params []jen.Code
		var body []jen.Code
		if s.Kind == Map {
			k := "_"
			if s.Key.Refers {
				k = b.local("k", "key")
				body = b.size(spot{expr: k}, s.Key)
			}
			params = append(params, id(k).Add(typ(s.Key.Type)))
		}
		params = append(params, id(x).Op("*").Add(typ(s.Elem.Type)), id(seen).Add(wire("Seen")))
		body = append(body, b.size(spot{expr: x, deref: true}, s.Elem)...)
		b.seen, b.sum = outer.seen, outer.sum
		f = jen.Func().Params(params...).Params(id(sum).Int()).Block(append(body, jen.Return(id(sum)))...)
	})
	return f
}
