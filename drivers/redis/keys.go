package redis

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cachegen/cachegen/drivers"
)

// The lease of a key is a separate key: the key, leaseMark, and three characters of
// padding that put both keys into one slot of a Cluster, so that one script can name both.
// A lease begins with its key, so a search for a prefix and the patterns of an access
// control list match leases too.
//
// The form must not change: other processes may run other versions of this package.
const (
	leaseMark = ":!lease"
	padding   = 3
	// Without braces: a brace would end a hash tag that begins in the key.
	paddingAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

const slots = 1 << 14

// leaseKey returns the key of key's lease.
func leaseKey(key string) string {
	if hasHashTag(key) {
		return key + leaseMark + paddingAlphabet[:1] + paddingAlphabet[:1] + paddingAlphabet[:1]
	}
	// The checksum is linear: the padding changes the checksum of the text before it in
	// the same way for every text.
	t := slotTables()
	own := t.crc(0, key)
	plain := t.crc(t.crc(own, leaseMark), "\x00\x00\x00")
	pad := t.paddings[(own^plain)%slots]
	return key + leaseMark + string(pad[:])
}

// leaseOf returns the key whose lease is key; ok is false if key is not a lease.
func leaseOf(key string) (entry string, ok bool) {
	entry, ok = strings.CutSuffix(key[:max(0, len(key)-padding)], leaseMark)
	return entry, ok && leaseKey(entry) == key
}

// hasHashTag reports whether only a part of key, in braces, decides its slot.
func hasHashTag(key string) bool {
	_, after, found := strings.Cut(key, "{")
	return found && strings.IndexByte(after, '}') > 0
}

// crcTables has the tables for the checksum that decides the slot of a key (CRC16, XMODEM).
type crcTables struct {
	bytes    [256]uint16
	paddings [slots][padding]byte // for each slot, a padding whose own slot it is
}

var slotTables = sync.OnceValue(func() *crcTables {
	t := new(crcTables)
	for i := range t.bytes {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		t.bytes[i] = crc
	}
	for _, a := range []byte(paddingAlphabet) {
		for _, b := range []byte(paddingAlphabet) {
			for _, c := range []byte(paddingAlphabet) {
				pad := [padding]byte{a, b, c}
				if p := &t.paddings[t.crc(0, string(pad[:]))%slots]; p[0] == 0 {
					*p = pad
				}
			}
		}
	}
	return t
})

func (t *crcTables) crc(crc uint16, text string) uint16 {
	for i := range len(text) {
		crc = crc<<8 ^ t.bytes[byte(crc>>8)^text[i]]
	}
	return crc
}

// maxBulk is the largest key or value in bytes, unless the server is configured to
// another limit.
const maxBulk = 512 << 20

// check refuses a key that cannot be stored, or that has the form of a lease.
func (d *Driver) check(key string) error {
	switch {
	case d.ring && key == "":
		return errEmptyKey
	case len(key) > maxBulk-len(leaseMark)-padding:
		return fmt.Errorf("%w: the key has %d bytes, more than 512 MB", drivers.ErrRefused, len(key))
	}
	if _, is := leaseOf(key); is {
		return fmt.Errorf("%w: key %s has the form of a lease", drivers.ErrRefused, quoted(key))
	}
	return nil
}

// checkItem refuses an item that cannot be stored.
func (d *Driver) checkItem(item drivers.Item) error {
	switch {
	case item.TTL < 0:
		return fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, item.TTL)
	case len(item.Value) > maxBulk:
		return fmt.Errorf("%w: the value has %d bytes, more than 512 MB", drivers.ErrRefused, len(item.Value))
	}
	return d.check(item.Key)
}
