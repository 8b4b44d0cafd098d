package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The layout of a message, integers big-endian: version (1 byte), origin (8), kind (1),
// number of names (uvarint), then for each its length (uvarint) and its bytes.

const version = 1

// ErrUnreadable says that bytes are not a message of a version that is known here.
var ErrUnreadable = errors.New("the bytes are not a message of this version of cachegen")

// A Kind says what happened to the names in a message.
type Kind uint8

// The kinds. The first two name keys, the others stamps.
const (
	Drop        Kind = iota + 1 // the entries are gone, or there are newer ones
	Expire                      // the entries are stale
	DeleteStamp                 // the delete half is new
	ExpireStamp                 // the expire half is new
)

// String returns what happened in words.
func (k Kind) String() string {
	switch k {
	case Drop:
		return "drop"
	case Expire:
		return "expire"
	case DeleteStamp:
		return "delete stamp"
	case ExpireStamp:
		return "expire stamp"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Message is one change.
type Message struct {
	Origin uint64 // the store that sent it
	Kind   Kind
	Names  []string
}

// Append appends m to b.
func Append(b []byte, m *Message) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, m.Origin)
	b = append(b, byte(m.Kind))
	b = binary.AppendUvarint(b, uint64(len(m.Names)))
	for _, name := range m.Names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return b
}

// maxMessage is how many bytes a message has at most, unless a single name is longer. Every
// bus takes as much, or says how much it takes, and a subscriber is not kept busy for long.
const maxMessage = 256 << 10

// fit returns how many of names go into a message of at most limit bytes; at least one.
func fit(names []string, limit int) int {
	size := 10 + binary.MaxVarintLen64
	for i, name := range names {
		if size += binary.MaxVarintLen32 + len(name); size > limit && i > 0 {
			return i
		}
	}
	return len(names)
}

// Parse is the inverse of [Append]. What it cannot read is [ErrUnreadable].
func Parse(b []byte) (Message, error) {
	if len(b) < 11 || b[0] != version {
		return Message{}, ErrUnreadable
	}
	m := Message{Origin: binary.BigEndian.Uint64(b[1:]), Kind: Kind(b[9])}
	if m.Kind < Drop || m.Kind > ExpireStamp {
		return Message{}, ErrUnreadable
	}
	b = b[10:]
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)-n) { // each name takes at least a length byte
		return Message{}, ErrUnreadable
	}
	b = b[n:]
	m.Names = make([]string, 0, count)
	for range count {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)) || uint64(len(b)-n) < size {
			return Message{}, ErrUnreadable
		}
		b = b[n:]
		m.Names = append(m.Names, string(b[:size]))
		b = b[size:]
	}
	if len(b) > 0 {
		return Message{}, ErrUnreadable
	}
	return m, nil
}
