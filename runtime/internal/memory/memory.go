// Package memory is the tier inside the process: it finds entries, says what they are
// worth, and keeps new ones, unless they have been invalidated on their way.
//
// A [Memory] owns what orders reads and changes of a key in this process: the fence, the
// flights, who waits for another process, and the failures that are remembered in place of values. The locks are the
// fence's stripes, for a key's place in memory and for what happens around it, and inside
// them the flights' shards and the mutex of the failures. Another mutex guards the rounds in
// which items are confirmed, and is held with none of these. None is held while the shared
// tier is asked. A hit takes no lock at all.
//
// The package never loads, and never writes to the shared tier. It reads from it, to check
// what memory has.
package memory

import (
	"errors"
	"hash/maphash"
	"unsafe"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/waiters"
)

// A Flight is one load of one key.
type Flight = flight.Flight[*entry.Item]

// A Memory is the memory tier of a store. Without a driver it keeps nothing, but orders
// loads and changes all the same.
type Memory struct {
	Driver drivers.L1 // nil in a store without a memory tier

	// What a hit reads is together.
	hasher
	stamps *stamp.Table
	clock  clock.Coarse

	Flights  *flight.Group[*entry.Item]
	Waiters  waiters.Waiters // for leases of keys that other processes have
	remote   *remote.Tier
	bus      *bus.Conn
	failures failures
	backOffs backOffs
	rounds   rounds
	Fence    fence.Fence // last, because it is large
}

// A Config is what a Memory is made of.
type Config struct {
	Driver drivers.L1
	Prefix string // of all keys of the store
	Seed   maphash.Seed
	Stamps *stamp.Table
	Remote *remote.Tier
	Bus    *bus.Conn // nil without a bus
}

// New returns a Memory.
func New(c Config) *Memory {
	return &Memory{
		Driver: c.Driver, Flights: flight.NewGroup[*entry.Item](),
		hasher: hasher{c.Seed, c.Prefix}, stamps: c.Stamps, remote: c.Remote, bus: c.Bus,
	}
}

// Exists reports whether the store has a memory tier.
func (m *Memory) Exists() bool { return m.Driver != nil }

// Stop ends what Memory itself has running. The driver is closed by its owner.
func (m *Memory) Stop() {
	m.clock.Stop()
}

// Find returns the item of a full key, whatever it is worth, or nil.
func (m *Memory) Find(key string, hash uint64) *entry.Item {
	if m.Driver == nil {
		return nil
	}
	if it, _ := m.Driver.Get(hash).(*entry.Item); it != nil && it.Key == key {
		return it
	}
	return nil
}

// Hit returns the item of prefix and text, if it is fresh. Hash is that of the prefix. It
// does not allocate, and does not ask the shared tier.
func (m *Memory) Hit(prefix string, prefixHash uint64, text []byte) *entry.Item {
	if m.Driver == nil {
		return nil
	}
	// The string lives no longer than the call, in which nobody changes the bytes.
	key := unsafe.String(unsafe.SliceData(text), len(text))
	it, _ := m.Driver.Get(m.textHash(prefixHash, key)).(*entry.Item)
	if it == nil || len(it.Key) != len(prefix)+len(key) || it.Key[len(prefix):] != key || it.Key[:len(prefix)] != prefix {
		return nil
	}
	if it.Good(m.stamps.Epoch(), m.clock.Last()) {
		return it
	}
	return m.freshAfterCheck(it)
}

// HitInt is [Memory.Hit] for the key that is scope and n. Hash is that of scope.
func (m *Memory) HitInt(scope string, scopeHash uint64, n int64) *entry.Item {
	if m.Driver == nil {
		return nil
	}
	it, _ := m.Driver.Get(intHash(scopeHash, n)).(*entry.Item)
	if it == nil || !it.IsInt(scope, n) {
		return nil
	}
	if it.Good(m.stamps.Epoch(), m.clock.Last()) {
		return it
	}
	return m.freshAfterCheck(it)
}

// freshAfterCheck returns an item that is not known to be good, if it may be served
// without waiting for anything.
func (m *Memory) freshAfterCheck(it *entry.Item) *entry.Item {
	m.clock.Now() // so that the next hit may ask for Last
	// What is due, or known to be absent with an error, is for the slow path.
	if t := clock.Now(); m.CheckLocal(it, t) == Fresh && t < it.DueAt() && it.Presence != entry.NotFound {
		return it
	}
	return nil
}

// Put keeps what a flight has loaded, or removes what is there if that is nil, unless the
// key has been invalidated since the flight began. It reports whether it was not, and why
// the tier does not keep the item.
func (m *Memory) Put(key string, hash uint64, f *Flight, it *entry.Item) (valid bool, refused error) {
	if m.Driver != nil && f.Forced { // readers of the shared tier may be on their way with what was there before
		m.Fence.Advance(hash, nil)
	}
	m.Fence.Do(hash, func() {
		if !f.Claim() {
			return
		}
		valid = true
		f.SetKept()
		m.failures.forget(key)
		switch {
		case m.Driver == nil:
		case it != nil:
			refused = m.keep(hash, it)
		default:
			m.Driver.Delete(hash)
		}
	})
	return valid, refused
}

// keep gives an item to the driver, and returns why that does not keep it, if it is about
// the item. It is called under the key's stripe.
func (m *Memory) keep(hash uint64, it *entry.Item) (refused error) {
	if err := m.Driver.Set(hash, it, it.Footprint()); errors.Is(err, drivers.ErrRefused) {
		return err
	}
	return nil
}

// PutStale is [Memory.Put] for a stale item of the shared tier. If memory has the same
// item, which remembers when to call the loader again, or a younger one, that stays. The
// item to use is returned.
func (m *Memory) PutStale(hash uint64, f *Flight, it *entry.Item) *entry.Item {
	use := it
	if m.Driver != nil {
		m.Fence.Do(hash, func() {
			if old := m.Find(it.Key, hash); old != nil && m.Supersedes(old, it) {
				use = old
			} else if !f.Poisoned() {
				_ = m.keep(hash, it) // it is served all the same
			}
		})
	}
	return use
}

// PutRead keeps an item of the shared tier that was read without a load, unless the key
// has been invalidated since mark, or memory has a younger one and the item is stale. It
// returns why the tier does not keep the item.
func (m *Memory) PutRead(hash uint64, mark fence.Mark, it *entry.Item, v Verdict) (refused error) {
	if m.Driver == nil || v < Stale {
		return nil
	}
	m.Fence.KeepIf(hash, mark, func() {
		if old := m.Find(it.Key, hash); v == Fresh || old == nil || !m.Supersedes(old, it) {
			refused = m.keep(hash, it)
		}
	})
	return refused
}

// Supersedes reports whether it is younger than other, or is the same entry and knows as
// well that it has expired. What is over, or has been invalidated, supersedes nothing; and
// what may have been invalidated supersedes no other entry that may not.
func (m *Memory) Supersedes(it, other *entry.Item) bool {
	t := clock.Now()
	if m.CheckLocal(it, t) == Invalid {
		return false
	}
	if it.LoadStarted != other.LoadStarted {
		return it.LoadStarted > other.LoadStarted && (m.heard(it, t) || !m.heard(other, t))
	}
	return it.Expired || !other.Expired && it.FreshUntil <= other.FreshUntil
}
