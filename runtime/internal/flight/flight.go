// Package flight makes many callers of one key share one load.
//
// It knows who waits and whether a flight may still be joined; what a load is,
// and what becomes of its result, is the caller's business. Flights belong to a
// store and are found by full key, so that every handle to a cache shares them.
package flight

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const shards = 128

// ErrDeserted is the cause of the cancellation of a flight whose last waiter left.
var ErrDeserted = errors.New("nobody waits for the load any more")

// A Group holds the flights of one store. Use [NewGroup].
type Group[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
}

type shard[T any] struct {
	mu      sync.Mutex
	flights map[string]*Flight[T]
}

// A Flight is one load under way.
type Flight[T any] struct {
	Key    string
	Epoch  uint64 // of the store's stamps when the flight began
	Forced bool   // loads although there may be a value

	shard    *shard[T]
	done     chan struct{} // the result is there
	freed    chan struct{} // the key is free for another load
	offer    chan struct{} // something to fall back to is there
	poisoned atomic.Bool

	// Guarded by shard.mu, result and err until done is closed.
	waiters    int
	background bool // goes on although nobody waits
	free       bool // freed is closed
	landed     bool // done is closed
	draining   bool // cancelled or timed out, but the load has not returned yet
	result     T
	err        error
	fallback   T                       // until offer is closed
	cancel     context.CancelCauseFunc // nil until the leader says what to cancel
}

// NewGroup returns an empty group.
func NewGroup[T any]() *Group[T] {
	g := &Group[T]{seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].flights = make(map[string]*Flight[T])
	}
	return g
}

func (g *Group[T]) shard(key string) *shard[T] {
	return &g.shards[maphash.String(g.seed, key)%shards]
}

// Join returns the flight of key and whether the caller is its leader, who has to
// run it. A flight that is draining is returned too, with joined false: the caller
// waits for [Flight.Freed] and asks again, so that loads of one key never overlap
// because one was given up. epoch is read while no other caller can join.
//
// A caller that has joined ends with [Flight.Leave], unless it did so in the
// background: then nobody is counted as waiting, and the flight goes on alone.
func (g *Group[T]) Join(key string, background bool, epoch func() uint64) (f *Flight[T], leader, joined bool) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil {
		if f.draining {
			return f, false, false
		}
		if !background {
			f.waiters++
		}
		return f, false, true
	}
	f = s.begin(key, epoch)
	f.background = background
	if !background {
		f.waiters = 1
	}
	return f, true, true
}

// Replace begins a flight of key in place of one that may be under way, which is
// poisoned. The caller is its leader.
func (g *Group[T]) Replace(key string, epoch func() uint64) *Flight[T] {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison(key)
	f := s.begin(key, epoch)
	f.Forced, f.waiters = true, 1
	return f
}

func (s *shard[T]) begin(key string, epoch func() uint64) *Flight[T] {
	f := &Flight[T]{
		Key: key, Epoch: epoch(), shard: s,
		done: make(chan struct{}), freed: make(chan struct{}), offer: make(chan struct{}),
	}
	s.flights[key] = f
	return f
}

func (s *shard[T]) poison(key string) {
	if f := s.flights[key]; f != nil {
		f.poisoned.Store(true)
		delete(s.flights, key)
	}
}

// Poison takes the flight of key out of the group: those who wait for it still
// get its result, nobody joins it any more, and the result is not kept.
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

// OnDesert says how to cancel the load when its last waiter leaves, which may have
// happened already. The function it returns takes that back.
func (f *Flight[T]) OnDesert(cancel context.CancelCauseFunc) (stop func()) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.deserted() {
		cancel(ErrDeserted)
	}
	f.cancel = cancel
	return func() {
		f.shard.mu.Lock()
		defer f.shard.mu.Unlock()
		f.cancel = nil
	}
}

func (f *Flight[T]) deserted() bool { return f.waiters == 0 && !f.background && !f.landed }

// Leave says that a caller no longer waits for f. When it was the last one, and
// nobody asked for the load to go on in the background, the load is cancelled.
func (f *Flight[T]) Leave() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.waiters--
	if f.deserted() {
		f.draining = true
		if f.cancel != nil {
			f.cancel(ErrDeserted)
		}
	}
}

// Detach lets f go on when nobody waits for it any more. It returns false if that
// was so already, or if f has landed.
func (f *Flight[T]) Detach() bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.background || f.landed {
		return false
	}
	f.background = true
	return true
}

// Background reports whether f goes on when nobody waits.
func (f *Flight[T]) Background() bool {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	return f.background
}

// Land gives f its result, once; later calls change nothing. With running, the
// load goes on all the same, and the key is not free before [Flight.Free].
func (f *Flight[T]) Land(result T, err error, running bool) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.landed {
		return
	}
	f.landed = true
	f.result, f.err = result, err
	if running {
		f.draining = true
	} else {
		f.release()
	}
	close(f.done)
}

// Offer gives those who wait something to fall back to while the load goes on.
// It is called at most once, by the leader.
func (f *Flight[T]) Offer(fallback T) {
	f.fallback = fallback
	close(f.offer)
}

// Offered is closed when there is something to fall back to.
func (f *Flight[T]) Offered() <-chan struct{} { return f.offer }

// Fallback returns what was offered. It may be called once Offered is closed.
func (f *Flight[T]) Fallback() T { return f.fallback }

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
	if !f.free {
		f.free = true
		close(f.freed)
	}
}

// release is called under shard.mu.
func (f *Flight[T]) release() {
	if f.shard.flights[f.Key] == f {
		delete(f.shard.flights, f.Key)
	}
}

// Done is closed when the result is there.
func (f *Flight[T]) Done() <-chan struct{} { return f.done }

// Freed is closed when another load of the key may begin.
func (f *Flight[T]) Freed() <-chan struct{} { return f.freed }

// Result returns what f landed with. It may be called once Done is closed.
func (f *Flight[T]) Result() (T, error) { return f.result, f.err }
