package reflectvalue

import (
	"encoding"
	"net/url"
	"reflect"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// A Way is how values of a type are encoded. The rules are those of the generator
// (cmd/cachegen/internal/value), as far as reflection can see: a type that says how msgpack
// writes it is asked; then comes what it is made of, if nothing of that is lost; then
// methods that are made for machines; then a text.
//
// Reflection does not see which methods a struct has from an embedded field. Those of a
// struct that embeds something that has them, beside other fields, are not asked.
type Way uint8

// The ways.
const (
	Structure Way = iota
	Custom
	Msgpack
	Binary
	Gob
	Text
	Time
	URL
)

type (
	gobEncoder interface{ GobEncode() ([]byte, error) }
	gobDecoder interface{ GobDecode([]byte) error }
)

// pairs are the methods of a way. They are looked for by interfaces: if names were looked
// for, the linker would keep every method of every type.
var pairs = [...]struct {
	name, inverse    string
	encoder, decoder reflect.Type
}{
	Custom:  {"EncodeMsgpack", "DecodeMsgpack", reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder]()},
	Msgpack: {"MarshalMsgpack", "UnmarshalMsgpack", reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler]()},
	Binary:  {"MarshalBinary", "UnmarshalBinary", reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()},
	Gob:     {"GobEncode", "GobDecode", reflect.TypeFor[gobEncoder](), reflect.TypeFor[gobDecoder]()},
	Text:    {"MarshalText", "UnmarshalText", reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
}

var (
	urlType = reflect.TypeFor[url.URL]()
	ways    sync.Map // of reflect.Type to Way
)

// WayOf returns how values of t are encoded.
func WayOf(t reflect.Type) Way {
	if w, ok := ways.Load(t); ok {
		return w.(Way)
	}
	w := wayOf(t)
	ways.Store(t, w)
	return w
}

func wayOf(t reflect.Type) Way {
	switch {
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Interface:
		return Structure
	case t == timeType:
		return Time
	case t == urlType:
		return URL
	}
	for w := Custom; w <= Msgpack; w++ {
		if has(t, w) {
			return w
		}
	}
	if t.ConvertibleTo(timeType) && t.Kind() == reflect.Struct {
		return Time
	}
	for w := Binary; w <= Text; w++ {
		if has(t, w) {
			if isExact(t, w != Text) {
				return Structure
			}
			return w
		}
	}
	return Structure
}

// has reports whether t has both methods of a way as its own, as far as can be seen.
func has(t reflect.Type, w Way) bool {
	implements := func(t, method reflect.Type) bool {
		return t.Implements(method) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(method)
	}
	if !implements(t, pairs[w].encoder) || !implements(t, pairs[w].decoder) {
		return false
	}
	if t.Kind() == reflect.Struct && t.NumField() > 1 {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous && (implements(f.Type, pairs[w].encoder) || implements(f.Type, pairs[w].decoder)) {
				return false
			}
		}
	}
	return true
}

// hasExactWay reports whether t is encoded exactly whatever it is made of.
func hasExactWay(t reflect.Type) bool {
	switch {
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Interface:
		return false
	case t == timeType, t == urlType, t.Kind() == reflect.Struct && t.ConvertibleTo(timeType):
		return true
	}
	for w := Custom; w <= Gob; w++ {
		if has(t, w) {
			return true
		}
	}
	return false
}

// isExact reports whether the structure of t is encoded without loss: nothing that t is
// made of is unexported, without saying that it may be lost, or cannot be encoded. If
// strict, nothing may say so.
func isExact(t reflect.Type, strict bool) bool {
	return !follow(t, func(t reflect.Type, key bool) bool {
		switch t.Kind() {
		case reflect.Pointer:
			return key
		case reflect.Struct:
			for i := range t.NumField() {
				f := t.Field(i)
				switch {
				case f.Name == "_" || !f.IsExported() && !f.Anonymous && holdsNothing(f.Type):
				case Skipped(f):
					if strict {
						return true
					}
				case !f.IsExported() && !setField(f):
					return true
				}
			}
			return false
		}
		return !encodable(t.Kind())
	})
}

func encodable(k reflect.Kind) bool {
	switch k {
	case reflect.Complex64, reflect.Complex128, reflect.Uintptr, reflect.UnsafePointer, reflect.Chan, reflect.Func, reflect.Interface:
		return false
	}
	return true
}

// follow looks at t and at what is encoded when its structure is, until look has found
// something, and says whether it has. It does not look into what has an exact way of its
// own. Each type is looked at once, and once more in a map's key.
func follow(t reflect.Type, look func(t reflect.Type, key bool) bool) bool {
	type place struct {
		t   reflect.Type
		key bool
	}
	met := map[place]bool{}
	var visit func(t reflect.Type, key bool) bool
	visit = func(t reflect.Type, key bool) bool {
		if met[place{t, key}] {
			return false
		}
		met[place{t, key}] = true
		if look(t, key) {
			return true
		}
		part := func(t reflect.Type, key bool) bool { return !hasExactWay(t) && visit(t, key) }
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			return part(t.Elem(), key)
		case reflect.Map:
			return part(t.Key(), true) || part(t.Elem(), key)
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); f.Name != "_" && !settings(f) && !Skipped(f) && part(f.Type, key) {
					return true
				}
			}
		}
		return false
	}
	return visit(t, false)
}

// Loses reports whether decoding gives less than what was encoded of a t: it has fields
// whose tags say so, or something that has nothing but a text.
func Loses(t reflect.Type) bool {
	return !hasExactWay(t) && follow(t, func(t reflect.Type, _ bool) bool {
		if WayOf(t) == Text {
			return true
		}
		if t.Kind() == reflect.Struct {
			for i := range t.NumField() {
				if f := t.Field(i); f.Name != "_" && !holdsNothing(f.Type) && Skipped(f) {
					return true
				}
			}
		}
		return false
	})
}

// Skipped reports whether the tag of a field says that it is not encoded.
func Skipped(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return name == "-"
}

// settings reports whether a field is there only for its tag, which is about the struct.
func settings(f reflect.StructField) bool {
	return f.Name == "_msgpack" && f.Type.Kind() == reflect.Struct && f.Type.NumField() == 0
}

// holdsNothing reports whether t has one value only, so that nothing is lost with it.
func holdsNothing(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() == 0 || holdsNothing(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "_" && !holdsNothing(f.Type) {
				return false
			}
		}
		return true
	}
	return false
}

// setField reports whether an embedded field that is not exported can be decoded: only a
// struct can, because its fields are set one by one.
func setField(f reflect.StructField) bool {
	return f.Anonymous && f.Type.Kind() == reflect.Struct && WayOf(f.Type) == Structure
}
