package runtime

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A LoadEntry is how a loader has a say in what becomes of the value that it loads;
// see [Entry]. What it is told holds for this load only. Once the loader has returned
// the LoadEntry takes nothing any more. Its methods may be called by several goroutines;
// those of a nil LoadEntry do nothing.
type LoadEntry struct{ handle *load.Handle }

// Entry returns the entry that the caller is loading the value of, given the context
// that its loader was called with. Outside of a load, and in one whose function's
// caching is switched off, it returns nil, so that a loader stays a plain function; the
// same is true for a nil context.
//
// A function that a loader calls with its own context is a part of the load, unless
// it goes through a cache itself: then it has an entry of its own. A loader of many
// keys has one entry for all of them, without [LoadEntry.Stale].
func Entry(ctx context.Context) *LoadEntry {
	if h := load.HandleOf(ctx); h != nil {
		return &LoadEntry{h}
	}
	return nil
}

// load returns the handle; nil for a nil LoadEntry.
func (e *LoadEntry) load() *load.Handle {
	if e == nil {
		return nil
	}
	return e.handle
}

// SetOptions changes options of the entry, which win over all others: those that
// count when a value is stored, such as [TTL], [Grace], [L1TTL], [Jitter],
// [NotFoundTTL], [ErrorTTL], [GraceBackoff], [SkipL2Write] and [Tags].
func (e *LoadEntry) SetOptions(options ...CallOption) {
	e.load().Change(func(c *policy.Call) {
		for _, o := range options {
			if o != nil {
				o.applyToCall(c)
			}
		}
	})
}

// SetTTL is SetOptions([TTL](d)). Zero or less stores nothing.
func (e *LoadEntry) SetTTL(d time.Duration) { e.SetOptions(TTL(d)) }

// SetTags adds tags to the entry.
func (e *LoadEntry) SetTags(tags ...Tag) { e.SetOptions(Tags(tags...)) }

// Skip keeps the value from being stored. Callers of this load get it, and what was
// in the cache stays as it is.
func (e *LoadEntry) Skip() { e.load().Skip() }

// Fail makes the load a failure although the loader returns a value: callers get the
// grace value, if there is one, and err otherwise. A nil err does nothing.
func (e *LoadEntry) Fail(err error) { e.load().Fail(err) }

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
	value, reason := e.load().Stale()
	return value, Reason(reason)
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
// the stale one; it is fresh for another TTL and keeps its tags. NotModified is not
// accepted if there is no such value, or if it has been invalidated or may have been
// ([Invalidated], [Unconfirmed]): an invalidation is not undone, and the loader has to
// load.
func (e *LoadEntry) NotModified() bool { return e.load().NotModified() }
