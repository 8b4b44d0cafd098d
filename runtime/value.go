package runtime

import (
	"fmt"
	"hash/fnv"
	"reflect"

	"github.com/cachegen/cachegen/runtime/internal/untyped"
	"github.com/cachegen/cachegen/runtime/internal/value"
	"github.com/cachegen/cachegen/runtime/wire"
)

// setValue fills in what the definition knows of the values, or else reflection. The
// generated codec is used unless the store has a codec of its own.
func (c *core) setValue(d *untyped.Definition, codec Codec) {
	t, v := d.ValueType, d.Value
	c.fingerprint = fingerprint(d, codec)
	if v != nil && codec == MsgPack {
		c.encode = func(x any) ([]byte, error) { return wire.Write(t, func(e *wire.Encoder) { v.Encode(e, x) }) }
		c.decode = func(data []byte) (x any, err error) {
			err = wire.Read(t, data, func(d *wire.Decoder) { x = v.Decode(d) })
			return x, err
		}
	} else {
		c.encode = func(x any) ([]byte, error) {
			p := reflect.New(t) // methods on the pointer count too
			if x != nil {
				p.Elem().Set(reflect.ValueOf(x))
			}
			return encode(codec, p.Interface())
		}
		c.decode = func(data []byte) (any, error) {
			p := reflect.New(t)
			err := decode(codec, data, p.Interface())
			return p.Elem().Interface(), err
		}
	}
	if v == nil {
		c.copy = value.CopyAny
		c.size = func(x any) int { return value.SizeAny(t, x) }
		c.shares = !d.Shared && value.Shares(t)
		c.copiesHits = c.shares
		return
	}
	c.copy, c.shares = v.Copy, !d.Shared && v.Copy != nil
	own := int(t.Size())
	c.size = func(x any) int {
		if v.Size == nil {
			return own
		}
		return own + v.Size(x)
	}
}

// fingerprint is what entries carry in a store with that codec. What one codec has
// written is not for another to read.
func fingerprint(d *untyped.Definition, codec Codec) uint64 {
	switch {
	case codec != MsgPack:
	case d.Value != nil:
		return d.Value.Fingerprint
	default:
		return value.Fingerprint(d.ValueType)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%T %x", codec, value.Fingerprint(d.ValueType))
	return h.Sum64()
}
