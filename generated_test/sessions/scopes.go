package sessions

import (
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// Scopes are what a session may do: a set of at most 32 names. They marshal
// themselves, as the bits of a number.
type Scopes struct{ bits uint32 }

// The names of scopes, in the order of their bits.
var scopeNames = []string{"read", "write", "pay", "admin"}

// Grant returns the scopes with another one; an unknown name changes nothing.
func (s Scopes) Grant(name string) Scopes {
	s.bits |= bit(name)
	return s
}

// Has reports whether a scope of that name has been granted.
func (s Scopes) Has(name string) bool { return s.bits&bit(name) != 0 }

func bit(name string) uint32 {
	if i := slices.Index(scopeNames, name); i >= 0 {
		return 1 << i
	}
	return 0
}

// EncodeMsgpack writes the bits.
func (s Scopes) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeUint32(s.bits) }

// DecodeMsgpack reads the bits.
func (s *Scopes) DecodeMsgpack(d *msgpack.Decoder) error {
	bits, err := d.DecodeUint32()
	if err != nil {
		return fmt.Errorf("scopes: %w", err)
	}
	s.bits = bits
	return nil
}
