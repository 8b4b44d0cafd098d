package nodes

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A tier is the server of the shared tier. Only the goroutine of the run touches it, one
// operation at a time.
type tier struct {
	content
	kept    *content // a copy from before, to which it may return
	history int      // how often it has returned to one
	// leased tells of every lease that is taken or has ended, for the checker.
	faults tierFaults
}

// The content of a tier is what a snapshot of it holds.
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

func newTier(f tierFaults) tier {
	return tier{content: content{values: make(map[string]stored), leases: make(map[string]lease)}, faults: f}
}

func (c *content) clone() content {
	return content{maps.Clone(c.values), maps.Clone(c.leases)} // values do not change
}

// keep makes a snapshot.
func (t *tier) keep() {
	now := t.clone()
	t.kept = &now
}

// goBack returns to the snapshot: what was written since is lost.
func (t *tier) goBack() {
	before := t.kept.clone()
	t.content = before
	t.history++
}

// keys returns the keys that have a value, in order.
func (t *tier) keys() []string { return slices.Sorted(maps.Keys(t.values)) }

// get returns the value of a key, nil if there is none.
func (t *tier) get(key string) []byte {
	v, ok := t.values[key]
	if !ok || !v.until.IsZero() && !time.Now().Before(v.until) {
		return nil
	}
	return v.value
}

// set stores a value, and ends the lease of its key.
func (t *tier) set(it drivers.Item) {
	v := stored{value: append([]byte{}, it.Value...)}
	if it.TTL > 0 {
		v.until = time.Now().Add(it.TTL)
	}
	t.values[it.Key] = v
	delete(t.leases, it.Key)
}

// remove removes a key and its lease.
func (t *tier) remove(key string) {
	delete(t.values, key)
	if !t.faults.keepsLeases {
		delete(t.leases, key)
	}
}

// add stores an item unless its key has a value, and returns the value that it has then.
func (t *tier) add(it drivers.Item) []byte {
	if t.get(it.Key) == nil {
		t.set(it)
	}
	return bytes.Clone(t.get(it.Key))
}

func (t *tier) swap(w drivers.Swap) bool {
	now := t.get(w.Key)
	switch {
	case (now == nil) != (w.Old == nil) || !bytes.Equal(now, w.Old):
		return false
	case w.New == nil:
		t.remove(w.Key)
	default:
		t.set(drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL})
	}
	return true
}

// holder returns the lease of a key, if it has one that has not ended.
func (t *tier) holder(key string) (l lease, ok bool) {
	l, ok = t.leases[key]
	return l, ok && time.Now().Before(l.until)
}

func (t *tier) holds(key, token string) bool {
	l, ok := t.holder(key)
	return ok && l.token == token
}

func (t *tier) lease(key string, want drivers.LeaseRequest) (found drivers.Lease) {
	found.Value = bytes.Clone(t.get(key))
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

func (t *tier) fill(it drivers.Item, token string) (f drivers.Fill) {
	held, ok := t.holder(it.Key)
	f.Stored = ok && held.token == token || t.faults.fills(ok)
	if f.Stored {
		f.Awaited = held.awaited
		t.set(it)
	}
	return f
}

func (t *tier) renew(key, token string, ttl time.Duration) bool {
	held, ok := t.leases[key]
	if !ok || !t.holds(key, token) {
		return false
	}
	held.until = time.Now().Add(ttl)
	t.leases[key] = held
	return true
}

func (t *tier) release(key, token string) (awaited bool) {
	if t.holds(key, token) {
		awaited = t.leases[key].awaited
		delete(t.leases, key)
	}
	return awaited
}
