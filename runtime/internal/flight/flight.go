// Package flight makes many callers of one key share one load.
//
// It knows who waits and whether a flight may still be joined; what a load is,
// and what becomes of its result, is the caller's business. Flights belong to a
// store and are found by full key, so that every handle to a cache shares them.
// A load may bring several keys: it has a flight for each, and they are a [Crew].
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

// ErrDeserted is the cause of the cancellation of a load whose last waiter left.
var ErrDeserted = errors.New("nobody waits for the load any more")

// A Group holds the flights of one store. Use [NewGroup].
type Group[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
	last   atomic.Uint64 // ID
}

type shard[T any] struct {
	mu sync.Mutex
	// flights are those under way to a key whose result may be kept, in the order
	// they began. There is one, unless others went past it.
	flights map[string][]*Flight[T]
}

// A Flight is the way of one key's value into the cache.
type Flight[T any] struct {
	Key    string
	ID     uint64 // no other flight of the group has it
	Epoch  uint64 // of the store's stamps when the flight began
	Forced bool   // loads although there may be a value

	shard    *shard[T]
	crew     *Crew
	done     chan struct{} // the result is there
	freed    chan struct{} // the key is free for another load
	offer    chan struct{} // something to fall back to is there
	poisoned atomic.Bool

	// Guarded by shard.mu, result and err until done is closed.
	waiters    int
	background bool // goes on although nobody waits
	free       bool // freed is closed
	landed     bool // done is closed; if f is in the group all the same, the load goes on
	result     T
	err        error

	// Written by the leader before offer is closed.
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

// Join returns the flight of key and whether the caller is its leader, who has to
// run it as one of crew. A flight whose load has been given up but has not
// returned yet is returned too, with joined false: the caller waits for
// [Flight.Freed] and asks again, so that loads of one key do not overlap because
// one was given up. epoch is read while no other caller can join.
//
// A caller that has joined ends with [Flight.Leave]. One that asks in the background
// joins nobody: either it leads a flight, for which nobody is counted as waiting and
// which goes on alone, or there is nothing for it to do.
func (g *Group[T]) Join(key string, background bool, crew *Crew, epoch func() uint64) (f *Flight[T], leader, joined bool) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	under := s.flights[key]
	for _, f := range slices.Backward(under) { // the last one has hung the shortest
		if !background && f.board() {
			return f, false, true
		}
	}
	if len(under) > 0 {
		return under[0], false, false
	}
	return g.begin(s, key, background, crew, epoch), true, true
}

// Past returns a flight to f's key that goes past f, which takes too long, and
// whether the caller is its leader. Those who go past a flight share the last one, so
// that they wait for one more at most, however many there are. It returns nil if f is
// not in the way any more.
func (g *Group[T]) Past(f *Flight[T], crew *Crew, epoch func() uint64) (past *Flight[T], leader bool) {
	s := f.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	under := s.flights[f.Key]
	if !slices.Contains(under, f) {
		return nil, false
	}
	if last := under[len(under)-1]; last != f && last.board() {
		return last, false
	}
	return g.begin(s, f.Key, false, crew, epoch), true
}

// Replace begins a flight of key in place of those that may be under way, which
// are poisoned. The caller is its leader.
func (g *Group[T]) Replace(key string, crew *Crew, epoch func() uint64) *Flight[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison(key)
	f := g.begin(s, key, false, crew, epoch)
	f.Forced = true
	return f
}

// begin is called under s.mu.
func (g *Group[T]) begin(s *shard[T], key string, background bool, crew *Crew, epoch func() uint64) *Flight[T] {
	f := &Flight[T]{
		Key: key, ID: g.last.Add(1), Epoch: epoch(), shard: s, crew: crew, background: background,
		done: make(chan struct{}), freed: make(chan struct{}), offer: make(chan struct{}),
	}
	if !background {
		f.waiters = 1
	}
	crew.begin(background)
	s.flights[key] = append(s.flights[key], f)
	return f
}

func (s *shard[T]) poison(key string) {
	for _, f := range s.flights[key] {
		f.poisoned.Store(true)
		f.giveBack()
	}
	delete(s.flights, key)
}

// Poison takes the flights of key out of the group: those who wait for them still
// get their results, nobody joins them any more, and the results are not kept.
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

// Claim reports whether the result may be kept. If so, it is the one: the flights
// beside f are poisoned.
func (f *Flight[T]) Claim() bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.poisoned.Load() {
		return false
	}
	if under := f.shard.flights[f.Key]; len(under) > 1 {
		for _, other := range under {
			if other != f {
				other.poisoned.Store(true)
				other.giveBack()
			}
		}
		f.shard.flights[f.Key] = []*Flight[T]{f}
	}
	return true
}

// board counts a caller who waits, if f may be joined. It is called under shard.mu.
func (f *Flight[T]) board() bool {
	if f.landed || !f.wanted() && !f.crew.want() {
		return false
	}
	f.waiters++
	return true
}

func (f *Flight[T]) wanted() bool { return f.waiters > 0 || f.background }

// Leave says that a caller no longer waits for f. When nobody waits for any flight
// of its crew, and nobody asked for the load to go on in the background, the load
// is cancelled.
func (f *Flight[T]) Leave() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.waiters--
	if !f.landed && !f.wanted() {
		f.crew.unwant()
	}
}

// Detach lets f go on when nobody waits for it any more, if acquire allows the
// load to go on in the background. acquire is not asked if it does already, or if
// f has landed.
func (f *Flight[T]) Detach(acquire func() bool) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if !f.landed && !f.background && f.crew.detach(acquire) {
		f.background = true
	}
}

// Land gives f its result, once; later calls change nothing and return false. With
// running, the load goes on all the same, and the key is not free before
// [Flight.Free].
func (f *Flight[T]) Land(result T, err error, running bool) bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.landed {
		return false
	}
	f.landed = true
	f.result, f.err = result, err
	if !running {
		f.release()
	}
	close(f.done)
	f.crew.land(f.wanted())
	return true
}

// Offer gives those who wait something to fall back to while the load goes on.
// It is called at most once, by the leader.
func (f *Flight[T]) Offer(fallback T) {
	f.fallback, f.offeredAt = fallback, time.Now()
	close(f.offer)
}

// Offered is closed when there is something to fall back to.
func (f *Flight[T]) Offered() <-chan struct{} { return f.offer }

// Fallback returns what was offered, and when. It may be called once Offered is closed.
func (f *Flight[T]) Fallback() (T, time.Time) { return f.fallback, f.offeredAt }

// Abandon frees the key although the load has not returned: it is not waited for
// any longer, and its result is not kept.
func (f *Flight[T]) Abandon() {
	f.poisoned.Store(true)
	f.Free()
}

// Free gives the key back. Later calls change nothing.
func (f *Flight[T]) Free() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.release()
	f.giveBack()
}

// giveBack is called under shard.mu.
func (f *Flight[T]) giveBack() {
	if !f.free {
		f.free = true
		close(f.freed)
	}
}

// release is called under shard.mu.
func (f *Flight[T]) release() {
	under := f.shard.flights[f.Key]
	i := slices.Index(under, f)
	switch {
	case i < 0:
	case len(under) == 1:
		delete(f.shard.flights, f.Key)
	default:
		f.shard.flights[f.Key] = slices.Delete(under, i, i+1)
	}
}

// Done is closed when the result is there.
func (f *Flight[T]) Done() <-chan struct{} { return f.done }

// Of reports whether f is one of a crew's.
func (f *Flight[T]) Of(c *Crew) bool { return f.crew == c }

// Freed is closed when another load of the key may begin.
func (f *Flight[T]) Freed() <-chan struct{} { return f.freed }

// Result returns what f landed with. It may be called once Done is closed.
func (f *Flight[T]) Result() (T, error) { return f.result, f.err }
