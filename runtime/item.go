package runtime

import (
	"math"
	"sync"
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
	grace       int64 // how long it may be stale
	loadStarted int64
	kept        int64  // when this process got hold of it
	lookAgain   int64  // when the shared tier has to be asked again although it is fresh
	refreshAt   int64  // when it is due to be loaded anew although it is fresh
	born        uint64 // the flight that loaded it; 0 if none did
	fetched     bool   // from the shared tier
	private     bool   // the shared tier has not been given it
	expired     bool   // by a user
	presence    presence
	stamps      []stampRef
	size        int

	judging   sync.Mutex    // for writing the next two
	epoch     atomic.Uint64 // of the stamps, when the item was last found good
	goodUntil atomic.Int64  // until when that needs no second look
	retryAt   atomic.Int64  // do not call the loader before, it has just failed
}

// A presence says whether there is a value.
type presence uint8

const (
	present  presence = iota
	notFound          // the loader failed with the error that means there is nothing
	absent            // it returned a value that means so
)

// never is a time that does not come.
const never = math.MaxInt64

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
	// suspect: it would be stale or fresh, but a message about it may have been
	// missed, or it has been in memory for its time there. The shared tier or the
	// loader has to be asked; it stands in if they fail.
	suspect
	stale // may be used as a grace value
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
	deaf := s.deafUntil(it)
	good = min(good, deaf, it.lookAgain, it.dueAt())
	switch {
	case verdict == unsure:
		return unsure
	case t >= it.freshUntil:
		verdict = min(verdict, stale)
	case verdict == stale && !it.graced():
		return dead
	}
	if t >= deaf || verdict == fresh && t >= it.lookAgain {
		return suspect
	}
	if verdict == fresh && it.presence != notFound { // which the fast path has no error for
		it.judged(epoch, good)
	}
	return verdict
}

// judged remembers that it is good. Of two who look at a time, the one who knows
// of more changes is right.
func (it *item) judged(epoch uint64, goodUntil int64) {
	it.judging.Lock()
	defer it.judging.Unlock()
	if epoch >= it.epoch.Load() {
		it.goodUntil.Store(goodUntil)
		it.epoch.Store(epoch)
	}
}

// dueAt returns when to load it anew although it is fresh: not too soon after a
// load that failed.
func (it *item) dueAt() int64 { return max(it.refreshAt, it.retryAt.Load()) }

// due reports whether a fresh item should be loaded anew at t.
func (it *item) due(t int64) bool { return t >= it.dueAt() && t < it.freshUntil && !it.expired }

// graced reports whether it may outlive its freshness.
func (it *item) graced() bool { return it.grace > 0 }

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
	h := it.header(0)
	if !h.Age(t) {
		return nil
	}
	return &item{
		key: it.key, scope: it.scope, num: it.num,
		value: it.value, size: it.size, stamps: it.stamps,
		freshUntil: h.FreshUntil, staleUntil: h.StaleUntil, grace: it.grace,
		loadStarted: it.loadStarted, kept: it.kept, lookAgain: it.lookAgain, refreshAt: never,
		expired: true, presence: it.presence, fetched: it.fetched, private: it.private,
	}
}

// header returns what is written of it besides the value.
func (it *item) header(fingerprint uint64) entry.Header {
	h := entry.Header{
		FreshUntil: it.freshUntil, StaleUntil: it.staleUntil, Grace: it.grace, LoadStarted: it.loadStarted,
		Fingerprint: fingerprint, Stamps: make([]stamp.Named, len(it.stamps)),
	}
	if it.expired {
		h.Flags |= entry.Expired
	}
	switch it.presence {
	case notFound:
		h.Flags |= entry.NotFound
	case absent:
		h.Flags |= entry.Absent
	}
	for i, ref := range it.stamps {
		h.Stamps[i] = stamp.Named{Name: ref.cell.Name, Value: ref.Value}
	}
	return h
}

// deadline adds d to t. What lies beyond the calendar is for ever.
func deadline(t int64, d int64) int64 {
	if d >= never-t {
		return never
	}
	return t + d
}
