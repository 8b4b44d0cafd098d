package value

import "go/types"

// The pairs of methods with which a type encodes itself, in the order in which
// msgpack looks for them. Kind 0 is none of them: the type's structure is encoded.
var pairs = [...]struct{ marshal, unmarshal string }{
	1: {"EncodeMsgpack", "DecodeMsgpack"},
	2: {"MarshalMsgpack", "UnmarshalMsgpack"},
	3: {"MarshalBinary", "UnmarshalBinary"},
	4: {"MarshalText", "UnmarshalText"},
}

// A method is how a type is encoded or decoded.
type method struct {
	kind    int  // an index of pairs
	pointer bool // needs an addressable value
	partial bool // comes from an embedded field, and there are others
	time    bool // is that of an embedded time.Time
}

func encoder(t types.Type) method {
	return find(t, func(kind int) string { return pairs[kind].marshal })
}
func decoder(t types.Type) method {
	return find(t, func(kind int) string { return pairs[kind].unmarshal })
}

// find returns the method that msgpack picks for t: one in t's own method set before
// one in its pointer's, and among those the first of pairs.
func find(t types.Type, name func(kind int) string) method {
	sets := []types.Type{t}
	_, pointer := t.Underlying().(*types.Pointer)
	if !pointer {
		sets = append(sets, types.NewPointer(t))
	}
	for i, set := range sets {
		for kind := 1; kind < len(pairs); kind++ {
			f, index := lookup(set, name(kind))
			if f != nil && fits(name(kind), f.Signature()) {
				return method{kind: kind, pointer: i > 0, partial: besides(set, index), time: len(index) > 1 && ofTime(f)}
			}
		}
	}
	return method{}
}

// ofTime reports whether f is a method of time.Time.
func ofTime(f *types.Func) bool {
	t := f.Signature().Recv().Type()
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	return ok && isTime(named)
}

// lookup returns the exported method of that name in t's method set, and the way to it
// through embedded fields; nil if there is none. Whole method sets would cost more than
// all else that is done with a value's type.
func lookup(t types.Type, name string) (f *types.Func, index []int) {
	obj, index, _ := types.LookupFieldOrMethod(t, false, nil, name)
	f, _ = obj.(*types.Func)
	return f, index
}

// fits reports whether a method has the signature that msgpack asks of its name.
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
	case "MarshalMsgpack", "MarshalBinary", "MarshalText":
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
	if types.IsInterface(t) {
		return false
	}
	enc, dec := encoder(t), decoder(t)
	if enc.kind == 0 && dec.kind == 0 {
		return false
	}
	// A pointer has its element's methods; the element's name says more.
	name := c.name(t)
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		name = c.name(pointer.Elem())
	}
	switch {
	case dec.kind == 0:
		c.addf(p, "%s has %s but no %s", name, pairs[enc.kind].marshal, pairs[enc.kind].unmarshal).
			Hint = "add func (*" + base(t) + ") " + inverse(pairs[enc.kind].unmarshal)
	case enc.kind == 0:
		c.addf(p, "%s has %s but no %s", name, pairs[dec.kind].unmarshal, pairs[dec.kind].marshal).
			Hint = "add func (" + base(t) + ") " + inverse(pairs[dec.kind].marshal)
	case enc.kind != dec.kind:
		c.addf(p, "%s is encoded by %s but decoded by %s", name, pairs[enc.kind].marshal, pairs[dec.kind].unmarshal).
			Hint = "give it MarshalMsgpack and UnmarshalMsgpack, on the value and on the pointer"
	case enc.partial, enc.time:
		what := "%s encodes only an embedded field, whose %s it inherits"
		if enc.time && !enc.partial {
			what = "%s loses the location of the time.Time that it embeds, whose %s it inherits"
		}
		d := c.addf(p, what, name, pairs[enc.kind].marshal)
		if d.Hint = "make the embedded field a named one"; isNamed(t) {
			d.Hint += ", or give " + base(t) + " its own methods"
		}
	case enc.pointer && !p.addressable:
		c.addf(p, "%s of *%s cannot be called: the value is not stored behind a pointer", pairs[enc.kind].marshal, base(t)).
			Hint = "use *" + base(t)
	case p.key && isPointer(t):
		c.addf(p, "a pointer in a map's key does not compare equal after decoding").Hint = pointerKeyHint
	}
	return true
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
	case "UnmarshalMsgpack", "UnmarshalBinary", "UnmarshalText":
		return name + "([]byte) error"
	}
	return name + "() ([]byte, error)"
}
