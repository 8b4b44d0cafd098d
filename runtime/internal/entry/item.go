// Package entry is what the tiers keep: an [Item] in memory, and the same as bytes in
// the shared tier (see [Append] for their layout), whose header is readable without
// decoding the value.
//
// What an Item says of its value never changes once it is in a tier, so readers share
// it without a lock. The few fields in which this process remembers what it found out
// about the item are atomic; a mutex orders their writers. A [Kind] is what is known of
// all entries of one cache. It does not change after the cache is opened.
//
// The package knows nothing of tiers, flights or loaders.
package entry

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Overhead is about what an item costs in memory besides its key and value.
const Overhead = 256

// An Item is an entry in memory. Times are those of [clock.Now].
type Item struct {
	Key   string // full key
	scope string // the key without its last segment, if that is the integer num
	num   int64

	Value       any
	FreshUntil  int64
	StaleUntil  int64  // not before FreshUntil
	Grace       int64  // how long it may be stale
	LoadStarted int64  // on the machine's clock of who loaded it, as the only one of these times
	ObtainedAt  int64  // when this process loaded it or read it from the shared tier
	RecheckAt   int64  // when the shared tier has to be asked again although it is fresh
	RefreshAt   int64  // when it is due to be loaded in the background although it is fresh
	FlightID    uint64 // of the flight that loaded it; 0 if none did
	FromRemote  bool   // it was read from the shared tier
	LocalOnly   bool   // the shared tier has not been given it
	Expired     bool   // by a user
	Presence    Presence
	Stamps      []StampRef
	Size        int // about how much memory it takes besides its stamps, in bytes
	// Uncopied says that the value is the loader's own, of which there is no copy: it is not
	// kept, and one caller gets it.
	Uncopied bool
	packed   uint64 // identifies the envelope that the shared tier has of it; 0 if none is known

	verifying   sync.Mutex    // orders writers of the next four
	epoch       atomic.Uint64 // of the stamps, when the item was last found fresh
	goodUntil   atomic.Int64  // until when, on a coarse clock, it need not be looked at again
	generation  atomic.Uint64 // of the stamps, when the item was obtained or confirmed
	confirmedAt atomic.Int64  // see ConfirmedAt
	retryAt     atomic.Int64  // its loader has just failed, and is not called before
	given       atomic.Bool   // a caller has got the value, which is Uncopied
}

// cellOverhead is about what a tag costs in memory besides its name.
const cellOverhead = 160

// Footprint is about how much memory the item takes, in bytes. A tag counts for each entry
// that carries it: there may be no other.
func (it *Item) Footprint() int {
	n := it.Size + len(it.Stamps)*int(unsafe.Sizeof(StampRef{}))
	for _, ref := range it.Stamps {
		if IsTagStamp(ref.Cell.Name) {
			n += len(ref.Cell.Name) + cellOverhead
		}
	}
	return n
}

// Give reports whether the caller may have the value, which is Uncopied: the first one.
func (it *Item) Give() bool { return it.given.CompareAndSwap(false, true) }

// A Presence says whether an entry has a value.
type Presence uint8

// The presences.
const (
	Present  Presence = iota
	NotFound          // the loader failed with the error that means there is no value
	Absent            // the loader returned a value that means there is none
)

// A StampRef is a stamp as it was before the load of an item began.
type StampRef struct {
	Cell *stamp.Cell
	stamp.Value
}

// Refs returns the present stamps of cells.
func Refs(cells []*stamp.Cell) []StampRef {
	refs := make([]StampRef, 0, len(cells))
	for _, cell := range cells {
		v, _, _ := cell.Current()
		refs = append(refs, StampRef{cell, v})
	}
	return refs
}

// Carries reports whether one of refs is of cell.
func Carries(refs []StampRef, cell *stamp.Cell) bool {
	for _, ref := range refs {
		if ref.Cell == cell {
			return true
		}
	}
	return false
}

// Current reports whether no stamp of the item has been invalidated or lost, as far as this
// process knows.
func (it *Item) Current() bool {
	for _, ref := range it.Stamps {
		if v, _, ok := ref.Cell.Current(); !ok || v.Delete != ref.Delete {
			return false
		}
	}
	return true
}

// Good reports whether the item is fresh for certain: it was found fresh at this epoch
// of the stamps, and that holds at t, a reading of a [clock.Coarse]. The hit path asks
// this first.
func (it *Item) Good(epoch uint64, t int64) bool {
	return it.epoch.Load() == epoch && t < it.goodUntil.Load()
}

// SetGood remembers that the item is fresh until a time, as long as the stamps stand at
// epoch. Of two goroutines that say so, the one that knows of more changes is right.
func (it *Item) SetGood(epoch uint64, until int64) {
	it.verifying.Lock()
	defer it.verifying.Unlock()
	if epoch >= it.epoch.Load() {
		it.goodUntil.Store(until - int64(clock.Lag))
		it.epoch.Store(epoch)
	}
}

// Confirm says that the item was what there is at a time, in a generation of the stamps.
func (it *Item) Confirm(generation uint64, at int64) {
	it.verifying.Lock()
	defer it.verifying.Unlock()
	if generation >= it.generation.Load() {
		it.confirmedAt.Store(max(at, it.confirmedAt.Load()))
		it.generation.Store(generation)
	}
}

// Generation returns the generation of the stamps in which the item was obtained or
// confirmed.
func (it *Item) Generation() uint64 { return it.generation.Load() }

// ConfirmedAt returns since when changes may be unknown to the item: when its load began, or
// when the read of the shared tier began that found it or confirmed it last.
func (it *Item) ConfirmedAt() int64 { return it.confirmedAt.Load() }

// FoundAt says that the item, which no tier has yet, is of a read that began at a time.
func (it *Item) FoundAt(t int64) { it.confirmedAt.Store(t) }

// Comparable reports whether the item can be compared with what the shared tier holds.
func (it *Item) Comparable() bool { return it.packed != 0 }

// IsPacked reports whether data, which the shared tier holds, is this item, or has it among
// its variants.
func (it *Item) IsPacked(data []byte) bool {
	if it.packed == 0 {
		return false
	}
	if !isSeveral(data) {
		return it.packed == identify(data)
	}
	return slices.ContainsFunc(variants(data), func(v []byte) bool { return it.packed == identify(v) })
}

// IsInt reports whether the item's key is scope and the integer n.
func (it *Item) IsInt(scope string, n int64) bool {
	return it.num == n && it.scope == scope && scope != ""
}

// splitKey fills in what IsInt compares.
func (it *Item) splitKey() {
	if i, n, ok := keytext.TrailingInt(it.Key); ok {
		it.scope, it.num = it.Key[:i], n
	}
}

// BackOff says that the loader has failed and is not to be called for d.
func (it *Item) BackOff(d time.Duration) { it.retryAt.Store(clock.Add(clock.Now(), d)) }

// BackingOff reports whether the loader is not to be called at t, because it has failed.
func (it *Item) BackingOff(t int64) bool { return t < it.retryAt.Load() }

// DueAt returns when to load the item in the background although it is fresh: not soon
// after a load that failed.
func (it *Item) DueAt() int64 { return max(it.RefreshAt, it.retryAt.Load()) }

// Due reports whether a fresh item is to be loaded in the background at t.
func (it *Item) Due(t int64) bool { return t >= it.DueAt() && t < it.FreshUntil && !it.Expired }

// HasGrace reports whether the item may be served when it is no longer fresh.
func (it *Item) HasGrace() bool { return it.Grace > 0 }

// ExpiredCopy returns a copy that a user has expired at t, or nil if no grace is left.
func (it *Item) ExpiredCopy(t int64) *Item {
	h := it.header(0)
	if !h.Expire(t) {
		return nil
	}
	stale := &Item{
		Key: it.Key, scope: it.scope, num: it.num,
		Value: it.Value, Size: it.Size, Stamps: it.Stamps,
		FreshUntil: h.FreshUntil, StaleUntil: h.StaleUntil, Grace: it.Grace,
		LoadStarted: it.LoadStarted, ObtainedAt: it.ObtainedAt, RecheckAt: it.RecheckAt, RefreshAt: clock.Never,
		Expired: true, Presence: it.Presence, FromRemote: it.FromRemote, LocalOnly: it.LocalOnly,
	}
	stale.Confirm(it.Generation(), it.ConfirmedAt())
	return stale
}

// Lifetime returns how long, from t, the shared tier is to keep something until a time; zero
// is for ever.
func Lifetime(t, until int64) time.Duration {
	if until == clock.Never {
		return 0
	}
	return max(clock.Span(t, until), 1)
}
