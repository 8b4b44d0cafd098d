// Package fence orders what happens to a key in two tiers. It keeps two promises,
// although no lock is held while a tier is read or written: a value that was read before an
// invalidation is not kept after it, and of several writes to the shared tier the one
// that began last takes effect last.
//
// Keys share a fixed number of stripes. Each stripe has a counter that every
// invalidation advances: whoever wants to keep what it reads takes a [Mark] before the
// read, and keeps the value only if the stripe has not advanced since. And each stripe
// has a queue of the writes under way: a write waits for those that began before it.
// Two keys on one stripe cost a value that is not kept, or a wait, for nothing.
//
// Each stripe's mutex guards its counter and its queue. Functions that are passed in
// run under it: they must be quick and must not call the fence.
package fence

import (
	"slices"
	"sync"
	"time"
)

const stripes = 4096

// A Fence guards the keys of one store. The zero value is ready.
type Fence [stripes]stripe

type stripe struct {
	mu      sync.Mutex
	mark    Mark
	writes  []*write // under way, in the order they began
	changes int      // how many of them are invalidations
}

// A write is one in the queues of its stripes.
type write struct {
	change bool
	begun  chan struct{} // closed when it waits no longer
	done   chan struct{}
}

// A Mark is the state of a key's stripe at a moment.
type Mark uint64

func (f *Fence) of(hash uint64) *stripe { return &f[hash%stripes] }

// Mark returns the present mark of hash.
func (f *Fence) Mark(hash uint64) Mark {
	st := f.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.mark
}

// KeepIf runs keep unless the stripe has advanced since mark. No invalidation of the key
// happens meanwhile. It reports whether keep ran.
func (f *Fence) KeepIf(hash uint64, mark Mark, keep func()) bool {
	st := f.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.mark != mark {
		return false
	}
	keep()
	return true
}

// Do runs do while no invalidation of the key happens.
func (f *Fence) Do(hash uint64, do func()) {
	st := f.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	do()
}

// Advance advances the stripe and runs change, which may be nil, with the mark before.
func (f *Fence) Advance(hash uint64, change func(before Mark)) {
	st := f.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.mark++
	if change != nil {
		change(st.mark - 1)
	}
}

// AdvanceAll advances every stripe.
func (f *Fence) AdvanceAll() {
	for i := range f {
		f[i].mu.Lock()
		f[i].mark++
		f[i].mu.Unlock()
	}
}

// A Turn is a place in the queues of some stripes. Its holder calls Wait, writes, and
// calls End.
type Turn struct {
	fence  *Fence
	own    *write
	at     []uint64 // stripes
	before []*write
}

// BeginFill begins a write of loaded values, for those of hashes for which may returns
// true. may is not called for a hash whose invalidation is under way: what would be
// written may be what is being removed. It returns nil if there is nothing to write.
func (f *Fence) BeginFill(hashes []uint64, may func(i int) bool) *Turn {
	t := &Turn{fence: f, own: &write{begun: make(chan struct{}), done: make(chan struct{})}}
	at := lockAll(f, hashes)
	for i, h := range hashes {
		st := f.of(h)
		if st.changes > 0 || !may(i) {
			continue
		}
		if n := len(st.writes); n == 0 || st.writes[n-1] != t.own { // not for another of hashes
			t.at = append(t.at, h%stripes)
			t.enter(st)
		}
	}
	unlockAll(f, at)
	if len(t.at) == 0 {
		return nil
	}
	return t
}

// lockAll locks the stripes of hashes, in one order: of two who do so one is first
// everywhere, so that they do not wait for each other.
func lockAll(f *Fence, hashes []uint64) (at []uint64) {
	at = make([]uint64, len(hashes))
	for i, h := range hashes {
		at[i] = h % stripes
	}
	slices.Sort(at)
	at = slices.Compact(at)
	for _, i := range at {
		f[i].mu.Lock()
	}
	return at
}

func unlockAll(f *Fence, at []uint64) {
	for _, i := range at {
		f[i].mu.Unlock()
	}
}

// BeginChange advances the stripes of hashes and begins an invalidation of them. It
// returns the new marks in the order of hashes.
func (f *Fence) BeginChange(hashes []uint64) ([]Mark, *Turn) {
	t := &Turn{fence: f, own: &write{change: true, begun: make(chan struct{}), done: make(chan struct{})}, at: lockAll(f, hashes)}
	for _, i := range t.at {
		f[i].mark++
		t.enter(&f[i])
	}
	marks := make([]Mark, len(hashes))
	for i, h := range hashes {
		marks[i] = f.of(h).mark
	}
	unlockAll(f, t.at)
	return marks, t
}

// enter is called under st's lock.
func (t *Turn) enter(st *stripe) {
	t.before = append(t.before, st.writes...)
	st.writes = append(st.writes, t.own)
	if t.own.change {
		st.changes++
	}
}

// Wait waits until the writes that began before have ended, or have taken limit since
// their own wait ended. It is called once.
func (t *Turn) Wait(limit time.Duration) {
	defer close(t.own.begun)
	for _, w := range t.before {
		select {
		case <-w.done:
			continue
		case <-w.begun:
		}
		timer := time.NewTimer(limit)
		select {
		case <-w.done:
		case <-timer.C:
		}
		timer.Stop()
	}
	t.before = nil
}

// End lets the next write begin. It is called once.
func (t *Turn) End() {
	for _, i := range t.at {
		st := &t.fence[i]
		st.mu.Lock()
		n := slices.Index(st.writes, t.own)
		st.writes = slices.Delete(st.writes, n, n+1)
		if len(st.writes) == 0 {
			st.writes = nil
		}
		if t.own.change {
			st.changes--
		}
		st.mu.Unlock()
	}
	close(t.own.done)
}
