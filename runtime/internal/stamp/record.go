package stamp

import "encoding/binary"

// A Value is the two halves of a stamp. An entry whose Delete half is not current
// is gone; one whose Expire half is not current is stale and may still serve as a
// grace value. The zero Value is no stamp.
type Value struct{ Delete, Expire uint64 }

// A Record is a stamp as it lies in a shared tier.
type Record struct {
	Value
	// Until is when the tier forgets the stamp, on the clock of the machine that has written
	// it: not before the last entry that carries it. Whoever stores one that lives longer
	// writes a later Until.
	Until int64
	// History stands for the history of the tier in which a stamp of the store was made. Zero:
	// the stamp says nothing of it.
	History uint64
}

const (
	recordSize      = 3 * 8
	withHistorySize = recordSize + 8
)

// Bytes returns the bytes of a record. Both halves lie in one, so that none can be lost
// without the other: an entry that was expired would be fresh again.
func (r Record) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, withHistorySize), r.Delete)
	b = binary.BigEndian.AppendUint64(b, r.Expire)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Until))
	if r.History != 0 {
		b = binary.BigEndian.AppendUint64(b, r.History)
	}
	return b
}

// Parse is the inverse of [Record.Bytes]. It returns false for anything else.
func Parse(b []byte) (r Record, ok bool) {
	if len(b) != recordSize && len(b) != withHistorySize {
		return Record{}, false
	}
	r.Delete, r.Expire = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	r.Until = int64(binary.BigEndian.Uint64(b[16:]))
	if len(b) == withHistorySize {
		if r.History = binary.BigEndian.Uint64(b[recordSize:]); r.History == 0 { // which is written without
			return Record{}, false
		}
	}
	return r, r.Delete != 0 && r.Expire != 0
}

// Named is a stamp with what it stands for: a tag, a namespace, a cache.
type Named struct {
	Name string
	Value
}
