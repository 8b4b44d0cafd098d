package untyped

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
	"github.com/cachegen/cachegen/runtime/wire"
)

// setValue fills in what the definition knows of the values, or else reflection. The
// generated codec is used if the store's codec is the default one.
func (d *Definition) setValue(k *entry.Kind, codec Codec, isDefault bool) {
	t, v := d.ValueType, d.Value
	k.Fingerprint = d.fingerprint(codec, isDefault)
	if v != nil && isDefault {
		k.Encode = func(x any) ([]byte, error) { return wire.Write(t, func(e *wire.Encoder) { v.Encode(e, x) }) }
		k.Decode = func(data []byte) (x any, err error) {
			err = wire.Read(t, data, func(d *wire.Decoder) { x = v.Decode(d) })
			return x, err
		}
	} else {
		k.Encode = func(x any) ([]byte, error) {
			p := reflect.New(t) // methods on the pointer count too
			if x != nil {
				p.Elem().Set(reflect.ValueOf(x))
			}
			return encode(codec, p.Interface())
		}
		k.Decode = func(data []byte) (any, error) {
			p := reflect.New(t)
			err := decode(codec, data, p.Interface())
			return p.Elem().Interface(), err
		}
	}
	if v == nil {
		k.Size = func(x any) int { return reflectvalue.SizeAny(t, x) }
		if !d.Shared && reflectvalue.Shares(t) {
			k.Copy = reflectvalue.CopyAny
		}
		return
	}
	if !d.Shared {
		k.Copy = v.Copy
	}
	own := int(t.Size())
	k.Size = func(x any) int {
		if v.Size == nil {
			return own
		}
		return own + v.Size(x)
	}
}

// fingerprint is what entries carry in a store with that codec: a hash of all in the
// definition that decides whether an entry in the shared tier, which another version of the
// program may have written, is right. What one codec has written is not for another to
// read. Under another key pattern the same text may stand for something else, and what was
// stored without a tag is not reached when the tag is deleted. All else that a definition
// says is either in the key (namespace, instance), among the stamps that every entry has to
// carry (store, namespace, name), in the entry itself (deadlines, whether there is a
// value), or about this process alone.
func (d *Definition) fingerprint(codec Codec, isDefault bool) uint64 {
	n := d.valueFingerprint(codec, isDefault)
	if d.Pattern == "" && len(d.TagPatterns) == 0 {
		return n
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %q", n, d.Pattern)
	for _, p := range slices.Sorted(slices.Values(d.TagPatterns)) {
		fmt.Fprintf(h, " %q", p)
	}
	return h.Sum64()
}

// valueFingerprint is that of the bytes of a value.
func (d *Definition) valueFingerprint(codec Codec, isDefault bool) uint64 {
	switch {
	case !isDefault:
	case d.Value != nil:
		return d.Value.Fingerprint
	default:
		return reflectvalue.Fingerprint(d.ValueType)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%T %x", codec, reflectvalue.Fingerprint(d.ValueType))
	return h.Sum64()
}

// A Codec turns values into bytes and back; see runtime.Codec.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// encode and decode turn a codec's panic into an error: what lies in a shared
// tier may have been written by anyone.
func encode(c Codec, v any) (data []byte, err error) {
	defer recovered("encode", v, &err)
	return c.Marshal(v)
}

func decode(c Codec, data []byte, into any) (err error) {
	defer recovered("decode", into, &err)
	return c.Unmarshal(data, into)
}

func recovered(op string, v any, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("cachegen: %s %T: codec panicked: %v", op, v, p)
	}
}
