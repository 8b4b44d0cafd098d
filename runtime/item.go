package runtime

import (
	"math"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// An item is an entry in memory. What it says of the value never changes, so
// readers share it without a lock; the atomic fields are what this process
// remembers about having looked at it.
type item struct {
	key   string // full key
	scope string // the key without its last segment, if that is the integer num
	num   int64

	value       any
	freshUntil  int64 // nanoseconds since 1970, like all times here
	staleUntil  int64 // not before freshUntil
	loadStarted int64
	kept        int64 // when this process got hold of it
	expired     bool  // by a user
	stamps      []stampRef
	size        int

	epoch     atomic.Uint64 // of the stamps, when the item was last found good
	goodUntil atomic.Int64  // until when that needs no second look
	retryAt   atomic.Int64  // do not call the loader before, it has just failed
}

// A stampRef is a stamp as it was before the item's load began.
type stampRef struct {
	cell *stamp.Cell
	stamp.Value
}

// numbered fills in what the fast path for integer keys compares.
func (it *item) numbered() {
	if i, n, ok := trailingInt(it.key); ok {
		it.scope, it.num = it.key[:i], n
	}
}

// A verdict is what an item is worth at a moment.
type verdict int

const (
	dead   verdict = iota // may not be used for anything
	unsure                // its stamps have to be read from the shared tier first
	stale                 // may be used as a grace value
	fresh
)

// good reports whether it is fresh without having to look closer. This is the
// hit path: two loads and two comparisons.
func (s *Store) good(it *item) bool {
	return it.epoch.Load() == s.stamps.Epoch() && s.clock.Now()+int64(clock.Lag) < it.goodUntil.Load()
}

// look judges it at time t without asking the shared tier.
func (s *Store) look(it *item, t int64) verdict {
	epoch := s.stamps.Epoch() // first: a stamp that changes while we look moves it
	if t >= it.staleUntil {
		return dead
	}
	verdict, good := fresh, it.freshUntil
	for _, ref := range it.stamps {
		current, trustUntil, ok := ref.cell.Current()
		switch {
		case !ok:
			return dead
		case current.Delete != ref.Delete:
			return dead
		case current.Expire != ref.Expire:
			verdict = min(verdict, stale)
		}
		if t >= trustUntil {
			if !s.reread(ref.cell, trustUntil, t) {
				verdict = unsure
			}
		}
		good = min(good, trustUntil)
	}
	if deaf := s.deafUntil(it); deaf < math.MaxInt64 {
		if t >= deaf {
			return dead // in memory; the shared tier, or else the loader, knows better
		}
		good = min(good, deaf)
	}
	if verdict == unsure {
		return unsure
	}
	if t >= it.freshUntil {
		return stale
	}
	if verdict == stale && !it.graced() {
		return dead
	}
	if verdict == fresh {
		it.goodUntil.Store(good)
		it.epoch.Store(epoch)
	}
	return verdict
}

// graced reports whether it may outlive its freshness.
func (it *item) graced() bool { return it.staleUntil > it.freshUntil }

// changedSince reports whether a stamp of it may have changed after epoch.
func (s *Store) changedSince(it *item, epoch uint64) bool {
	for _, ref := range it.stamps {
		if s.stamps.ChangedSince(ref.cell.Name, epoch) {
			return true
		}
	}
	return false
}

// aged returns a copy of it that a user has expired at t, or nil if it has no
// grace to live on.
func (it *item) aged(t int64) *item {
	if !it.graced() || it.staleUntil <= t {
		return nil
	}
	return &item{
		key: it.key, scope: it.scope, num: it.num,
		value: it.value, size: it.size, stamps: it.stamps,
		freshUntil: min(it.freshUntil, t), staleUntil: it.staleUntil,
		loadStarted: it.loadStarted, kept: it.kept, expired: true,
	}
}

// header returns what is written of it besides the value.
func (it *item) header(fingerprint uint64) entry.Header {
	h := entry.Header{
		FreshUntil: it.freshUntil, StaleUntil: it.staleUntil, LoadStarted: it.loadStarted,
		Fingerprint: fingerprint, Stamps: make([]stamp.Named, len(it.stamps)),
	}
	if it.expired {
		h.Flags |= entry.Expired
	}
	for i, ref := range it.stamps {
		h.Stamps[i] = stamp.Named{Name: ref.cell.Name, Value: ref.Value}
	}
	return h
}

// deadline adds d to t. What lies beyond the calendar is for ever.
func deadline(t int64, d int64) int64 {
	if d >= math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}
