package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The layout of a message, integers big-endian: version (1 byte), origin (8), then as uvarints
// sent, number, how many less last is than number, and ago; then the changes: of each its kind
// (1), the number of names (uvarint), and for each name its length (uvarint) and its bytes.
//
// Version 1 had neither numbers nor times, and one change in a message.

const version = 2

// ErrUnreadable says that bytes are not a message of a version that is known here.
var ErrUnreadable = errors.New("the bytes are not a message of this version of cachegen")

// A Kind says what happened to the names of a change.
type Kind uint8

// The kinds.
const (
	Drop        Kind = iota + 1 // of keys: the entries are gone, or there are newer ones
	Expire                      // of keys: the entries are stale
	DeleteStamp                 // of stamps: the delete half is new
	ExpireStamp                 // of stamps: the expire half is new
	Suspect                     // without names: something has changed of which the bus cannot carry the name
	Filled                      // of keys: their leases have ended. Nothing has changed that was valid
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
	case Suspect:
		return "suspect"
	case Filled:
		return "filled"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Change is what happened to some keys, or to some stamps.
type Change struct {
	Kind  Kind
	Names []string
}

// A Message is what one store tells the others. One without changes is a heartbeat.
type Message struct {
	Origin uint64 // the store that sent it
	// Sent is when, by the clock of the origin, which alone can read it.
	Sent time.Duration
	// Number counts the messages of the origin that say what has changed, also those of which
	// it does not know whether the bus has taken them. Of any other message it is Last.
	Number uint64
	// Last is the number of the last one before that the bus has taken for certain, zero if
	// there is none. Who has not heard that one has missed something.
	Last uint64
	// Ago is how long ago that one was sent, not more, in milliseconds.
	Ago     time.Duration
	Changes []Change
}

// maxAgo is the longest time that is told.
const maxAgo = math.MaxInt32 * time.Millisecond

// Append appends m to b. Ago loses what is below a millisecond.
func Append(b []byte, m *Message) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, m.Origin)
	b = binary.AppendUvarint(b, uint64(max(m.Sent, 0)))
	b = binary.AppendUvarint(b, m.Number)
	b = binary.AppendUvarint(b, m.Number-m.Last)
	b = binary.AppendUvarint(b, uint64(min(max(m.Ago, 0), maxAgo)/time.Millisecond))
	for _, c := range m.Changes {
		b = append(b, byte(c.Kind))
		b = binary.AppendUvarint(b, uint64(len(c.Names)))
		for _, name := range c.Names {
			b = binary.AppendUvarint(b, uint64(len(name)))
			b = append(b, name...)
		}
	}
	return b
}

const (
	// maxMessage is how many bytes a message has at most, unless a single name is longer. Every
	// bus takes as much, or says how much it takes, and a subscriber is not kept busy for long.
	maxMessage = 256 << 10
	// headerSize is how long a message without changes is at most, and changeSize what a change
	// takes besides its names, and nameSize what a name takes besides its bytes.
	headerSize = 1 + 8 + 4*binary.MaxVarintLen64
	changeSize = 1 + binary.MaxVarintLen32
	nameSize   = binary.MaxVarintLen32
)

// fit returns how many of names go into a message of at most limit bytes; at least one.
func fit(names []string, limit int) int {
	size := headerSize + changeSize
	for i, name := range names {
		if size += nameSize + len(name); size > limit && i > 0 {
			return i
		}
	}
	return len(names)
}

// Parse is the inverse of [Append]. What it cannot read is [ErrUnreadable].
func Parse(b []byte) (Message, error) {
	if len(b) < 9 || b[0] != version {
		return Message{}, ErrUnreadable
	}
	r := reader{b: b[9:]}
	m := Message{Origin: binary.BigEndian.Uint64(b[1:])}
	m.Sent = time.Duration(r.uvarint())
	m.Number = r.uvarint()
	back := r.uvarint()
	m.Last = m.Number - back
	ago := r.uvarint()
	if m.Sent < 0 || back > m.Number || ago > uint64(maxAgo/time.Millisecond) {
		return Message{}, ErrUnreadable
	}
	m.Ago = time.Duration(ago) * time.Millisecond
	for len(r.b) > 0 {
		m.Changes = append(m.Changes, r.change())
	}
	if r.failed {
		return Message{}, ErrUnreadable
	}
	return m, nil
}

// A reader takes a message apart. After a failure it has nothing left.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() {
	r.b, r.failed = nil, true
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) change() (c Change) {
	c.Kind = Kind(r.b[0])
	r.b = r.b[1:]
	count := r.uvarint()
	if c.Kind < Drop || c.Kind > Filled || count > uint64(len(r.b)) { // each name takes at least a length byte
		r.fail()
		return Change{}
	}
	c.Names = make([]string, 0, count)
	for range count {
		size := r.uvarint()
		if size > uint64(len(r.b)) {
			r.fail()
			return Change{}
		}
		c.Names = append(c.Names, string(r.b[:size]))
		r.b = r.b[size:]
	}
	return c
}
