// Package fence orders what happens to a key in two tiers. It keeps two promises,
// although no lock is held while a tier is read or written: a value that was read before an
// invalidation is not kept after it, and of several writes of a key to the shared tier the
// one that began last takes effect last.
//
// Keys share a fixed number of stripes. Each stripe has a counter that every
// invalidation advances: whoever wants to keep what it reads takes a [Mark] before the
// read, and keeps the value only if the stripe has not advanced since. Two keys on one
// stripe cost a value that is not kept, for nothing.
//
// The writes under way are queued by key, not by stripe: a write waits for those of its own
// keys that began before it, and for no other, since it may wait as long as the shared tier
// takes. A key has a queue only while a write of it is under way.
//
// Each stripe's mutex guards its counter and its queues. Functions that are passed in
// run under it: they must be quick and must not call the fence.
package fence

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const stripes = 4096

// A Fence guards the keys of one store. The zero value is ready.
type Fence struct {
	stripes [stripes]stripe
	orders  atomic.Uint64
}

// An Order says which of two writes of a key began first: the one with the smaller Order.
// None is zero.
type Order uint64

// NextOrder returns the order of a change that takes no turn: those of stamps do not.
func (f *Fence) NextOrder() Order { return Order(f.orders.Add(1)) }

type stripe struct {
	mu     sync.Mutex
	mark   Mark
	queues map[uint64]*queue // by hash; nil if there is none
}

// A queue is the writes of one key that are under way. Keys with the same hash share it.
type queue struct {
	writes  []*write // in the order they began
	changes int      // how many of them are invalidations
	// advanced counts how often the key has been advanced since the queue began.
	advanced Mark
}

// A write is one in the queues of its keys.
type write struct {
	change  bool
	begun   chan struct{} // closed when it waits no longer
	begunAt time.Time     // read once begun is closed
	done    chan struct{}
}

// A Mark is a count of a stripe's, or a key's, invalidations at a moment.
type Mark uint64

func (f *Fence) of(hash uint64) *stripe { return &f.stripes[hash%stripes] }

// advance is called under mu.
func (st *stripe) advance(hash uint64) {
	st.mark++
	if q := st.queues[hash]; q != nil {
		q.advanced++
	}
}

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

// Advance advances the stripe and runs change, which may be nil. For a key with a write
// under way, before is how often the key had been advanced: see [Fence.BeginChange].
func (f *Fence) Advance(hash uint64, change func(before Mark)) {
	st := f.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	var before Mark
	if q := st.queues[hash]; q != nil {
		before = q.advanced
	}
	st.advance(hash)
	if change != nil {
		change(before)
	}
}

// AdvanceAll advances every stripe, and every key with a write under way.
func (f *Fence) AdvanceAll() {
	for i := range f.stripes {
		st := &f.stripes[i]
		st.mu.Lock()
		st.mark++
		for _, q := range st.queues {
			q.advanced++
		}
		st.mu.Unlock()
	}
}

// A Turn is a place in the queues of some keys. Its holder calls Wait, writes, and
// calls End.
type Turn struct {
	fence  *Fence
	own    *write
	order  Order
	hashes []uint64 // in whose queues it is, each once
	before []*write // each once
}

// Order returns when the write began, among the writes of its keys.
func (t *Turn) Order() Order { return t.order }

func (f *Fence) newTurn(change bool) *Turn {
	return &Turn{fence: f, own: &write{change: change, begun: make(chan struct{}), done: make(chan struct{})}}
}

// BeginFill begins a write of loaded values, for those of hashes for which may returns
// true. may is not called for a hash whose invalidation is under way: what would be
// written may be what is being removed. It returns nil if there is nothing to write.
func (f *Fence) BeginFill(hashes []uint64, may func(i int) bool) *Turn {
	t := f.newTurn(false)
	at := lockAll(f, hashes)
	t.order = f.NextOrder() // with the stripes locked: it is that of the queues
	seen := make(map[*write]struct{})
	for i, h := range hashes {
		if q := f.of(h).queues[h]; q != nil && q.changes > 0 || !may(i) {
			continue
		}
		t.enter(h, seen)
	}
	unlockAll(f, at)
	if len(t.hashes) == 0 {
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
		f.stripes[i].mu.Lock()
	}
	return at
}

func unlockAll(f *Fence, at []uint64) {
	for _, i := range at {
		f.stripes[i].mu.Unlock()
	}
}

// OrderFill is for a write of loaded values which the shared tier itself refuses where a key has
// been changed since its load began. Nobody has to wait for such a write, nor it for others. It
// returns when the write began, among the changes of its keys. may is called as by BeginFill:
// a write that begins while a change is under way would seem to make up for that, if it fails.
func (f *Fence) OrderFill(hashes []uint64, may func(i int) bool) Order {
	at := lockAll(f, hashes)
	defer unlockAll(f, at)
	order := f.NextOrder()
	for i, h := range hashes {
		if q := f.of(h).queues[h]; q == nil || q.changes == 0 {
			may(i)
		}
	}
	return order
}

// BeginChange advances hashes and begins an invalidation of them. It returns how often each
// has been advanced since others began to write it. If [Fence.Advance] finds the same count
// while the turn lasts, nothing else has advanced the key since.
func (f *Fence) BeginChange(hashes []uint64) ([]Mark, *Turn) {
	t := f.newTurn(true)
	at := lockAll(f, hashes)
	t.order = f.NextOrder()
	seen := make(map[*write]struct{})
	for _, h := range hashes {
		f.of(h).advance(h)
		t.enter(h, seen)
	}
	marks := make([]Mark, len(hashes))
	for i, h := range hashes {
		marks[i] = f.of(h).queues[h].advanced
	}
	unlockAll(f, at)
	return marks, t
}

// enter enters the queue of hash, unless t is in it already, for another key. It is called
// under the stripe's lock, and notes in seen the writes that t waits for.
func (t *Turn) enter(hash uint64, seen map[*write]struct{}) {
	st := t.fence.of(hash)
	q := st.queues[hash]
	if q == nil {
		if st.queues == nil {
			st.queues = make(map[uint64]*queue)
		}
		q = &queue{}
		st.queues[hash] = q
	}
	if n := len(q.writes); n > 0 && q.writes[n-1] == t.own {
		return
	}
	for _, w := range q.writes {
		if _, ok := seen[w]; !ok {
			seen[w] = struct{}{}
			t.before = append(t.before, w)
		}
	}
	q.writes = append(q.writes, t.own)
	if t.own.change {
		q.changes++
	}
	t.hashes = append(t.hashes, hash)
}

// Wait waits until the writes that began before have ended, or have taken limit since
// their own wait ended. It is called once.
func (t *Turn) Wait(limit time.Duration) { t.WaitWithin(limit, math.MaxInt64) }

// WaitWithin is Wait for at most a time. It reports whether the turn has come: if it has not,
// its holder must not write.
func (t *Turn) WaitWithin(limit, most time.Duration) (came bool) {
	if len(t.before) > 0 {
		over := time.NewTimer(most)
		defer over.Stop()
		for _, w := range t.before {
			if !w.await(limit, over.C) {
				return false
			}
		}
	}
	t.before, t.own.begunAt = nil, time.Now()
	close(t.own.begun)
	return true
}

// await waits until w has ended, or has taken limit; it returns false if that takes until over.
func (w *write) await(limit time.Duration, over <-chan time.Time) bool {
	select {
	case <-w.done:
		return true
	case <-w.begun:
	case <-over:
		return false
	}
	timer := time.NewTimer(limit - time.Since(w.begunAt))
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	case <-over:
		return false
	}
	return true
}

// End lets the next write begin. It is called once.
func (t *Turn) End() {
	for _, h := range t.hashes {
		st := t.fence.of(h)
		st.mu.Lock()
		q := st.queues[h]
		n := slices.Index(q.writes, t.own)
		q.writes = slices.Delete(q.writes, n, n+1)
		if t.own.change {
			q.changes--
		}
		if len(q.writes) == 0 {
			delete(st.queues, h)
			if len(st.queues) == 0 {
				st.queues = nil
			}
		}
		st.mu.Unlock()
	}
	close(t.own.done)
}
