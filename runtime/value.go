package runtime

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"unsafe"

	"github.com/cachegen/cachegen/runtime/internal/value"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A Value is what generated code knows of a type V of cached values, so that
// nothing has to be found out by reflection. Its functions may be called by several
// goroutines at a time, and must not keep or change what they are given.
type Value[V any] struct {
	// Fingerprint tells shapes of the type apart. An entry in the shared tier that
	// carries another one is a miss.
	Fingerprint uint64
	// Encode and Decode are the codec. A store with a codec of its own, see
	// [WithCodec], does not use them; otherwise neither may be nil.
	Encode func(*wire.Encoder, V)
	Decode func(*wire.Decoder) V
	// Copy returns a copy that shares no memory with its argument. Nil says that
	// assignment does that.
	Copy func(V) V
	// Size estimates how many bytes of memory a value refers to, besides those of
	// the V itself. Nil says that it refers to none.
	Size func(V) int
}

// generated reports whether the codec of v is used in a store with codec c.
func (v *Value[V]) generated(c Codec) bool { return v != nil && c == MsgPack }

// fingerprint is what entries carry in a store with codec c. What one codec has
// written is not for another to read.
func (v *Value[V]) fingerprint(c Codec) uint64 {
	switch {
	case v.generated(c):
		return v.Fingerprint
	case c == MsgPack:
		return value.Fingerprint(reflect.TypeFor[V]())
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%T %x", c, value.Fingerprint(reflect.TypeFor[V]()))
	return h.Sum64()
}

func (v *Value[V]) encoder(c Codec) func(any) ([]byte, error) {
	if v.generated(c) {
		return func(x any) ([]byte, error) {
			typed, _ := x.(V)
			return wire.Marshal(typed, v.Encode)
		}
	}
	return func(x any) ([]byte, error) {
		typed, _ := x.(V)
		return encode(c, &typed) // methods on the pointer count too
	}
}

func (v *Value[V]) decoder(c Codec) func([]byte) (any, error) {
	if v.generated(c) {
		return func(data []byte) (any, error) { return wire.Unmarshal(data, v.Decode) }
	}
	return func(data []byte) (any, error) {
		var out V
		err := decode(c, data, &out)
		return out, err
	}
}

// shares reports whether a copy by assignment can be changed through the original.
func (v *Value[V]) shares() bool {
	if v == nil {
		return value.Shares(reflect.TypeFor[V]())
	}
	return v.Copy != nil
}

func (v *Value[V]) copy(x V) V {
	if v == nil {
		return value.Copy(x)
	}
	return v.Copy(x)
}

func (v *Value[V]) size() func(any) int {
	if v == nil {
		return func(x any) int {
			typed, _ := x.(V)
			return value.Size(typed)
		}
	}
	return func(x any) int {
		typed, _ := x.(V)
		n := int(unsafe.Sizeof(typed))
		if v.Size != nil {
			n += v.Size(typed)
		}
		return n
	}
}
