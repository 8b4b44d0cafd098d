// Package reflectwire is the codec for values of types without generated code: it writes and
// reads by reflection what generated code writes and reads. It has no state, and may be used
// by many goroutines at once. Which types it takes, reflectvalue.Check says.
package reflectwire

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
)

// An Encoder is a wire.Encoder, which this package cannot name.
type Encoder interface {
	Fail(error)
	Nil()
	Bool(bool)
	Int(int64)
	Uint(uint64)
	Float32(float32)
	Float64(float64)
	String(string)
	Bytes([]byte)
	Struct(n int)
	Key(name string)
	Map(n int, isNil bool)
	Array(n int)
	Slice(n int, isNil bool)
	Time(time.Time)
	URL(*url.URL)
	Custom(msgpack.CustomEncoder)
	Msgpack(msgpack.Marshaler)
	Binary(encoding.BinaryMarshaler)
	Gob(interface{ GobEncode() ([]byte, error) })
	Text(encoding.TextMarshaler)
}

// A Decoder is a wire.Decoder, which this package cannot name.
type Decoder interface {
	OK() bool
	Fail(error)
	Nil() bool
	Bool() bool
	Int64() int64
	Uint64() uint64
	Float32() float32
	Float64() float64
	String() string
	Bytes() []byte
	Fill([]byte)
	Struct() int
	Key() string
	Skip()
	Map() int
	Slice() int
	Array(n int) bool
	Time() time.Time
	URL(*url.URL)
	Custom(msgpack.CustomDecoder)
	Msgpack(msgpack.Unmarshaler)
	Binary(encoding.BinaryUnmarshaler)
	Gob(interface{ GobDecode([]byte) error })
	Text(encoding.TextUnmarshaler)
	// Room counts n elements of so many bytes as allocated, and returns for how many of
	// them to make room at once. MapRoom is that for a map.
	Room(n, size int) int
	MapRoom(n, key, elem int) int
}

var timeType = reflect.TypeFor[time.Time]()

// Encode writes v, which is addressable, and not nested too deep.
func Encode(e Encoder, v reflect.Value) {
	t := v.Type()
	if way := reflectvalue.WayOf(t); way != reflectvalue.Structure {
		encodeOwn(e, v, way)
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		e.Bool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.Int(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.Uint(v.Uint())
	case reflect.Float32:
		e.Float32(float32(v.Float()))
	case reflect.Float64:
		e.Float64(v.Float())
	case reflect.String:
		e.String(v.String())
	case reflect.Pointer:
		if v.IsNil() {
			e.Nil()
		} else {
			Encode(e, v.Elem())
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			e.Bytes(v.Bytes())
			return
		}
		e.Slice(v.Len(), v.IsNil())
		for i := range v.Len() {
			Encode(e, v.Index(i))
		}
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			e.Bytes(v.Bytes())
			return
		}
		e.Array(v.Len())
		for i := range v.Len() {
			Encode(e, v.Index(i))
		}
	case reflect.Map:
		e.Map(v.Len(), v.IsNil())
		for it := v.MapRange(); it.Next(); {
			Encode(e, addressable(it.Key()))
			Encode(e, addressable(it.Value()))
		}
	case reflect.Struct:
		encodeFields(e, v)
	default:
		e.Fail(fmt.Errorf("%v cannot be encoded", t))
	}
}

func addressable(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	return out
}

// encodeOwn writes a value of a type that is not written by its structure.
func encodeOwn(e Encoder, v reflect.Value, way reflectvalue.Way) {
	switch k := v.Kind(); {
	case way == reflectvalue.Time:
		e.Time(v.Convert(timeType).Interface().(time.Time))
		return
	case (k == reflect.Slice || k == reflect.Map) && v.IsNil():
		e.Nil()
		return
	}
	switch x := v.Addr().Interface(); way {
	case reflectvalue.URL:
		e.URL(x.(*url.URL))
	case reflectvalue.Custom:
		e.Custom(x.(msgpack.CustomEncoder))
	case reflectvalue.Msgpack:
		e.Msgpack(x.(msgpack.Marshaler))
	case reflectvalue.Binary:
		e.Binary(x.(encoding.BinaryMarshaler))
	case reflectvalue.Gob:
		e.Gob(x.(interface{ GobEncode() ([]byte, error) }))
	case reflectvalue.Text:
		e.Text(x.(encoding.TextMarshaler))
	}
}

func encodeFields(e Encoder, v reflect.Value) {
	s := reflectvalue.Fields(v.Type())
	fields := make([]reflect.Value, len(s.Fields)) // zero for what is left out
	n := 0
	for i, f := range s.Fields {
		field, embedded := at(v, f.Index)
		if field.IsValid() && !(f.OmitEmpty && !embedded && !s.AsArray && empty(field)) {
			fields[i] = field
			n++
		}
	}
	if s.AsArray {
		e.Array(len(fields))
	} else {
		e.Struct(n)
	}
	for i, field := range fields {
		switch {
		case field.IsValid():
			if !s.AsArray {
				e.Key(s.Fields[i].Name)
			}
			Encode(e, field)
		case s.AsArray:
			e.Nil()
		}
	}
}

// at returns the field on a way through embedded structs, and whether there is a pointer on
// it. The field is not valid if a pointer is nil.
func at(v reflect.Value, index []int) (field reflect.Value, pointer bool) {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, true
			}
			v, pointer = v.Elem(), true
		}
		v = v.Field(n)
	}
	return v, pointer
}

// empty reports whether omitempty leaves a field out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Struct:
		return v.Type() == timeType && v.IsZero()
	}
	return v.IsZero()
}

// Decode reads into v, which can be set and is zero. The data is well formed, and not nested
// too deep.
func Decode(d Decoder, v reflect.Value) {
	t := v.Type()
	if way := reflectvalue.WayOf(t); way != reflectvalue.Structure {
		decodeOwn(d, v, way)
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(d.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := d.Int64()
		if v.OverflowInt(n) {
			d.Fail(fmt.Errorf("%d does not fit %v", n, t))
			return
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := d.Uint64()
		if v.OverflowUint(n) {
			d.Fail(fmt.Errorf("%d does not fit %v", n, t))
			return
		}
		v.SetUint(n)
	case reflect.Float32:
		v.SetFloat(float64(d.Float32()))
	case reflect.Float64:
		v.SetFloat(d.Float64())
	case reflect.String:
		v.SetString(d.String())
	case reflect.Pointer:
		if !d.Nil() {
			d.Room(1, int(t.Elem().Size()))
			v.Set(reflect.New(t.Elem()).Convert(t))
			Decode(d, v.Elem())
		}
	case reflect.Slice:
		decodeSlice(d, v)
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			d.Fill(v.Bytes())
			return
		}
		if d.Array(v.Len()) {
			for i := 0; i < v.Len() && d.OK(); i++ {
				Decode(d, v.Index(i))
			}
		}
	case reflect.Map:
		decodeMap(d, v)
	case reflect.Struct:
		decodeFields(d, v)
	default:
		d.Fail(fmt.Errorf("%v cannot be decoded", t))
	}
}

func decodeOwn(d Decoder, v reflect.Value, way reflectvalue.Way) {
	if way == reflectvalue.Time {
		v.Set(reflect.ValueOf(d.Time()).Convert(v.Type()))
		return
	}
	switch x := v.Addr().Interface(); way {
	case reflectvalue.URL:
		d.URL(x.(*url.URL))
	case reflectvalue.Custom:
		d.Custom(x.(msgpack.CustomDecoder))
	case reflectvalue.Msgpack:
		d.Msgpack(x.(msgpack.Unmarshaler))
	case reflectvalue.Binary:
		d.Binary(x.(encoding.BinaryUnmarshaler))
	case reflectvalue.Gob:
		d.Gob(x.(interface{ GobDecode([]byte) error }))
	case reflectvalue.Text:
		d.Text(x.(encoding.TextUnmarshaler))
	}
}

func decodeSlice(d Decoder, v reflect.Value) {
	t := v.Type()
	if t.Elem().Kind() == reflect.Uint8 {
		if data := d.Bytes(); data != nil {
			v.SetBytes(data)
		}
		return
	}
	if d.Nil() {
		return
	}
	n := d.Slice()
	v.Set(reflect.MakeSlice(t, 0, d.Room(n, int(t.Elem().Size()))))
	for i := 0; i < n && d.OK(); i++ {
		v.Grow(1)
		v.SetLen(i + 1) // the element is zero
		Decode(d, v.Index(i))
	}
}

func decodeMap(d Decoder, v reflect.Value) {
	if d.Nil() {
		return
	}
	t := v.Type()
	n := d.Map()
	v.Set(reflect.MakeMapWithSize(t, d.MapRoom(n, int(t.Key().Size()), int(t.Elem().Size()))))
	for ; n > 0 && d.OK(); n-- {
		key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		Decode(d, key)
		Decode(d, elem)
		if d.OK() {
			v.SetMapIndex(key, elem)
		}
	}
}

func decodeFields(d Decoder, v reflect.Value) {
	s := reflectvalue.Fields(v.Type())
	if s.AsArray {
		if d.Array(len(s.Fields)) {
			for i := 0; i < len(s.Fields) && d.OK(); i++ {
				f := s.Fields[i]
				if _, embedded := at(v, f.Index); !embedded || !d.Nil() {
					Decode(d, made(d, v, f.Index))
				}
			}
		}
		return
	}
	for n := d.Struct(); n > 0 && d.OK(); n-- {
		if f := s.Find(d.Key()); f != nil {
			Decode(d, made(d, v, f.Index))
		} else {
			d.Skip()
		}
	}
}

// made is at, with the embedded pointers on the way.
func made(d Decoder, v reflect.Value, index []int) reflect.Value {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				d.Room(1, int(v.Type().Elem().Size()))
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v
}
