package templates

import (
	"maps"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

// A body is the inside of a function for values while it is rendered. Variables are
// named so that they hide nothing that the function mentions.
type body struct {
	*emitter
	scope scope
	coder string // the encoder's or decoder's variable
	sum   string // the variable in which a size is added up
	seen  jen.Code
}

// A spot is a variable, or, if deref, what a variable points to. It is as the source
// has it: v, v.Items, v.Items[i].
type spot struct {
	expr   string
	deref  bool
	notNil bool // it is known by then that there is no nil
}

// isNil renders whether there is nil.
func (s spot) isNil() jen.Code {
	if s.notNil {
		return jen.False()
	}
	return id(s.value()).Op("==").Nil()
}

// pointee is what the pointer at a spot points to.
func (s spot) pointee() spot { return spot{expr: s.value(), deref: true} }

func (s spot) value() string {
	if s.deref {
		return "*" + s.expr
	}
	return s.expr
}

// operand is the value where something follows: a selector, an index.
func (s spot) operand() string {
	if s.deref {
		return "(*" + s.expr + ")"
	}
	return s.expr
}

func (s spot) address() string {
	if s.deref {
		return s.expr
	}
	return "&" + s.expr
}

// field is a field of a struct; Go looks through the pointer.
func (s spot) field(path ...string) spot {
	out := spot{expr: s.expr}
	if strings.HasPrefix(s.expr, "*") { // a selector looks through one pointer, not two
		out.expr = "(" + s.expr + ")"
	}
	for _, name := range path {
		out.expr += "." + name
	}
	return out
}

func (s spot) index(i string) spot { return spot{expr: s.operand() + "[" + i + "]"} }

// id is an expression as it stands.
func id(expr string) *jen.Statement { return jen.Id(expr) }

// body begins a function for a shape.
func (e *emitter) body(s *Shape) *body {
	b := &body{emitter: e, scope: e.scope()}
	met := map[*Shape]bool{}
	var mention func(*Shape)
	mention = func(s *Shape) {
		if s == nil || met[s] {
			return
		}
		met[s] = true
		b.scope.mention(s.Type)
		b.scope.mention(s.As)
		b.scope.use(s.Basic)
		if s.Func != "" {
			for _, prefix := range ShapeFuncs {
				b.scope.use(prefix + s.Func)
			}
		}
		mention(s.Elem)
		mention(s.Key)
		for _, f := range s.Fields {
			mention(f.Shape)
			for _, p := range f.Pointers {
				b.scope.mention(p.Elem)
			}
		}
		for _, m := range s.Members {
			mention(m.Shape)
		}
	}
	mention(s)
	return b
}

// local names a variable of the block.
func (b *body) local(names ...string) string { return b.scope.local(names...) }

// block runs f for a block of its own: names that it takes are free again after it.
func (b *body) block(f func()) {
	outer := maps.Clone(b.scope)
	f()
	b.scope = outer
}

func wire(name string) *jen.Statement { return jen.Qual(WirePath, name) }

// call renders a call of a method of the encoder or decoder.
func (b *body) call(method string, args ...jen.Code) *jen.Statement {
	return id(b.coder).Dot(method).Call(args...)
}

// encode renders what writes the value at a spot.
func (b *body) encode(at spot, s *Shape) []jen.Code {
	switch {
	case s.Marshal != ByStructure:
		call := b.call(string(s.Marshal), id(at.address()))
		if s.NilFirst {
			return []jen.Code{jen.If(id(at.value()).Op("==").Nil()).Block(b.call("Nil")).Else().Block(call)}
		}
		return []jen.Code{call}
	case s.ByReflection:
		return []jen.Code{b.call("Reflect", id(at.address()))}
	case s.Func != "":
		return []jen.Code{id("encode"+s.Func).Call(id(b.coder), id(at.address()))}
	}
	return b.encodeInPlace(at, s)
}

func (b *body) encodeInPlace(at spot, s *Shape) []jen.Code {
	switch s.Kind {
	case Basic:
		return []jen.Code{b.call(encodeMethods[s.Basic].method, s.to(encodeMethods[s.Basic].takes, at.value()))}
	case Time:
		v := id(at.value())
		if s.As != nil {
			v = typ(s.As).Call(v)
		}
		return []jen.Code{b.call("Time", v)}
	case Bytes:
		return []jen.Code{b.call("Bytes", s.bytes(id(at.value())))}
	case ByteArray:
		return []jen.Code{b.call("Bytes", s.bytes(id(at.operand()+"[:]")))}
	case Pointer:
		if at.notNil {
			return b.encode(at.pointee(), s.Elem)
		}
		return []jen.Code{jen.If(at.isNil()).Block(b.call("Nil")).Else().Block(b.encode(at.pointee(), s.Elem)...)}
	case Slice:
		return append([]jen.Code{b.call("Slice", jen.Len(id(at.value())), at.isNil())}, b.eachElement(at, s, b.encode)...)
	case Array:
		return append([]jen.Code{b.call("Array", jen.Lit(int(s.Len)))}, b.eachElement(at, s, b.encode)...)
	case Map:
		return append([]jen.Code{b.call("Map", jen.Len(id(at.value())), at.isNil())}, b.encodeEntries(at, s))
	case Struct:
		return b.encodeFields(at, s)
	}
	panic("unreachable: a shape of this kind is not encoded")
}

// eachIndex renders a loop that does something with each element.
func (b *body) eachIndex(at spot, s *Shape, do func(spot, *Shape) []jen.Code) (code []jen.Code) {
	if s.Kind == Array && s.Len == 0 {
		return nil
	}
	b.block(func() {
		i := b.local("i", "j", "index")
		if inner := do(at.index(i), s.Elem); len(inner) > 0 {
			code = []jen.Code{jen.For(id(i).Op(":=").Range().Add(id(at.value()))).Block(inner...)}
		}
	})
	return code
}

// eachElement is eachIndex for what the codec does with each element.
func (b *body) eachElement(at spot, s *Shape, do func(spot, *Shape) []jen.Code) []jen.Code {
	if s.Elem.blank() && (s.Kind == Slice || s.Len > 0) {
		return []jen.Code{jen.For(jen.Range().Add(id(at.value()))).Block(do(spot{}, s.Elem)...)}
	}
	return b.eachIndex(at, s, do)
}

// blank reports whether what is encoded is the same for all values, so that the code
// for it mentions none: struct{}, [0]int.
func (s *Shape) blank() bool {
	return s.Marshal == ByStructure && !s.ByReflection && s.Func == "" &&
		(s.Kind == Struct && len(s.Fields) == 0 || s.Kind == Array && s.Len == 0)
}

// ordered reports whether a map's keys can be sorted and looked up.
func (s *Shape) ordered() bool {
	return s.Kind == Basic && s.Marshal == ByStructure && !s.ByReflection &&
		s.Basic != "bool" && s.Basic != "float32" && s.Basic != "float64" // a NaN cannot be looked up
}

func (b *body) encodeEntries(at spot, s *Shape) (loop jen.Code) {
	b.block(func() {
		if s.Key.ordered() {
			k := b.local("k", "key")
			body := b.encode(spot{expr: k}, s.Key)
			value := at.operand() + "[" + k + "]"
			if !s.Elem.readable() && !s.Elem.blank() {
				v := b.local("x", "value")
				body = append(body, id(v).Op(":=").Add(id(value)))
				value = v
			}
			body = append(body, b.encode(spot{expr: value}, s.Elem)...)
			loop = jen.For(jen.List(jen.Id("_"), id(k)).Op(":=").Range().Add(wire("Keys")).Call(id(at.value()))).Block(body...)
			return
		}
		entry := b.local("x", "entry")
		body := append([]jen.Code{b.call("Raw", id(entry).Dot("Key"))}, b.encode(spot{expr: entry + ".Value"}, s.Elem)...)
		var key jen.Code
		b.block(func() {
			k := b.local("k", "key")
			key = jen.Func().Params(id(b.coder).Op("*").Add(wire("Encoder")), id(k).Add(typ(s.Key.Type))).
				Block(b.encode(spot{expr: k}, s.Key)...)
		})
		loop = jen.For(jen.List(jen.Id("_"), id(entry)).Op(":=").Range().Add(wire("Entries")).
			Call(id(b.coder), id(at.value()), key)).Block(body...)
	})
	return loop
}

// readable reports whether encoding a value takes it once and needs no address.
func (s *Shape) readable() bool {
	return s.Marshal == ByStructure && !s.ByReflection && (s.Kind == Basic || s.Kind == Time || s.Kind == Bytes)
}

// encodeFields renders a struct. Fields that may be left out are counted first.
func (b *body) encodeFields(at spot, s *Shape) []jen.Code {
	if s.AsArray {
		code := []jen.Code{b.call("Array", jen.Lit(len(s.Fields)))}
		for _, f := range s.Fields {
			inner := b.encode(at.field(f.Path...), f.Shape)
			if len(f.Pointers) > 0 {
				inner = []jen.Code{jen.If(f.absent(at)).Block(b.call("Nil")).Else().Block(inner...)}
			}
			code = append(code, inner...)
		}
		return code
	}
	always := 0
	var count, code []jen.Code
	n := ""
	for i := 0; i < len(s.Fields); {
		// Fields of one embedded pointer are there or not together.
		end := i + 1
		for end < len(s.Fields) && len(s.Fields[i].Pointers) > 0 && samePointers(s.Fields[i], s.Fields[end]) {
			end++
		}
		var inner []jen.Code
		for _, f := range s.Fields[i:end] {
			inner = append(inner, b.call("Key", jen.Lit(f.Name)))
			to := at.field(f.Path...)
			to.notNil = f.OmitEmpty
			inner = append(inner, b.encode(to, f.Shape)...)
		}
		condition := s.Fields[i].present(at)
		if condition == nil {
			always += end - i
			code = append(code, inner...)
		} else {
			if n == "" {
				n = b.local("n", "fields")
			}
			count = append(count, jen.If(condition).Block(add(n, end-i)))
			code = append(code, jen.If(s.Fields[i].present(at)).Block(inner...))
		}
		i = end
	}
	if len(count) == 0 {
		return append([]jen.Code{b.call("Struct", jen.Lit(always))}, code...)
	}
	count = append([]jen.Code{id(n).Op(":=").Lit(always)}, count...)
	return slices.Concat(count, []jen.Code{b.call("Struct", id(n))}, code)
}

func add(n string, by int) jen.Code {
	if by == 1 {
		return id(n).Op("++")
	}
	return id(n).Op("+=").Lit(by)
}

func samePointers(a, b WireField) bool {
	return slices.EqualFunc(a.Pointers, b.Pointers, func(a, b EmbeddedPointer) bool { return slices.Equal(a.Path, b.Path) })
}

// present renders the condition under which a field is written; nil if it always is.
func (f WireField) present(at spot) *jen.Statement {
	if len(f.Pointers) > 0 {
		return noneNil(f.pointers(at))
	}
	if !f.OmitEmpty {
		return nil
	}
	return f.Shape.notZero(at.field(f.Path...).value())
}

func (f WireField) absent(at spot) *jen.Statement { return anyNil(f.pointers(at)) }

func (f WireField) pointers(at spot) []string {
	var list []string
	for _, p := range f.Pointers {
		list = append(list, at.field(p.Path...).expr)
	}
	return list
}

// notZero renders the condition under which a value is not what its type's zero value
// decodes to; nil if there is no short one.
func (s *Shape) notZero(expr string) *jen.Statement {
	switch {
	case s.ByReflection:
		return nil
	case s.Kind == Basic && s.Basic == "bool":
		return id(expr)
	case s.Kind == Basic && s.Basic == "string":
		return id(expr).Op("!=").Lit("")
	case s.Kind == Basic:
		return id(expr).Op("!=").Lit(0)
	case s.Kind == Pointer, s.Kind == Slice, s.Kind == Bytes, s.Kind == Map:
		return id(expr).Op("!=").Nil()
	case s.Kind == Time:
		return id(expr).Op("!=").Parens(typ(s.Type).Values())
	}
	return nil
}

// encodeMethods are the methods that write a predeclared type, and what they take.
var encodeMethods = map[string]struct{ method, takes string }{
	"bool": {"Bool", "bool"}, "string": {"String", "string"},
	"int": {"Int", "int64"}, "int8": {"Int", "int64"}, "int16": {"Int", "int64"}, "int32": {"Int", "int64"}, "int64": {"Int", "int64"},
	"uint": {"Uint", "uint64"}, "uint8": {"Uint", "uint64"}, "uint16": {"Uint", "uint64"}, "uint32": {"Uint", "uint64"}, "uint64": {"Uint", "uint64"},
	"float32": {"Float32", "float32"}, "float64": {"Float64", "float64"},
}

// decodeMethods are the methods that read a predeclared type.
var decodeMethods = map[string]string{
	"bool": "Bool", "string": "String", "int": "Int", "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64",
	"uint": "Uint", "uint8": "Uint8", "uint16": "Uint16", "uint32": "Uint32", "uint64": "Uint64",
	"float32": "Float32", "float64": "Float64",
}

// to renders a Basic's value as one of a predeclared type.
func (s *Shape) to(basic, expr string) jen.Code {
	if !s.Named && s.Basic == basic {
		return id(expr)
	}
	return id(basic).Call(id(expr))
}

// bytes renders a slice of bytes as one of byte itself.
func (s *Shape) bytes(slice jen.Code) jen.Code {
	if s.Named {
		return wire("AsBytes").Call(slice)
	}
	return slice
}
