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

// value renders a runtime.Value.
func (e *emitter) value(v *Value) {
	param := func(b *body) (string, spot) {
		name := b.local("v", "value")
		return name, spot{expr: name}
	}
	fields := []jen.Code{field("Fingerprint", jen.Op("0x"+hex(v.Fingerprint)))}

	b := e.body(v.Shape)
	b.coder = b.local("e", "enc")
	name, at := param(b)
	fields = append(fields, field("Encode", jen.Func().Params(id(b.coder).Op("*").Add(wire("Encoder")), id(name).Add(typ(v.Type))).
		Block(b.encode(at, v.Shape)...)))

	b = e.body(v.Shape)
	b.coder = b.local("d", "dec")
	name, at = param(b)
	head := jen.Func().Params(id(b.coder).Op("*").Add(wire("Decoder")))
	if read := b.read(v.Shape); read != nil {
		head = head.Add(typ(v.Type)).Block(jen.Return(read))
	} else {
		head = head.Params(id(name).Add(typ(v.Type))).Block(append(b.decode(at, v.Shape), jen.Return(id(name)))...)
	}
	fields = append(fields, field("Decode", head))

	if v.Copy {
		b = e.body(v.Shape)
		name, at = param(b)
		fields = append(fields, field("Copy", jen.Func().Params(id(name).Add(typ(v.Type))).Add(typ(v.Type)).
			Block(append(b.unshare(at, v.Shape), jen.Return(id(name)))...)))
	}
	if v.Shape.Refers {
		b = e.body(v.Shape)
		name, at = param(b)
		b.sum = b.local("n", "size")
		fields = append(fields, field("Size", jen.Func().Params(id(name).Add(typ(v.Type))).Params(id(b.sum).Int()).
			Block(append(b.size(at, v.Shape), jen.Return(id(b.sum)))...)))
	}
	e.declare(v.Variable+" encodes, decodes, copies and measures cached values of type "+e.prose(v.Type)+".",
		jen.Var().Id(v.Variable).Op("=").Add(run("Value")).Types(typ(v.Type)).Custom(perLine, fields...))
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
