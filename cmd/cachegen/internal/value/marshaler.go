package value

import (
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// The ways in which a type is encoded. A type that says how msgpack writes it is asked
// first. Then comes what it is made of, if nothing of that is lost: that is exact, whatever
// text the type makes of itself for people. Then come the methods that are made for
// machines. A text is the last way.
const (
	byStructure = iota
	byCustom
	byMsgpack
	byBinary
	byGob
	byText
)

// The pairs of methods with which a type encodes itself.
var pairs = [...]struct{ marshal, unmarshal string }{
	byCustom:  {"EncodeMsgpack", "DecodeMsgpack"},
	byMsgpack: {"MarshalMsgpack", "UnmarshalMsgpack"},
	byBinary:  {"MarshalBinary", "UnmarshalBinary"},
	byGob:     {"GobEncode", "GobDecode"},
	byText:    {"MarshalText", "UnmarshalText"},
}

// A method is one by which a type is encoded or decoded.
type method struct {
	pointer bool // needs an addressable value
	partial bool // comes from an embedded field, and there are others
}

// find returns the method of t, or of a pointer to it, with that name and the signature
// that goes with it.
func find(t types.Type, name string) (m method, ok bool) {
	for i, set := range []types.Type{t, types.NewPointer(t)} {
		f, index := lookup(set, name)
		if f != nil && fits(name, f.Signature()) {
			return method{pointer: i > 0, partial: besides(set, index)}, true
		}
	}
	return method{}, false
}

// A way is how values of a type are encoded.
type way struct {
	kind    int
	pointer bool // the method that encodes needs an addressable value
	// What is wrong with it: only one of two methods is there, or they do not fit together,
	// or belong to an embedded field beside which there are others.
	encodes, decodes string
	partial          bool
}

// wayOf chooses how values of t are encoded.
func wayOf(t types.Type) way {
	if isPointer(t) || types.IsInterface(t) {
		return way{}
	}
	if w, ok := ownWay(t); ok {
		return w
	}
	w := way{}
	for kind := byBinary; kind <= byText; kind++ {
		enc, encodes := find(t, pairs[kind].marshal)
		dec, decodes := find(t, pairs[kind].unmarshal)
		switch {
		case enc.partial || dec.partial, !encodes && !decodes:
		case w.kind != 0:
		case encodes && decodes:
			w = way{kind: kind, pointer: enc.pointer}
		case w.encodes+w.decodes != "":
		case encodes:
			w.encodes = pairs[kind].marshal
		default:
			w.decodes = pairs[kind].unmarshal
		}
	}
	// With methods that are made for machines there is no need to lose anything.
	if w == (way{}) || isExact(t, w.kind == byBinary || w.kind == byGob) {
		return way{}
	}
	return w
}

// ownWay is the way of a type that says how msgpack writes it.
func ownWay(t types.Type) (w way, ok bool) {
	for kind := byCustom; kind <= byMsgpack; kind++ {
		if m, ok := find(t, pairs[kind].marshal); ok && w.encodes == "" {
			w.kind, w.pointer, w.encodes, w.partial = kind, m.pointer, pairs[kind].marshal, m.partial
		}
		if m, ok := find(t, pairs[kind].unmarshal); ok && w.decodes == "" {
			w.decodes, w.partial = pairs[kind].unmarshal, w.partial || m.partial
		}
	}
	ok = w.encodes+w.decodes != ""
	if w.kind != 0 && w.decodes == pairs[w.kind].unmarshal {
		w.encodes, w.decodes = "", ""
	}
	return w, ok
}

// isExact reports whether the structure of t is encoded without loss: nothing that t is
// made of is unexported, without saying that it may be lost, or cannot be encoded. If
// strict, nothing may say so.
func isExact(t types.Type, strict bool) bool {
	return !follow(t, func(t types.Type, key bool) (found bool) {
		switch u := t.Underlying().(type) {
		case *types.Basic:
			return !encodable(u)
		case *types.Pointer:
			return key
		case *types.Chan, *types.Signature:
			return true
		case *types.Interface:
			_, isParam := types.Unalias(t).(*types.TypeParam)
			return !isParam
		case *types.Struct:
			lost, _ := unexported(u)
			if len(lost) > 0 || strict && drops(u) {
				return true
			}
			for f := range u.Fields() {
				if f.Embedded() && !f.Exported() && !setField(f) {
					return true
				}
			}
		}
		return false
	})
}

// follow looks at t and at what is encoded when its structure is, until look has found
// something, and says whether it has. It does not look into what has an exact way of its
// own. Each named type is looked at once, and once more in a map's key.
func follow(t types.Type, look func(t types.Type, key bool) (found bool)) bool {
	met := map[bool]*typeutil.Map{false: {}, true: {}}
	var visit func(t types.Type, key bool) bool
	visit = func(t types.Type, key bool) bool {
		t = types.Unalias(t)
		if named, ok := t.(*types.Named); ok && met[key].Set(named, true) != nil {
			return false
		}
		if look(t, key) {
			return true
		}
		part := func(t types.Type, key bool) bool { return !hasExactWay(t) && visit(t, key) }
		switch u := t.Underlying().(type) {
		case *types.Pointer:
			return part(u.Elem(), key)
		case *types.Slice:
			return part(u.Elem(), key)
		case *types.Array:
			return part(u.Elem(), key)
		case *types.Map:
			return part(u.Key(), true) || part(u.Elem(), key)
		case *types.Struct:
			for i := range u.NumFields() {
				f := u.Field(i)
				if f.Name() != "_" && !settings(f) && !skipped(u, i) && part(f.Type(), key) {
					return true
				}
			}
		}
		return false
	}
	return visit(t, false)
}

// hasExactWay reports whether t is encoded exactly whatever it is made of: the runtime
// knows it, or it has methods for that.
func hasExactWay(t types.Type) bool {
	if isPointer(t) || types.IsInterface(t) {
		return false
	}
	if _, ok := ownWay(t); ok || isTime(t) || isURL(t) {
		return true
	}
	for kind := byBinary; kind <= byGob; kind++ {
		enc, encodes := find(t, pairs[kind].marshal)
		dec, decodes := find(t, pairs[kind].unmarshal)
		if encodes && decodes && !enc.partial && !dec.partial {
			return true
		}
	}
	return false
}

// setField reports whether an embedded field that is not exported can be decoded: only a
// struct can, because its fields are set one by one.
func setField(f *types.Var) bool {
	_, isStruct := f.Type().Underlying().(*types.Struct)
	return isStruct && !isTime(f.Type()) && !isURL(f.Type()) && wayOf(f.Type()) == (way{})
}

// skipped reports whether the tag of a field says that it is not encoded.
func skipped(s *types.Struct, i int) bool {
	tag, _, _ := strings.Cut(reflect.StructTag(s.Tag(i)).Get("msgpack"), ",")
	return tag == "-"
}

// drops reports whether a struct has fields that are not encoded because their tags say so.
func drops(s *types.Struct) bool {
	for i := range s.NumFields() {
		if f := s.Field(i); f.Name() != "_" && !HoldsNothing(f.Type()) && skipped(s, i) {
			return true
		}
	}
	return false
}

// lookup returns the exported method of that name in t's method set, and the way to it
// through embedded fields; nil if there is none. Whole method sets would cost more than
// all else that is done with a value's type.
func lookup(t types.Type, name string) (f *types.Func, index []int) {
	obj, index, _ := types.LookupFieldOrMethod(t, false, nil, name)
	f, _ = obj.(*types.Func)
	return f, index
}

// fits reports whether a method has the signature that its name asks for.
func fits(name string, sig *types.Signature) bool {
	params, results := sig.Params(), sig.Results()
	coder := func(name string) bool {
		return params.Len() == 1 && results.Len() == 1 && isError(results.At(0).Type()) &&
			types.TypeString(params.At(0).Type(), nil) == "*github.com/vmihailenco/msgpack/v5."+name
	}
	switch name {
	case "EncodeMsgpack":
		return coder("Encoder")
	case "DecodeMsgpack":
		return coder("Decoder")
	case "MarshalMsgpack", "MarshalBinary", "GobEncode", "MarshalText":
		return params.Len() == 0 && results.Len() == 2 && isBytes(results.At(0).Type()) && isError(results.At(1).Type())
	}
	return params.Len() == 1 && results.Len() == 1 && isBytes(params.At(0).Type()) && isError(results.At(0).Type())
}

func isError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

func isBytes(t types.Type) bool {
	return types.Identical(t, types.NewSlice(types.Typ[types.Byte]))
}

// marshaler reports whether t encodes or decodes itself, so that its structure does
// not matter, and adds what is wrong with the way it does.
func (c *checker) marshaler(p place, t types.Type) bool {
	w := wayOf(t)
	if w == (way{}) {
		return false
	}
	name := c.name(t)
	switch {
	case w.encodes != "" && w.decodes != "":
		c.addf(p, "%s is encoded by %s but decoded by %s", name, w.encodes, w.decodes).
			Hint = "give it MarshalMsgpack and UnmarshalMsgpack, on the value and on the pointer"
	case w.encodes != "":
		missing := counterpart(w.encodes)
		c.addf(p, "%s has %s but no %s", name, w.encodes, missing).
			Hint = "add func (*" + base(t) + ") " + inverse(missing)
	case w.decodes != "":
		missing := counterpart(w.decodes)
		c.addf(p, "%s has %s but no %s", name, w.decodes, missing).
			Hint = "add func (" + base(t) + ") " + inverse(missing)
	case w.partial:
		d := c.addf(p, "%s encodes only an embedded field, whose %s it inherits", name, pairs[w.kind].marshal)
		if d.Hint = "make the embedded field a named one"; isNamed(t) {
			d.Hint += ", or give " + base(t) + " its own methods"
		}
	case p.key && shares(t):
		c.addf(p, "%s refers to other memory, so that in a map's key it does not compare equal after decoding", name).
			Hint = "use a text or number that is made of it as the key"
	case w.kind == byText:
		d := c.addf(p, "%s is stored as the text that its MarshalText makes, which may lose a part of it", name)
		d.Lossy = true
		d.Hint = "give it MarshalMsgpack and UnmarshalMsgpack, or write allow=lossy if its text says all"
		if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj().Pkg() != nil && c.qualifier(named.Obj().Pkg()) != "" {
			d.Hint = "store what it is made from, or write allow=lossy if its text says all"
		}
	}
	return true
}

// counterpart is the other method of a pair.
func counterpart(name string) string {
	for _, pair := range pairs {
		switch name {
		case pair.marshal:
			return pair.unmarshal
		case pair.unmarshal:
			return pair.marshal
		}
	}
	panic("unreachable: the name is one of the pairs'")
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// besides reports whether a struct on the way to a method, through embedded fields, has
// more than one field, so that the method is about a part of t alone.
func besides(t types.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if pointer, ok := t.Underlying().(*types.Pointer); ok {
			t = pointer.Elem()
		}
		s := t.Underlying().(*types.Struct)
		if s.NumFields() > 1 {
			return true
		}
		t = s.Field(i).Type()
	}
	return false
}

// Partial reports whether the method of t with that name is one of an embedded field
// beside which there are others.
func Partial(t types.Type, name string) bool {
	f, index := lookup(t, name)
	return f != nil && besides(t, index)
}

// isNamed reports whether t is a type that can be given methods, or points to one.
func isNamed(t types.Type) bool {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = types.Unalias(pointer.Elem())
	}
	_, ok := t.(*types.Named)
	return ok
}

// base is the name of the type that has t's methods.
func base(t types.Type) string {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = types.Unalias(pointer.Elem())
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return types.TypeString(t, nil)
}

// inverse is the signature of a method that is missing.
func inverse(name string) string {
	switch name {
	case "EncodeMsgpack":
		return name + "(*msgpack.Encoder) error"
	case "DecodeMsgpack":
		return name + "(*msgpack.Decoder) error"
	case "UnmarshalMsgpack", "UnmarshalBinary", "GobDecode", "UnmarshalText":
		return name + "([]byte) error"
	}
	return name + "() ([]byte, error)"
}
