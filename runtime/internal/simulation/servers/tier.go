// Package servers has what processes of a simulation share, as data that one goroutine changes:
// the server of the shared tier. And it knows what records and messages look like, so that the
// simulation can describe them, give each machine a clock of its own, and break them on purpose.
package servers

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Tier is the server of the shared tier. Its operations are those of drivers.L2 and its
// capabilities, on one key.
type Tier struct {
	content
	kept *content // a copy from before, to which it may return
	// History is how often it has returned to one.
	History int
	Faults  TierFaults
}

// TierFaults are mutations: what the server does wrong on purpose.
type TierFaults struct {
	KeepsLeases   bool // a deletion does not end the lease of its key
	FillsAlways   bool // what was loaded is stored whoever has the lease
	FillsFree     bool // what was loaded is stored if nobody has the lease
	KeepsCounters bool // when it goes back, the counters stay by which processes notice that
}

// content is what a copy of a tier holds.
type content struct {
	values map[string]stored
	leases map[string]lease
}

type stored struct {
	value []byte
	until time.Time // zero: for ever
}

type lease struct {
	token   string
	until   time.Time
	awaited bool
}

// NewTier returns an empty tier.
func NewTier(f TierFaults) *Tier {
	return &Tier{content: content{values: make(map[string]stored), leases: make(map[string]lease)}, Faults: f}
}

func (c *content) clone() content {
	return content{maps.Clone(c.values), maps.Clone(c.leases)} // values do not change
}

// Keep makes a copy.
func (t *Tier) Keep() {
	now := t.clone()
	t.kept = &now
}

// HasCopy reports whether Keep was called.
func (t *Tier) HasCopy() bool { return t.kept != nil }

// GoBack returns to the copy: what was written since is lost.
func (t *Tier) GoBack() {
	before := t.kept.clone()
	if t.Faults.KeepsCounters {
		for key, v := range t.values {
			if IsCounter(key) {
				before.values[key] = v
			}
		}
	}
	t.content = before
	t.History++
}

// Evict removes a key as if it were out of room. The lease of the key stays.
func (t *Tier) Evict(key string) { delete(t.values, key) }

// Keys returns the keys that have a value, in order.
func (t *Tier) Keys() []string { return slices.Sorted(maps.Keys(t.values)) }

// Get returns the value of a key, nil if there is none.
func (t *Tier) Get(key string) []byte {
	v, ok := t.values[key]
	if !ok || !v.until.IsZero() && !time.Now().Before(v.until) {
		return nil
	}
	return v.value
}

// Set stores a value, and ends the lease of its key.
func (t *Tier) Set(it drivers.Item) {
	v := stored{value: append([]byte{}, it.Value...)}
	if it.TTL > 0 {
		v.until = time.Now().Add(it.TTL)
	}
	t.values[it.Key] = v
	delete(t.leases, it.Key)
}

// Remove removes a key and its lease.
func (t *Tier) Remove(key string) {
	delete(t.values, key)
	if !t.Faults.KeepsLeases {
		delete(t.leases, key)
	}
}

// Add stores an item unless its key has a value, and returns the value that it has then.
func (t *Tier) Add(it drivers.Item) []byte {
	if t.Get(it.Key) == nil {
		t.Set(it)
	}
	return bytes.Clone(t.Get(it.Key))
}

// Swap replaces a value that is the one that w names.
func (t *Tier) Swap(w drivers.Swap) bool {
	now := t.Get(w.Key)
	_, leased := t.holder(w.Key)
	switch {
	case (now == nil) != (w.Old == nil) || !bytes.Equal(now, w.Old), w.Unleased && leased:
		return false
	case w.New == nil:
		t.Remove(w.Key)
	default:
		t.Set(drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL})
	}
	return true
}

// holder returns the lease of a key, if it has one that has not ended.
func (t *Tier) holder(key string) (l lease, ok bool) {
	l, ok = t.leases[key]
	return l, ok && time.Now().Before(l.until)
}

func (t *Tier) holds(key, token string) bool {
	l, ok := t.holder(key)
	return ok && l.token == token
}

// Lease asks for the lease of a key.
func (t *Tier) Lease(key string, want drivers.LeaseRequest) (found drivers.Lease) {
	found.Value = bytes.Clone(t.Get(key))
	held, ok := t.holder(key)
	switch {
	case want.IfAbsent && found.Value != nil:
	case want.Replace || !ok:
		t.leases[key] = lease{token: want.Token, until: time.Now().Add(want.TTL)}
		found.Taken = true
	default:
		found.Holder, found.Left = held.token, time.Until(held.until)
		held.awaited = held.awaited || want.Await
		t.leases[key] = held
	}
	return found
}

// Fill stores what was loaded, if token has the lease.
func (t *Tier) Fill(it drivers.Item, token string) (f drivers.Fill) {
	held, ok := t.holder(it.Key)
	f.Stored = ok && held.token == token || t.Faults.FillsAlways || t.Faults.FillsFree && !ok
	if f.Stored {
		f.Awaited = held.awaited
		t.Set(it)
	}
	return f
}

// Renew lets the lease that token has last longer.
func (t *Tier) Renew(key, token string, ttl time.Duration) bool {
	held, ok := t.leases[key]
	if !ok || !t.holds(key, token) {
		return false
	}
	held.until = time.Now().Add(ttl)
	t.leases[key] = held
	return true
}

// Release ends the lease that token has.
func (t *Tier) Release(key, token string) (awaited bool) {
	if t.holds(key, token) {
		awaited = t.leases[key].awaited
		delete(t.leases, key)
	}
	return awaited
}
