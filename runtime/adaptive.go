package runtime

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A LoadEntry is how a loader has a say in what becomes of the value that it loads;
// see [Entry]. What it is told holds for this load only. Once the loader has returned
// it takes nothing any more. Its methods may be called by several goroutines; those
// of a nil LoadEntry do nothing.
type LoadEntry struct {
	store *Store
	copy  func(any) any // nil if values can be handed out as they are
	part  *part         // nil in a load of many keys

	crew   *flight.Crew // of the load; nil for a call of a loader that is none of any load
	parent *LoadEntry   // of the load that the caller was in who began this one

	mu          sync.Mutex
	over        bool // the loader has returned
	given       call
	skip        bool
	failure     error
	notModified *item
}

type loadEntryKey struct{}

// Entry returns the entry that the caller is loading the value of, given the context
// that its loader was called with. Outside of a load, and in one whose function's
// caching is switched off, it returns nil, so that a loader stays a plain function; so it
// does for a nil context.
//
// A function that a loader calls with its own context is a part of the load, unless
// it goes through a cache itself: then it has an entry of its own. A loader of many
// keys has one entry for all of them, without [LoadEntry.Stale].
func Entry(ctx context.Context) *LoadEntry {
	if e := entryOf(ctx); e != nil && e.crew != nil {
		return e
	}
	return nil
}

func entryOf(ctx context.Context) *LoadEntry {
	if ctx == nil {
		return nil
	}
	e, _ := ctx.Value(loadEntryKey{}).(*LoadEntry)
	return e
}

// apart returns ctx for a call of a loader that is none of any load.
func apart(ctx context.Context) context.Context {
	if Entry(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, loadEntryKey{}, &LoadEntry{parent: entryOf(ctx)})
}

// within reports whether ctx is that of a loader which f waits for: who joins f waits
// for himself.
func within(ctx context.Context, f *load) bool {
	for e := entryOf(ctx); e != nil; e = e.parent {
		switch {
		case e.crew == nil:
		case !e.running(): // nobody waits for who was left behind by a loader
			return false
		case f.Of(e.crew):
			return true
		case e.crew.Background(): // its parent does not wait for it, or need not
			return false
		}
	}
	return false
}

// do runs f unless the load is over.
func (e *LoadEntry) do(f func()) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		f()
	}
}

// running reports whether the loader has not returned yet.
func (e *LoadEntry) running() (running bool) {
	e.do(func() { running = true })
	return running
}

// SetOptions changes options of the entry, which win over all others: those that
// count when a value is stored, such as [TTL], [Grace], [L1TTL], [Jitter],
// [NotFoundTTL], [ErrorTTL], [GraceBackoff], [SkipL2Write] and [Tags].
func (e *LoadEntry) SetOptions(options ...CallOption) {
	e.do(func() {
		for _, o := range options {
			if o != nil {
				o.applyToCall(&e.given)
			}
		}
	})
}

// SetTTL is SetOptions([TTL](d)). Zero or less stores nothing.
func (e *LoadEntry) SetTTL(d time.Duration) { e.SetOptions(TTL(d)) }

// SetTags adds tags to the entry. A tag that nobody here has heard of when the load
// began may cost one more load if this function has never set tags before.
func (e *LoadEntry) SetTags(tags ...Tag) { e.SetOptions(Tags(tags...)) }

// Skip keeps the value from being stored. Callers of this load get it, and what was
// in the cache stays as it is.
func (e *LoadEntry) Skip() { e.do(func() { e.skip = true }) }

// Fail makes the load a failure although the loader returns a value: callers get the
// grace value, if there is one, and err otherwise. A nil err does nothing.
func (e *LoadEntry) Fail(err error) {
	e.do(func() {
		if err != nil {
			e.failure = err
		}
	})
}

// A Reason says why there is a value although it is being loaded.
type Reason uint8

// The reasons.
const (
	// NoValue says that there is none.
	NoValue Reason = iota
	// Elapsed says that its TTL is over.
	Elapsed
	// Due says that it is fresh, and being refreshed before its TTL is over.
	Due
	// Invalidated says that somebody has expired it, by key or by tag.
	Invalidated
	// Unconfirmed says that messages about it may have been missed, or that its time
	// in memory is over, and that the shared tier does not have it.
	Unconfirmed
)

// String returns the reason in words.
func (r Reason) String() string {
	return [...]string{"no value", "elapsed", "due", "invalidated", "unconfirmed"}[min(r, Unconfirmed)]
}

// Stale returns the value that is served if the load fails, and why it is being
// loaded all the same; nil and [NoValue] if there is none. The value is the caller's
// own, unless the function is shared. See [StaleValue].
func (e *LoadEntry) Stale() (value any, why Reason) {
	it, why := e.stale()
	if it == nil {
		return nil, NoValue
	}
	if e.copy != nil {
		return e.copy(it.value), why
	}
	return it.value, why
}

func (e *LoadEntry) stale() (it *item, why Reason) {
	e.do(func() {
		if e.part == nil {
			return
		}
		g := e.part.fallback
		if g.it == nil || g.it.presence != present {
			return
		}
		it, why = g.it, e.store.reason(g)
	})
	return it, why
}

// StaleValue is [LoadEntry.Stale] of [Entry] with the value's type. ok is false if
// there is none.
func StaleValue[V any](ctx context.Context) (v V, why Reason, ok bool) {
	value, why := Entry(ctx).Stale()
	if why == NoValue {
		return v, NoValue, false
	}
	v, ok = value.(V)
	if !ok && value != nil { // nil is a value of an interface type
		return v, NoValue, false
	}
	return v, why, true
}

// NotModified says that the value of [LoadEntry.Stale] still holds, and reports
// whether that is accepted. If so, whatever value the loader returns is replaced by
// it; it is fresh for another TTL and keeps its tags. It is not accepted if there is
// no such value, or if it has been invalidated or may have been ([Invalidated],
// [Unconfirmed]): an invalidation is not undone, and the loader has to load.
func (e *LoadEntry) NotModified() bool {
	it, why := e.stale()
	if why != Elapsed && why != Due {
		return false
	}
	e.do(func() { e.notModified = it })
	return it != nil
}

// reason says why a fallback is being loaded.
func (s *Store) reason(g fallback) Reason {
	it, t := g.it, now()
	if it.expired {
		return Invalidated
	}
	for _, ref := range it.stamps {
		if current, _, ok := ref.cell.Current(); !ok || current != ref.Value {
			return Invalidated
		}
	}
	switch {
	case g.doubtful:
		return Unconfirmed
	case t < it.freshUntil:
		return Due
	}
	return Elapsed
}

// end takes no more and returns what it was told.
func (e *LoadEntry) end() *LoadEntry {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	return e
}

// renewed returns an item with the value of another, which still holds, and at least
// its stamps: what has invalidated the other since has invalidated this one.
func (c *core) renewed(old *item, set settings, started int64, stamps []stampRef) *item {
	all := append([]stampRef{}, old.stamps...)
	for _, ref := range stamps {
		if strings.HasPrefix(ref.cell.Name, tagStamp) && !carries(old.stamps, ref.cell) {
			all = append(all, ref)
		}
	}
	return c.newItem(old.key, old.value, old.presence, set, started, all)
}

// carries reports whether one of stamps is that of a cell.
func carries(stamps []stampRef, cell *stamp.Cell) bool {
	for _, ref := range stamps {
		if ref.cell == cell {
			return true
		}
	}
	return false
}
