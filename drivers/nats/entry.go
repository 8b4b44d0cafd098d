package nats

import (
	"fmt"
	"strconv"
	"time"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
)

const (
	expiresHeader    = "Cachegen-Expires"       // Unix milliseconds; absent: kept forever
	leaseHeader      = "Cachegen-Lease"         // the token, escaped
	leaseUntilHeader = "Cachegen-Lease-Until"   // Unix milliseconds
	leaseSinceHeader = "Cachegen-Lease-Since"   // Unix milliseconds
	awaitedHeader    = "Cachegen-Lease-Awaited" // 1: somebody waits for the end of the lease
	keyHeader        = "Cachegen-Key"           // where the name is a hash: the length of the key, which is in front of the value

	// The header of a key without a value, as all NATS tools set it.
	operationHeader = "KV-Operation"
	deleted         = "DEL"

	maxToken = 256
)

// An entry is the content of the bucket for one key: a value, a lease or both. It is one
// message, so that every write of the key ends the lease.
type entry struct {
	sequence uint64 // of the message; 0: there is no message
	longKey  string // the key, where the name is its hash
	value    []byte // nil: there is no value
	expires  int64  // Unix milliseconds; 0: never
	held
}

// held is what an entry has of a lease.
type held struct {
	lease string // the token; empty: there is none
	// The lease counts as long as the clock of who looks at it is between since and until, in
	// Unix milliseconds. If it is before since, the clock of the holder is ahead of it by more
	// than the TTL, and until tells nothing.
	leaseSince, leaseUntil int64
	awaited                int64 // not 0: somebody waits for the end of the lease
}

// lent returns what an entry has of a lease that begins now.
func lent(token string, ttl time.Duration, awaited int64) held {
	return held{lease: token, leaseSince: time.Now().Add(-ttl).UnixMilli(), leaseUntil: deadline(ttl), awaited: awaited}
}

// live returns the value, or nil if it is past its TTL.
func (e *entry) live(now int64) []byte {
	if e.expires != 0 && e.expires <= now {
		return nil
	}
	return e.value
}

// leased reports whether the key has a lease.
func (h *held) leased(now int64) bool {
	return h.lease != "" && h.leaseSince <= now && now < h.leaseUntil
}

// message returns the message that stores e for key.
func (d *Driver) message(key string, e entry) *gonats.Msg {
	name := name(key)
	m := &gonats.Msg{Subject: d.subject + name, Header: gonats.Header{}, Data: e.value}
	if e.value == nil {
		m.Header.Set(operationHeader, deleted)
	} else if e.expires != 0 {
		m.Header.Set(expiresHeader, strconv.FormatInt(e.expires, 10))
	}
	if e.lease != "" {
		m.Header.Set(leaseHeader, escape(e.lease))
		m.Header.Set(leaseSinceHeader, strconv.FormatInt(e.leaseSince, 10))
		m.Header.Set(leaseUntilHeader, strconv.FormatInt(e.leaseUntil, 10))
		if e.awaited != 0 {
			m.Header.Set(awaitedHeader, "1")
		}
	}
	if hashed(name) {
		m.Header.Set(keyHeader, strconv.Itoa(len(key)))
		m.Data = append([]byte(key), e.value...)
	}
	return m
}

// parse returns the entry of a message. A message of another tool is a value that is kept
// forever. One whose headers are not ours, although they have the names of ours, is no value:
// the next write of its key replaces it.
func parse(header gonats.Header, data []byte, sequence uint64) entry {
	e, none := entry{sequence: sequence}, entry{sequence: sequence}
	var keyLength int64
	for name, field := range map[string]*int64{
		expiresHeader: &e.expires, leaseSinceHeader: &e.leaseSince, leaseUntilHeader: &e.leaseUntil, awaitedHeader: &e.awaited, keyHeader: &keyLength,
	} {
		text := header.Get(name)
		if text == "" {
			continue
		}
		var err error
		if *field, err = strconv.ParseInt(text, 10, 64); err != nil {
			return none
		}
	}
	if token := header.Get(leaseHeader); token != "" {
		var err error
		if e.lease, err = unescape(token); err != nil {
			return none
		}
	}
	if keyLength < 0 || keyLength > int64(len(data)) {
		return none
	}
	e.longKey, data = string(data[:keyLength]), data[keyLength:]
	// The server's own markers, of a bucket with a TTL, say why instead.
	if header.Get(operationHeader) == "" && header.Get(jetstream.MarkerReasonHeader) == "" {
		e.value = append([]byte{}, data...) // never nil
	}
	return e
}

// fresh returns the entry of an item that is stored now.
func fresh(item drivers.Item) (entry, error) {
	if item.TTL < 0 {
		return entry{}, fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, item.TTL)
	}
	e := entry{value: append([]byte{}, item.Value...)} // a copy, because an abandoned call goes on
	if item.TTL > 0 {
		e.expires = deadline(item.TTL)
	}
	return e, nil
}

// fits refuses values that are too large for a message, or would be with a lease.
func (d *Driver) fits(keys []string, entries []entry) error {
	room := int(d.conn.MaxPayload()) - Overhead
	for i, key := range keys {
		limit := room
		if hashed(name(key)) {
			limit -= len(key)
		}
		if size := len(entries[i].value); size > limit {
			return fmt.Errorf("%w: the value of key %s has %d bytes, and the server's max_payload allows %d",
				drivers.ErrRefused, brief(key), size, max(limit, 0))
		}
	}
	return nil
}

// deadline returns the time of expiry, rounded up so that no item expires before its TTL.
func deadline(ttl time.Duration) int64 {
	return time.Now().Add(ttl).Add(time.Millisecond - 1).UnixMilli()
}

func now() int64 { return time.Now().UnixMilli() }
