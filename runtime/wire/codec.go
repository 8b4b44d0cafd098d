package wire

import (
	"fmt"
	"reflect"
)

// A Codec is what values of types without generated code are written with: by reflection,
// as msgpack does, within the bounds of this package.
type Codec struct{}

// Marshal returns the bytes of v, or of what v points to.
func (Codec) Marshal(v any) ([]byte, error) {
	t := reflect.TypeOf(v)
	switch {
	case t == nil:
		t = reflect.TypeFor[any]()
	case t.Kind() == reflect.Pointer:
		t = t.Elem()
	}
	return MarshalAny(t, v)
}

// Unmarshal fills the value that v points to. On an error it may be anything.
func (Codec) Unmarshal(data []byte, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("cachegen: decode into %T, which is no pointer to a value", v)
	}
	return Read(p.Type().Elem(), data, func(d *Decoder) { d.Reflect(v) })
}

// MarshalAny returns the bytes of a value of type t, which v is, or points to.
func MarshalAny(t reflect.Type, v any) ([]byte, error) {
	return Write(t, func(e *Encoder) { e.Reflect(v) })
}
