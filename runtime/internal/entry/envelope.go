package entry

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// The layout of an entry in the shared tier, integers big-endian: magic (2 bytes), version (1), flags (1), fresh
// until (8), stale until (8), grace (8), load started (8), fingerprint (8), number of
// stamps (uvarint), then for each stamp its name (uvarint length, bytes), delete
// half (8) and expire half (8); then the value, and a CRC-32C of all before it.

const (
	magic      = 0xCA6E
	version    = 1
	fixed      = 4 + 5*8
	checksum   = 4
	stampBytes = 16
)

// MaxStamps is how many stamps an entry has at most: a reader reads them all, whoever has
// written the entry.
const MaxStamps = 1024

// ErrUnreadable says that bytes are not an entry of a version that is known here.
var ErrUnreadable = errors.New("the bytes are not a cache entry of this version of cachegen")

var table = crc32.MakeTable(crc32.Castagnoli)

// Flags mark an entry.
type Flags uint8

const (
	// FlagExpired says that a user has expired the entry before the end of its TTL.
	FlagExpired Flags = 1 << iota
	// NotFound and Absent are the Presence of an entry that has no value.
	flagNotFound
	flagAbsent
)

// A Header is an entry without its value. Times are nanoseconds since 1970, on the clock of
// the machine that has loaded or expired the entry.
type Header struct {
	Flags       Flags
	FreshUntil  int64
	StaleUntil  int64
	Grace       int64 // how long it may be stale, in nanoseconds
	LoadStarted int64
	Fingerprint uint64
	Stamps      []stamp.Named
}

// Expire ends the freshness of h at t, as a user has asked for. Its grace counts from
// then. It returns false if there is no grace left.
func (h *Header) Expire(t int64) bool {
	if t < h.FreshUntil {
		h.FreshUntil = t
		if h.Grace < h.StaleUntil-t {
			h.StaleUntil = t + h.Grace
		}
	}
	h.Flags |= FlagExpired
	return h.Grace > 0 && h.StaleUntil > t
}

// Presence returns whether there is a value.
func (h *Header) Presence() Presence {
	switch {
	case h.Flags&flagNotFound != 0:
		return NotFound
	case h.Flags&flagAbsent != 0:
		return Absent
	}
	return Present
}

// header returns what is written of an item besides its value, but with the times of this
// process.
func (it *Item) header(fingerprint uint64) Header {
	h := Header{
		FreshUntil: it.FreshUntil, StaleUntil: it.StaleUntil, Grace: it.Grace, LoadStarted: it.LoadStarted,
		Fingerprint: fingerprint, Stamps: make([]stamp.Named, len(it.Stamps)),
	}
	if it.Expired {
		h.Flags |= FlagExpired
	}
	switch it.Presence {
	case NotFound:
		h.Flags |= flagNotFound
	case Absent:
		h.Flags |= flagAbsent
	}
	for i, ref := range it.Stamps {
		h.Stamps[i] = stamp.Named{Name: ref.Cell.Name, Value: ref.Value}
	}
	return h
}

// Append appends an envelope around value to b.
func Append(b []byte, h *Header, value []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, magic)
	b = append(b, version, byte(h.Flags))
	b = binary.BigEndian.AppendUint64(b, uint64(h.FreshUntil))
	b = binary.BigEndian.AppendUint64(b, uint64(h.StaleUntil))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Grace))
	b = binary.BigEndian.AppendUint64(b, uint64(h.LoadStarted))
	b = binary.BigEndian.AppendUint64(b, h.Fingerprint)
	b = binary.AppendUvarint(b, uint64(len(h.Stamps)))
	for _, s := range h.Stamps {
		b = binary.AppendUvarint(b, uint64(len(s.Name)))
		b = append(b, s.Name...)
		b = binary.BigEndian.AppendUint64(b, s.Delete)
		b = binary.BigEndian.AppendUint64(b, s.Expire)
	}
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], table))
}

// identify returns a number that tells an envelope from others of its key: its length and
// its checksum. It is never 0 for an envelope.
func identify(data []byte) uint64 {
	if len(data) < checksum {
		return 0
	}
	return uint64(len(data))<<32 | uint64(binary.BigEndian.Uint32(data[len(data)-checksum:]))
}

// Parse splits an envelope. The value is a part of data. What it cannot read, for
// whatever reason, is [ErrUnreadable].
func Parse(data []byte) (h Header, value []byte, err error) {
	if len(data) < fixed+1+checksum || binary.BigEndian.Uint16(data) != magic || data[2] != version {
		return Header{}, nil, ErrUnreadable
	}
	body, sum := data[:len(data)-checksum], data[len(data)-checksum:]
	if crc32.Checksum(body, table) != binary.BigEndian.Uint32(sum) {
		return Header{}, nil, ErrUnreadable
	}
	h.Flags = Flags(body[3])
	h.FreshUntil = int64(binary.BigEndian.Uint64(body[4:]))
	h.StaleUntil = int64(binary.BigEndian.Uint64(body[12:]))
	h.Grace = int64(binary.BigEndian.Uint64(body[20:]))
	h.LoadStarted = int64(binary.BigEndian.Uint64(body[28:]))
	h.Fingerprint = binary.BigEndian.Uint64(body[36:])
	rest := body[fixed:]
	count, n := binary.Uvarint(rest)
	// Each stamp takes its halves and at least a length byte: a hostile count
	// cannot make us allocate more than the data is long.
	if n <= 0 || count > MaxStamps || count > uint64(len(rest)/(stampBytes+1)) {
		return Header{}, nil, ErrUnreadable
	}
	rest = rest[n:]
	if count > 0 {
		h.Stamps = make([]stamp.Named, count)
	}
	for i := range h.Stamps {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)) || uint64(len(rest)-n) < size+stampBytes {
			return Header{}, nil, ErrUnreadable
		}
		rest = rest[n:]
		h.Stamps[i].Name = string(rest[:size])
		rest = rest[size:]
		h.Stamps[i].Delete = binary.BigEndian.Uint64(rest)
		h.Stamps[i].Expire = binary.BigEndian.Uint64(rest[8:])
		rest = rest[stampBytes:]
	}
	return h, slices.Clip(rest), nil // a codec that appends to it must not write over what follows
}
