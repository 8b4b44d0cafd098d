package memory

import (
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
)

// Invalidate ends what is under way for keys in this process: nothing that was read or
// loaded before is kept, nobody joins the flights, failures and back-offs are forgotten, who waits
// for another process to load one of keys looks again. Then change
// says what becomes of each entry in memory; it is not called without a memory tier. All
// of it happens under the keys' stripes.
func (m *Memory) Invalidate(keys []string, change func(i int, hash uint64, before fence.Mark)) {
	for i, key := range keys {
		hash := m.Hash(key)
		m.Fence.Advance(hash, func(before fence.Mark) {
			m.Flights.Poison(key)
			m.failures.forget(key)
			m.backOffs.forget(key)
			if m.Driver != nil {
				change(i, hash, before)
			}
		})
	}
	m.Waiters.Wake(keys...)
}

// Unconfirm says that messages may have been missed until now, whatever the reason. What is
// under way is not kept, failures are forgotten, and what memory has is unconfirmed: it is
// served again when the shared tier was found to hold the same, or if nothing else can be
// had.
func (m *Memory) Unconfirm() {
	// What was read before must not count as confirmed. AdvanceAll waits for those who have
	// claimed their flight and are writing to memory: none is left when the new generation
	// begins.
	m.Flights.PoisonAll()
	m.Fence.AdvanceAll()
	m.failures.forgetAll()
	m.stamps.Gap(m.remote.Exists())
}

// Recheck makes every item be looked at anew before it is served.
func (m *Memory) Recheck() { m.stamps.Touch() }

// Set stores an item, or returns why the tier does not keep it. It is called by the change
// of [Memory.Invalidate].
func (m *Memory) Set(hash uint64, it *entry.Item) (refused error) { return m.keep(hash, it) }

// Delete removes an item. It is called by the change of [Memory.Invalidate].
func (m *Memory) Delete(hash uint64) { m.Driver.Delete(hash) }

// Expire makes the item of a key stale, or removes it if it has no grace. It is called by
// the change of [Memory.Invalidate].
func (m *Memory) Expire(key string, hash uint64) {
	it := m.Find(key, hash)
	if it == nil {
		return
	}
	if stale := it.ExpiredCopy(clock.Now()); stale != nil {
		_ = m.keep(hash, stale) // as large as the one that is there
	} else {
		m.Driver.Delete(hash)
	}
}

// DeleteSame removes an item if it is still the one in memory, and reports whether it was.
// It is called under the key's stripe.
func (m *Memory) DeleteSame(key string, hash uint64, it *entry.Item) bool {
	same := m.Find(key, hash) == it
	if same {
		m.Driver.Delete(hash)
	}
	return same
}
