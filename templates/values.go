package templates

import "github.com/dave/jennifer/jen"

// ShapeFuncs are what the names of the functions for a [Shape] begin with.
var ShapeFuncs = []string{"encode", "decode", "unshare", "size"}

// values renders what is made for the types of cached values.
func (e *emitter) values() {
	for _, v := range e.file.Values {
		e.value(v)
	}
	for _, s := range e.file.Shapes {
		e.shape(s)
	}
}

// value renders a gen.Value, and the function that copies values of its type.
func (e *emitter) value(v *Value) {
	// begin starts a function that finds the value, which it takes in an any, in a variable.
	begin := func() (b *body, at spot, params, typed []jen.Code) {
		b = e.body(v.Shape)
		name := b.local("v", "typed")
		x := b.local("value", "x")
		return b, spot{expr: name}, []jen.Code{id(x).Any()}, []jen.Code{jen.List(id(name), id("_")).Op(":=").Id(x).Assert(typ(v.Type))}
	}
	fields := []jen.Code{field("Fingerprint", jen.Op("0x"+hex(v.Fingerprint)))}

	if v.Lossy {
		fields = append(fields, field("Lossy", jen.True()))
	}

	b, at, params, code := begin()
	b.coder = b.local("e", "enc")
	fields = append(fields, field("Encode", jen.Func().Params(args([]jen.Code{id(b.coder).Op("*").Add(wire("Encoder"))}, params...)...).
		Block(append(code, b.encode(at, v.Shape)...)...)))

	b = e.body(v.Shape)
	b.coder = b.local("d", "dec")
	head := jen.Func().Params(id(b.coder).Op("*").Add(wire("Decoder"))).Any()
	if read := b.read(v.Shape); read != nil {
		head = head.Block(jen.Return(read))
	} else {
		name := b.local("v", "value")
		code := append([]jen.Code{jen.Var().Id(name).Add(typ(v.Type))}, b.decode(spot{expr: name}, v.Shape)...)
		head = head.Block(append(code, jen.Return(id(name)))...)
	}
	fields = append(fields, field("Decode", head))

	if v.CopyFunc != "" {
		b, at, params, code := begin()
		b.scope.use(v.CopyFunc)
		fields = append(fields, field("Copy", jen.Func().Params(params...).Any().
			Block(append(code, jen.Return(id(v.CopyFunc).Call(id(at.expr))))...)))
	}
	if v.Shape.Refers {
		b, at, params, code := begin()
		b.sum = b.local("n", "size")
		code = append(code, id(b.sum).Op(":=").Lit(0))
		code = append(code, b.size(at, v.Shape)...)
		fields = append(fields, field("Size", jen.Func().Params(params...).Int().
			Block(append(code, jen.Return(id(b.sum)))...)))
	}
	e.declare(v.Variable+" encodes, decodes, copies and measures cached values of type "+e.prose(v.Type)+".",
		jen.Var().Id(v.Variable).Op("=").Add(gen("Value")).Custom(perLine, fields...))

	if v.CopyFunc != "" {
		b := e.body(v.Shape)
		name := b.local("v", "value")
		e.declare(v.CopyFunc+" returns a copy of "+name+" that shares no memory with it.",
			jen.Func().Id(v.CopyFunc).Params(id(name).Add(typ(v.Type))).Add(typ(v.Type)).
				Block(append(b.unshare(spot{expr: name}, v.Shape), jen.Return(id(name)))...))
	}
}

func hex(n uint64) string {
	const digits = "0123456789abcdef"
	var text [16]byte
	for i := range text {
		text[i] = digits[n>>(60-4*i)&15]
	}
	return string(text[:])
}

// shape renders the functions for a type. They take its address, so that nothing large
// is moved.
func (e *emitter) shape(s *Shape) {
	declare := func(prefix string, doc func(v string) string, result jen.Code, fill func(b *body, at spot) (params, code []jen.Code)) {
		b := e.body(s)
		b.scope.use(prefix + s.Func)
		v := b.local("v", "value")
		params, code := fill(b, spot{expr: v, deref: true})
		head := jen.Func().Id(prefix + s.Func)
		target := id(v).Op("*").Add(typ(s.Type))
		if prefix == "encode" || prefix == "decode" {
			head = head.Params(append(params, target)...)
		} else {
			head = head.Params(append([]jen.Code{target}, params...)...)
		}
		if result != nil {
			head = head.Add(result)
		}
		e.declare(prefix+s.Func+" "+doc(v), head.Block(code...))
	}
	if s.NeedCodec {
		declare("encode", func(string) string { return "writes " + withArticle(e.prose(s.Type)) + "." }, nil, func(b *body, at spot) (params, code []jen.Code) {
			b.coder = b.local("e", "enc")
			return []jen.Code{id(b.coder).Op("*").Add(wire("Encoder"))}, b.guarded(s, b.encodeInPlace(at, s))
		})
		declare("decode", func(v string) string {
			return "reads " + withArticle(e.prose(s.Type)) + " into " + v + ", which is zero."
		}, nil, func(b *body, at spot) (params, code []jen.Code) {
			b.coder = b.local("d", "dec")
			return []jen.Code{id(b.coder).Op("*").Add(wire("Decoder"))}, b.guarded(s, b.decodeInPlace(at, s))
		})
	}
	seen := func(b *body) (params []jen.Code) {
		if s.Cyclic {
			name := b.local("seen", "met")
			b.seen = id(name)
			params = append(params, id(name).Add(wire("Seen")))
		}
		return params
	}
	if s.NeedCopy {
		declare("unshare", func(v string) string { return "gives " + v + " its own memory after a copy by assignment." }, nil, func(b *body, at spot) (params, code []jen.Code) {
			params = seen(b)
			return params, b.unshareInPlace(at, s)
		})
	}
	if s.NeedSize {
		b := e.body(s)
		b.scope.use("v")
		n := b.local("n", "size")
		declare("size", func(v string) string { return "returns how many bytes " + v + " refers to." }, jen.Params(id(n).Int()), func(b *body, at spot) (params, code []jen.Code) {
			b.sum = n
			b.scope.use(n)
			params = seen(b)
			return params, append(b.sizeInPlace(at, s), jen.Return(id(n)))
		})
	}
}

// guarded renders the body of a codec's function. That of a recursive type counts how
// deep it is.
func (b *body) guarded(s *Shape, code []jen.Code) []jen.Code {
	if !s.Cyclic {
		return code
	}
	return append([]jen.Code{
		jen.If(jen.Op("!").Add(b.call("Enter"))).Block(jen.Return()),
		jen.Defer().Add(b.call("Leave")),
	}, code...)
}

// prose writes a type for comments, as the file does.
func (e *emitter) prose(t Type) string {
	var text string
	for _, part := range t {
		if part.Path != "" {
			text += packageName(e.file, part.Path) + "."
		}
		text += part.Text
	}
	return text
}
