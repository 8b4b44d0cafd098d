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
// A key has one load, unless somebody begins another beside it: because the first takes too
// long, because it was poisoned, or because a new load was asked for. A source that hangs
// must not get one more load each time, so no more than [MaxLoads] of a key run at once.
// Beyond that whoever needs another one waits until one of them has ended.
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

// MaxLoads is how many loads of one key may run at a time.
const MaxLoads = 4

// ErrNoWaiters is the cause of the cancellation of a load whose last waiter has left.
var ErrNoWaiters = errors.New("nobody waits for the load any more")

// A Group holds the flights of one store. Use [NewGroup].
type Group[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
	last   atomic.Uint64 // ID
}

type shard[T any] struct {
	mu   sync.Mutex
	keys map[string]*running[T]
}

// running is what runs for a key.
type running[T any] struct {
	// flights are those whose load runs, poisoned ones included, in the order in which they
	// began.
	flights []*Flight[T]
	// ended is closed when one of them is taken out; nil while nobody waits for that.
	ended chan struct{}
}

// full reports whether no other load may begin.
func (r *running[T]) full() bool { return len(r.flights) >= MaxLoads }

// waiting returns a channel that is closed when one of the flights is taken out.
func (r *running[T]) waiting() <-chan struct{} {
	if r.ended == nil {
		r.ended = make(chan struct{})
	}
	return r.ended
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
	finished   bool // done is closed; if f is among those that run all the same, the load goes on
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
		g.shards[i].keys = make(map[string]*running[T])
	}
	return g
}

func (g *Group[T]) shard(key string) *shard[T] {
	return &g.shards[maphash.String(g.seed, key)%shards]
}

// A Seat is what a caller who wants a flight has got.
type Seat[T any] struct {
	Flight *Flight[T]
	// Leader says that the caller has begun the flight, and runs it as one of its batch.
	Leader bool
	// Joined says that the caller waits for the flight's result. A leader in the foreground
	// has joined its own.
	Joined bool
	// Full says that the caller could not begin a flight because so many run.
	Full bool
	// Free is closed when the caller may ask again; nil if there is no need to.
	Free <-chan struct{}
}

func leads[T any](f *Flight[T]) Seat[T] {
	return Seat[T]{Flight: f, Leader: true, Joined: !f.background}
}
func joined[T any](f *Flight[T]) Seat[T] { return Seat[T]{Flight: f, Joined: true} }

// fullSeat is that of a caller who waits until a load has ended. Meanwhile he joins slow, if
// that is not nil and may be joined.
func (r *running[T]) fullSeat(slow *Flight[T]) Seat[T] {
	seat := Seat[T]{Flight: r.flights[len(r.flights)-1], Full: true, Free: r.waiting()}
	if slow != nil && slow.join() {
		seat.Flight, seat.Joined = slow, true
	}
	return seat
}

// Join returns a flight of key: a new one, which the caller leads, or one that runs, which it
// joins. If neither is possible, the flight's load was cancelled but has not returned yet, or
// so many loads run that none may begin: the caller waits until Free is closed and asks
// again, so that two loads of one key do not overlap. epoch is read while no other caller can
// join.
//
// A leader in the foreground counts as a waiter. A waiter ends with [Flight.Leave]. A
// caller in the background never joins: it leads, with no waiter, or there is nothing
// for it to do.
func (g *Group[T]) Join(key string, background bool, batch *Batch, epoch func() uint64) Seat[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(key)
	var blocking *Flight[T]
	for _, f := range slices.Backward(r.flights) { // the youngest is the least likely to hang
		if f.Poisoned() {
			continue
		}
		if !background && f.join() {
			return joined(f)
		}
		blocking = f
	}
	switch {
	case blocking != nil:
		return Seat[T]{Flight: blocking, Free: blocking.released}
	case r.full():
		return r.fullSeat(nil)
	}
	return leads(g.begin(s, key, background, batch, epoch))
}

// Beside returns a flight of the same key beside slow, which takes too long. All who give up
// waiting for one flight share the next, so that they wait for one more at most. If so many
// loads run that none may begin, they wait for slow on, and for the end of any other. The seat
// has no flight if slow has ended, or has been poisoned.
func (g *Group[T]) Beside(slow *Flight[T], batch *Batch, epoch func() uint64) Seat[T] {
	s := slow.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.keys[slow.Key]
	if slow.Poisoned() || r == nil || !slices.Contains(r.flights, slow) {
		return Seat[T]{}
	}
	if last := r.youngest(); last != slow && last.join() {
		return joined(last)
	}
	if r.full() {
		return r.fullSeat(slow)
	}
	return leads(g.begin(s, slow.Key, false, batch, epoch))
}

// Last returns the ID of the last flight that has begun, of whatever key.
func (g *Group[T]) Last() uint64 { return g.last.Load() }

// Replace poisons the flights of key and begins a forced one, which the caller leads. If a
// forced one has begun since after, which Last returned, and is not slow, the caller joins
// that. If so many loads run that none may begin, the seat is full.
func (g *Group[T]) Replace(key string, after uint64, slow *Flight[T], batch *Batch, epoch func() uint64) Seat[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(key)
	last := r.youngest()
	if last != nil && (!last.Forced || last.ID <= after) {
		last = nil
	}
	if last != nil && last != slow && last.join() {
		return joined(last)
	}
	if r.full() {
		return r.fullSeat(last)
	}
	r.poison()
	f := g.begin(s, key, false, batch, epoch)
	f.Forced = true
	return leads(f)
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
	r := s.of(key)
	r.flights = append(r.flights, f)
	s.keys[key] = r
	return f
}

// of returns what runs for key; nothing, if that is nothing. It is called under mu.
func (s *shard[T]) of(key string) *running[T] {
	if r := s.keys[key]; r != nil {
		return r
	}
	return &running[T]{}
}

// youngest returns the flight that began last and is not poisoned, or nil. It is called under
// the shard's mutex.
func (r *running[T]) youngest() *Flight[T] {
	for _, f := range slices.Backward(r.flights) {
		if !f.Poisoned() {
			return f
		}
	}
	return nil
}

// poison is called under the shard's mutex.
func (r *running[T]) poison() {
	for _, f := range r.flights {
		f.poisoned.Store(true)
		f.release()
	}
}

// Poison poisons the flights of key: those who wait for them still get the results, nobody
// joins them any more, and the results are not kept.
func (g *Group[T]) Poison(key string) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(key).poison()
}

// PoisonAll poisons every flight.
func (g *Group[T]) PoisonAll() {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for _, r := range s.keys {
			r.poison()
		}
		s.mu.Unlock()
	}
}

// Running returns the flights of key whose loads run, poisoned ones included.
func (g *Group[T]) Running(key string) []*Flight[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.of(key).flights)
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
	for _, other := range f.shard.of(f.Key).flights {
		if other != f {
			other.poisoned.Store(true)
			other.release()
		}
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

// Detach lets f go on when nobody waits for it any more, if what [Batch.OnDetach] was given
// allows the load to go on in the background. That is not asked if the load does already, or
// if f has finished. It reports whether it was refused, as it is if nobody waits for f now.
func (f *Flight[T]) Detach() (refused bool) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.finished || f.background {
		return false
	}
	if f.waiters == 0 {
		return true
	}
	f.background = f.batch.detach()
	return !f.background
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

// Hurry has a load wait no longer that waits for somebody else's load: a caller has waited too
// long for that. It returns since when the load does not wait any more, which is now if it has
// waited; the zero time if it never has.
func (f *Flight[T]) Hurry() (since time.Time) { return f.batch.hasten() }

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
// result is not kept, and it does not count any more among those that run.
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

// remove takes f out of those that run. It is called under shard.mu.
func (f *Flight[T]) remove() {
	r := f.shard.of(f.Key)
	i := slices.Index(r.flights, f)
	if i < 0 {
		return
	}
	r.flights = slices.Delete(r.flights, i, i+1)
	if r.ended != nil {
		close(r.ended)
		r.ended = nil
	}
	if len(r.flights) == 0 {
		delete(f.shard.keys, f.Key)
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
