package entry

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// During a rolling deploy, builds share keys whose entries they cannot read of each other:
// their fingerprints differ. So that they do not replace each other's entries at every
// read, the bytes of a key can hold several entries, one of each fingerprint: its variants.
// They are of one source row, and whoever invalidates the key removes them all.
//
// The layout of several: the magic of an entry (2 bytes) and version 2 (1), then for each
// variant its length (4 bytes, big-endian) and the envelope that it would be alone. One
// entry is its envelope, and nothing else.

const (
	several     = 2 // in place of an envelope's version
	severalHead = 3
	lengthBytes = 4
	// fingerprintAt is where an envelope has its fingerprint.
	fingerprintAt = fixed - 8
	// maxVariants bounds what a key takes in the tier, and what each read of it transfers. A
	// deploy has two builds, and one that is rolled back and forward again has three.
	maxVariants = 3
)

// isSeveral reports whether data claims to be several variants.
func isSeveral(data []byte) bool {
	return len(data) >= severalHead && binary.BigEndian.Uint16(data) == magic && data[2] == several
}

// cutVariant cuts the first variant off. It is a part of data, and is not looked into.
func cutVariant(data []byte) (variant, rest []byte, ok bool) {
	if len(data) < lengthBytes {
		return nil, nil, false
	}
	n, data := uint64(binary.BigEndian.Uint32(data)), data[lengthBytes:]
	if n < fixed || n > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:n:n], data[n:], true
}

// variant returns the part of data that a reader with that fingerprint has to read. One
// entry is returned whatever its fingerprint is.
func variant(data []byte, fingerprint uint64) ([]byte, error) {
	if !isSeveral(data) {
		return data, nil
	}
	rest := data[severalHead:]
	for range maxVariants {
		v, after, ok := cutVariant(rest)
		switch {
		case !ok:
			return nil, ErrUnreadable
		case binary.BigEndian.Uint64(v[fingerprintAt:]) == fingerprint:
			return v, nil
		case len(after) == 0:
			return nil, ErrSchema
		}
		rest = after
	}
	return nil, ErrUnreadable
}

// variants returns all that data holds, youngest first as they were written, without
// looking into them. It is nil if data says that it is several, and is not.
func variants(data []byte) (all [][]byte) {
	if !isSeveral(data) {
		return [][]byte{data}
	}
	for rest := data[severalHead:]; len(rest) > 0; {
		v, after, ok := cutVariant(rest)
		if !ok || len(all) == maxVariants {
			return nil
		}
		all, rest = append(all, v), after
	}
	return all
}

// join returns the bytes of a key that holds all of envelopes.
func join(envelopes [][]byte) []byte {
	if len(envelopes) == 1 {
		return envelopes[0]
	}
	n := severalHead
	for _, e := range envelopes {
		n += lengthBytes + len(e)
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 0, n), magic)
	b = append(b, several)
	for _, e := range envelopes {
		b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
		b = append(b, e...)
	}
	return b
}

// Headers returns what the bytes of a key say of the entries that they hold. It is false if
// one of them cannot be read.
func Headers(data []byte) (headers []Header, ok bool) {
	for _, v := range variants(data) {
		h, _, err := Parse(v)
		if err != nil {
			return nil, false
		}
		headers = append(headers, h)
	}
	return headers, len(headers) > 0
}

// PackBeside is [Kind.Pack] for an item whose key held the bytes before, and still does when
// it is stored. Entries of other fingerprints among them stay beside it. alone is the item
// without them, for a tier that refuses so much.
//
// Who does not know for certain that nobody has changed the key since before was read uses
// Pack: he would store again what has been invalidated meanwhile.
func (k *Kind) PackBeside(it *Item, before []byte) (beside, alone drivers.Item, err error) {
	alone, err = k.Pack(it)
	if err != nil {
		return alone, alone, err
	}
	beside = alone
	envelopes := [][]byte{alone.Value}
	for _, o := range k.others(before) {
		envelopes = append(envelopes, o.envelope)
		if beside.TTL > 0 { // or it is for ever
			if ttl := Lifetime(clock.Wall(), o.StaleUntil); ttl == 0 || ttl > beside.TTL {
				beside.TTL = ttl
			}
		}
	}
	beside.Value = join(envelopes)
	return beside, alone, nil
}

// An other is an entry of another fingerprint.
type other struct {
	Header
	envelope []byte
}

// others returns those entries among the bytes of a key that stay beside a new one: the
// youngest of other fingerprints that somebody may still use.
func (k *Kind) others(data []byte) (all []other) {
	if data == nil {
		return nil
	}
	for _, v := range variants(data) {
		h, _, err := Parse(v)
		if err == nil && h.Fingerprint != k.Fingerprint && k.mayLive(&h) {
			all = append(all, other{h, v})
		}
	}
	slices.SortStableFunc(all, func(a, b other) int { return cmp.Compare(b.LoadStarted, a.LoadStarted) })
	fingerprints := make(map[uint64]bool)
	all = slices.DeleteFunc(all, func(o other) bool {
		again := fingerprints[o.Fingerprint]
		fingerprints[o.Fingerprint] = true
		return again
	})
	return all[:min(len(all), maxVariants-1)]
}

// mayLive reports whether an entry of another build may be served: its time is not over, and
// it was not cleared, as far as this process knows.
func (k *Kind) mayLive(h *Header) bool {
	if h.StaleUntil <= clock.Wall() || len(h.Stamps) < len(k.Required) {
		return false
	}
	for i, cell := range k.Required {
		if now, _, ok := cell.Current(); h.Stamps[i].Name != cell.Name || ok && h.Stamps[i].Delete != now.Delete {
			return false
		}
	}
	return true
}
