package untyped

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
	"github.com/cachegen/cachegen/runtime/wire"
)

// setValue fills in what the definition knows of the values, or else reflection. The
// generated codec is used if the store's codec is the default one.
func (d *Definition) setValue(k *entry.Kind, codec Codec, isDefault bool) {
	t, v := d.ValueType, d.Value
	k.Fingerprint = d.fingerprint(codec, isDefault)
	switch {
	case v != nil && isDefault:
		k.Encode = func(x any) ([]byte, error) { return wire.Write(t, func(e *wire.Encoder) { v.Encode(e, x) }) }
		k.Decode = func(data []byte) (x any, err error) {
			err = wire.Read(t, data, func(d *wire.Decoder) { x = v.Decode(d) })
			return x, err
		}
	case isDefault:
		k.Encode = func(x any) ([]byte, error) { return wire.MarshalAny(t, pointerTo(t, x)) }
		k.Decode = func(data []byte) (x any, err error) {
			err = wire.Read(t, data, func(d *wire.Decoder) { // which counts the value's own size first
				p := reflect.New(t)
				d.Reflect(p.Interface())
				x = p.Elem().Interface()
			})
			return x, err
		}
	default:
		k.Encode = func(x any) ([]byte, error) { return encode(codec, pointerTo(t, x)) }
		k.Decode = func(data []byte) (any, error) {
			p := reflect.New(t)
			if err := decode(codec, data, p.Interface()); err != nil {
				return nil, err
			}
			return reflectvalue.Own(p.Elem().Interface()) // of data, which is a part of what has been read
		}
	}
	lossy := !isDefault && k.Remote
	if isDefault {
		lossy = v != nil && v.Lossy || v == nil && reflectvalue.Loses(t)
	}
	if lossy {
		k.Lossy = func(x any) (any, error) { // of a codec of the user nobody knows what it loses
			data, err := k.Encode(x)
			if err != nil {
				return nil, err
			}
			return k.Decode(data)
		}
	}
	if v == nil {
		k.Size = func(x any) int { return reflectvalue.SizeAny(t, x) }
		if !d.Shared && reflectvalue.Shares(t) {
			k.Copy = reflectvalue.CopyAny
		}
		d.setKeep(k, isDefault)
		return
	}
	if !d.Shared {
		k.Copy = v.Copy
	}
	d.setKeep(k, isDefault)
	own := int(t.Size())
	k.Size = func(x any) int {
		if v.Size == nil {
			return own
		}
		return own + v.Size(x)
	}
}

// setKeep fills in how memory gets a value that refers to nothing of the loader's. Of a type
// with something that reflection does not copy, that is what decoding makes of its bytes, if
// the codec loses nothing; otherwise the methods may copy it by which callers get their copies.
func (d *Definition) setKeep(k *entry.Kind, isDefault bool) {
	hides := reflectvalue.Hides(d.ValueType)
	decoded := hides && isDefault && k.Lossy == nil && (d.Value != nil || reflectvalue.Storable(d.ValueType))
	k.Keep = func(x any) (any, error) {
		if decoded {
			if data, err := k.Encode(x); err == nil {
				if own, err := k.Decode(data); err == nil {
					return own, nil
				}
			}
		}
		own, err := reflectvalue.Own(x)
		if err != nil {
			return nil, fmt.Errorf("cachegen: copy %T: %w", x, err)
		}
		if hides && k.Copy != nil {
			own = k.Copy(own)
		}
		return own, nil
	}
}

// pointerTo returns a pointer to a value of type t: methods on the pointer count, too.
func pointerTo(t reflect.Type, x any) any {
	p := reflect.New(t)
	if x != nil {
		p.Elem().Set(reflect.ValueOf(x))
	}
	return p.Interface()
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
		*err = fmt.Errorf("cachegen: %s %T: codec panicked: %s", op, v, keytext.Line(fmt.Sprint(p)))
	}
}
