// Package flight makes many callers of one key share one load.
//
// A flight is one load of one key: it has a leader, who runs the load, and waiters,
// who get the result. The package knows who waits and whether a flight may still be
// joined. What a load is, and what becomes of its result, is the caller's business.
// Flights belong to a store and are found by full key, so every handle to a cache
// shares them. A load of several keys has a flight for each; they are a [Batch].
//
// An invalidation poisons the flights of its key: those who wait get the result, but
// nobody joins any more, and the result is not kept.
//
// Locks: each shard's mutex guards its map and the waiters and results of its flights.
// A Batch's mutex is locked inside a shard's. Neither is held while a load runs or
// while anyone waits. The idea of sharing a load is that of golang.org/x/sync/singleflight.
package flight

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const shards = 128

// ErrNoWaiters is the cause of the cancellation of a load whose last waiter has left.
var ErrNoWaiters = errors.New("nobody waits for the load any more")

// A Group holds the flights of one store. Use [NewGroup].
type Group[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
	last   atomic.Uint64 // ID
}

type shard[T any] struct {
	mu sync.Mutex
	// flights are the flights of each key whose result may be kept, in the order in
	// which they began. There is one, unless a caller began another beside it.
	flights map[string][]*Flight[T]
}

// A Flight is one load of one key.
type Flight[T any] struct {
	Key    string
	ID     uint64 // no other flight of the group has it
	Epoch  uint64 // of the store's stamps when the flight began
	Forced bool   // loads although there may be a value

	shard    *shard[T]
	batch    *Batch
	done     chan struct{} // closed when the result is there
	released chan struct{} // closed when another load of the key may begin
	offered  chan struct{} // closed when there is a fallback
	poisoned atomic.Bool
	kept     atomic.Bool

	// Guarded by shard.mu; result and err until done is closed.
	waiters    int
	background bool // goes on although nobody waits
	free       bool // released is closed
	finished   bool // done is closed; if f is in the group all the same, the load goes on
	result     T
	err        error

	// Written by the leader before offered is closed.
	fallback  T
	offeredAt time.Time
}

// NewGroup returns an empty group.
func NewGroup[T any]() *Group[T] {
	g := &Group[T]{seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].flights = make(map[string][]*Flight[T])
	}
	return g
}

func (g *Group[T]) shard(key string) *shard[T] {
	return &g.shards[maphash.String(g.seed, key)%shards]
}

// Join returns a flight of key. A leader has begun it and runs it as one of batch.
// Otherwise joined says that the caller waits for its result. If neither holds, the
// flight's load was cancelled but has not returned yet: the caller waits for
// [Flight.Released] and asks again, so that two loads of one key do not overlap. epoch
// is read while no other caller can join.
//
// A leader in the foreground counts as a waiter. A waiter ends with [Flight.Leave]. A
// caller in the background never joins: it leads, with no waiter, or there is nothing
// for it to do.
func (g *Group[T]) Join(key string, background bool, batch *Batch, epoch func() uint64) (f *Flight[T], leader, joined bool) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	running := s.flights[key]
	for _, f := range slices.Backward(running) { // the youngest is the least likely to hang
		if !background && f.join() {
			return f, false, true
		}
	}
	if len(running) > 0 {
		return running[0], false, false
	}
	return g.begin(s, key, background, batch, epoch), true, true
}

// Beside returns a flight of the same key beside slow, which takes too long, and
// whether the caller is its leader. All who give up waiting for one flight share the
// next, so that they wait for one more at most. It returns nil if slow has ended.
func (g *Group[T]) Beside(slow *Flight[T], batch *Batch, epoch func() uint64) (f *Flight[T], leader bool) {
	s := slow.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	running := s.flights[slow.Key]
	if !slices.Contains(running, slow) {
		return nil, false
	}
	if last := running[len(running)-1]; last != slow && last.join() {
		return last, false
	}
	return g.begin(s, slow.Key, false, batch, epoch), true
}

// Replace poisons the flights of key and begins a forced one. The caller is its leader.
func (g *Group[T]) Replace(key string, batch *Batch, epoch func() uint64) *Flight[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison(key)
	f := g.begin(s, key, false, batch, epoch)
	f.Forced = true
	return f
}

// begin is called under s.mu.
func (g *Group[T]) begin(s *shard[T], key string, background bool, batch *Batch, epoch func() uint64) *Flight[T] {
	f := &Flight[T]{
		Key: key, ID: g.last.Add(1), Epoch: epoch(), shard: s, batch: batch, background: background,
		done: make(chan struct{}), released: make(chan struct{}), offered: make(chan struct{}),
	}
	if !background {
		f.waiters = 1
	}
	batch.add(background)
	s.flights[key] = append(s.flights[key], f)
	return f
}

// poison is called under s.mu.
func (s *shard[T]) poison(key string) {
	for _, f := range s.flights[key] {
		f.poisoned.Store(true)
		f.release()
	}
	delete(s.flights, key)
}

// Poison takes the flights of key out of the group: those who wait for them still get
// the results, nobody joins them any more, and the results are not kept.
func (g *Group[T]) Poison(key string) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison(key)
}

// PoisonAll poisons every flight.
func (g *Group[T]) PoisonAll() {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for key := range s.flights {
			s.poison(key)
		}
		s.mu.Unlock()
	}
}

// Poisoned reports whether the result must not be kept.
func (f *Flight[T]) Poisoned() bool { return f.poisoned.Load() }

// Claim reports whether the result may be kept. If so, the other flights of the key
// are poisoned: one result is kept.
func (f *Flight[T]) Claim() bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.poisoned.Load() {
		return false
	}
	if running := f.shard.flights[f.Key]; len(running) > 1 {
		for _, other := range running {
			if other != f {
				other.poisoned.Store(true)
				other.release()
			}
		}
		f.shard.flights[f.Key] = []*Flight[T]{f}
	}
	return true
}

// SetKept says that the result has been kept in memory.
func (f *Flight[T]) SetKept() { f.kept.Store(true) }

// Kept reports whether the result has been kept in memory.
func (f *Flight[T]) Kept() bool { return f.kept.Load() }

// join counts a waiter, if f may be joined. It is called under shard.mu.
func (f *Flight[T]) join() bool {
	if f.finished || !f.wanted() && !f.batch.want() {
		return false
	}
	f.waiters++
	return true
}

func (f *Flight[T]) wanted() bool { return f.waiters > 0 || f.background }

// Leave takes back a waiter. When nobody waits for any flight of the batch, and none
// goes on in the background, the load is cancelled.
func (f *Flight[T]) Leave() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.waiters--
	if !f.finished && !f.wanted() {
		f.batch.unwant()
	}
}

// Detach lets f go on when nobody waits for it any more, if acquire allows the load to
// go on in the background. acquire is not called if the load does already, or if f has
// finished.
func (f *Flight[T]) Detach(acquire func() bool) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if !f.finished && !f.background && f.batch.detach(acquire) {
		f.background = true
	}
}

// Finish gives f its result, once; later calls change nothing and return false. With
// running, the load goes on all the same, and no other load of the key begins before
// [Flight.Release].
func (f *Flight[T]) Finish(result T, err error, running bool) bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.finished {
		return false
	}
	f.finished = true
	f.result, f.err = result, err
	if !running {
		f.remove()
	}
	close(f.done)
	f.batch.finish(f.wanted())
	return true
}

// Offer gives those who wait a fallback while the load goes on. The leader calls it at
// most once.
func (f *Flight[T]) Offer(fallback T) {
	f.fallback, f.offeredAt = fallback, time.Now()
	close(f.offered)
}

// Offered is closed when there is a fallback.
func (f *Flight[T]) Offered() <-chan struct{} { return f.offered }

// Fallback returns what was offered, and when. It may be called once Offered is closed.
func (f *Flight[T]) Fallback() (T, time.Time) { return f.fallback, f.offeredAt }

// Abandon lets another load of the key begin although this one has not returned. Its
// result is not kept.
func (f *Flight[T]) Abandon() {
	f.poisoned.Store(true)
	f.Release()
}

// Release lets another load of the key begin. Later calls change nothing.
func (f *Flight[T]) Release() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.remove()
	f.release()
}

// release is called under shard.mu.
func (f *Flight[T]) release() {
	if !f.free {
		f.free = true
		close(f.released)
	}
}

// remove takes f out of the group. It is called under shard.mu.
func (f *Flight[T]) remove() {
	running := f.shard.flights[f.Key]
	i := slices.Index(running, f)
	switch {
	case i < 0:
	case len(running) == 1:
		delete(f.shard.flights, f.Key)
	default:
		f.shard.flights[f.Key] = slices.Delete(running, i, i+1)
	}
}

// Done is closed when the result is there.
func (f *Flight[T]) Done() <-chan struct{} { return f.done }

// Released is closed when another load of the key may begin.
func (f *Flight[T]) Released() <-chan struct{} { return f.released }

// In reports whether f is one of batch.
func (f *Flight[T]) In(batch *Batch) bool { return f.batch == batch }

// Result returns what f finished with. It may be called once Done is closed.
func (f *Flight[T]) Result() (T, error) { return f.result, f.err }
