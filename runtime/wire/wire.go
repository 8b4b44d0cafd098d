// Package wire is what generated code encodes, decodes, copies and measures values
// with. It is MessagePack as github.com/vmihailenco/msgpack writes it, made safe
// for bytes that anyone may have written:
//
//	func encodeUser(e *wire.Encoder, v *User) {
//		e.Struct(2)
//		e.Key("ID")
//		e.Int(v.ID)
//		e.Key("Name")
//		e.String(v.Name)
//	}
//
//	func decodeUser(d *wire.Decoder, v *User) {
//		for fields := d.Struct(); fields > 0 && d.OK(); fields-- {
//			switch d.Key() {
//			case "ID":
//				v.ID = d.Int64()
//			case "Name":
//				v.Name = d.String()
//			default:
//				d.Skip()
//			}
//		}
//	}
//
// The first error sticks: what follows does nothing, and [Marshal] and [Unmarshal]
// return it. What decoding allocates is bounded by a constant and a multiple of the
// bytes that are really there, and so is how deep it goes. What grows, a slice, a map, what
// a pointer points to, is counted before there is room made for it. Few values need more
// than that, such as many large structs of which nothing is written: [Marshal] appends a
// padding to those. What a type's own methods allocate is not counted.
//
// What is decoded is equal to what was encoded, with these exceptions. A pointer to nil
// (to a nil pointer, slice or map) comes back as a nil pointer. Pointers to one thing
// come back as pointers to equal things, and a cycle is not encoded at all. A time loses
// its monotonic reading, and its location where this machine does not know it, but not
// its zone. Fields with the tag "-" are zero. What a type's own methods lose is lost, and
// so is what msgpack loses by reflection where generated code cannot name a type.
//
// Copies, which are made without encoding, have none of these but one: only in values of
// recursive types do pointers to one thing stay pointers to one thing.
package wire

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/scan"
)

// MaxDepth is how deep values of a recursive type may be nested. Encoding one that
// is deeper, such as a cycle of pointers, fails, and so does decoding.
const MaxDepth = 10_000

var _ = [1]struct{}{}[MaxDepth-scan.MaxDepth] // the same

var encoders = sync.Pool{New: func() any { return &Encoder{m: msgpack.NewEncoder(nil)} }}

var decoders = sync.Pool{New: func() any { return &Decoder{m: msgpack.NewDecoder(nil)} }}

// Marshal returns what encode writes of v. It fails with the encoder's error, or if
// a method of the value panics.
func Marshal[V any](v V, encode func(*Encoder, V)) (data []byte, err error) {
	return Write(reflect.TypeFor[V](), func(e *Encoder) { encode(e, v) })
}

// Write is [Marshal] for a value of type t that encode holds already.
func Write(t reflect.Type, encode func(*Encoder)) (data []byte, err error) {
	e := encoders.Get().(*Encoder)
	e.begin()
	defer recovered("encode", t, &err)
	encode(e)
	data, err = e.end(t)
	if err != nil {
		err = fmt.Errorf("cachegen: encode %v: %w", t, onOneLine{err})
	}
	encoders.Put(e) // not after a panic
	return data, err
}

// Unmarshal returns what decode reads from data, all of it. On an error, which a
// panic of a method of the value is too, the value is the zero V. The value shares
// no memory with data.
func Unmarshal[V any](data []byte, decode func(*Decoder) V) (v V, err error) {
	var got V
	if err = Read(reflect.TypeFor[V](), data, func(d *Decoder) { got = decode(d) }); err == nil {
		v = got
	}
	return v, err
}

// Read is [Unmarshal] for a value of type t that decode keeps. On an error that may be
// anything.
func Read(t reflect.Type, data []byte, decode func(*Decoder)) (err error) {
	d := decoders.Get().(*Decoder)
	defer recovered("decode", t, &err)
	d.begin(data)
	d.charge(int(t.Size()))
	decode(d)
	if err = d.end(); err != nil {
		err = fmt.Errorf("cachegen: decode %v: %w", t, onOneLine{err})
	}
	decoders.Put(d) // not after a panic
	return err
}

func recovered(op string, t reflect.Type, err *error) {
	switch p := recover().(type) {
	case nil:
	case exceeded:
		*err = fmt.Errorf("cachegen: %s %v: %w", op, t, p.error)
	default:
		*err = fmt.Errorf("cachegen: %s %v: codec panicked: %s", op, t, keytext.Line(fmt.Sprint(p)))
	}
}

// An onOneLine is an error with a short text on one line. Methods of types like to tell the
// whole value, which anyone may have written.
type onOneLine struct{ error }

func (e onOneLine) Error() string { return keytext.Line(e.error.Error()) }

func (e onOneLine) Unwrap() error { return e.error }
