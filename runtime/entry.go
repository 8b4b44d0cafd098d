package runtime

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// An Entry lets a loader decide what becomes of the value that it loads: its TTL, its tags,
// whether it is stored. [EntryOf] returns it. What an Entry is told holds for this load only;
// once the loader has returned, the Entry takes nothing any more. Its methods may be called by
// several goroutines. The methods of a nil Entry do nothing.
type Entry struct{ handle *load.Handle }

// EntryOf returns the entry that a loader is loading the value of. ctx is the context that the
// loader was called with, or one made of it. Outside of a load, for a nil ctx, and while the
// function's caching is switched off, EntryOf returns nil: so a loader that asks for its entry
// is still a plain function.
//
// A function that a loader calls with its own context is a part of the load, unless
// it goes through a cache itself: then it has an entry of its own. A loader of many
// keys has one entry for all of them, without [Entry.Stale].
func EntryOf(ctx context.Context) *Entry {
	if h := load.HandleOf(ctx); h != nil {
		return &Entry{h}
	}
	return nil
}

// load returns the handle; nil for a nil Entry.
func (e *Entry) load() *load.Handle {
	if e == nil {
		return nil
	}
	return e.handle
}

// SetOptions changes options of the entry, which win over all others: those that
// count when a value is stored, such as [TTL], [Grace], [L1TTL], [Jitter],
// [NotFoundTTL], [ErrorTTL], [GraceBackoff], [SkipL2Write] and [Tags]. There is nobody to return an
// error to: if one of them is nil, is wrong, or counts at other times only, as [Timeout], callers of
// the load get its value, nothing is stored, and the log and the hook Refused are told.
func (e *Entry) SetOptions(options ...CallOption) {
	e.load().Change(func(c *policy.Call) { apply(options, c) })
}

// SetTTL is SetOptions([TTL](d)). Zero or less stores nothing, such as the time until a moment that
// is over.
func (e *Entry) SetTTL(d time.Duration) { e.SetOptions(TTL(d)) }

// SetTags adds tags to the entry.
func (e *Entry) SetTags(tags ...Tag) { e.SetOptions(Tags(tags...)) }

// Skip keeps the value from being stored. Callers of this load get it, and what was
// in the cache stays as it is.
func (e *Entry) Skip() { e.load().Skip() }

// Fail makes the load a failure although the loader returns a value: callers get the
// grace value, if there is one, and err otherwise. A nil err does nothing.
func (e *Entry) Fail(err error) { e.load().Fail(err) }

// Stale returns the value that is served if the load fails, and why it is being
// loaded all the same; nil and event.NoValue if there is none. The value is the caller's
// own, unless the function is shared. See [StaleValue].
func (e *Entry) Stale() (value any, why event.Reason) { return e.load().Stale() }

// StaleValue is [Entry.Stale] of [EntryOf](ctx) with the value's type. ok is false if
// there is none.
func StaleValue[V any](ctx context.Context) (v V, why event.Reason, ok bool) {
	value, why := EntryOf(ctx).Stale()
	if why == event.NoValue {
		return v, event.NoValue, false
	}
	v, ok = value.(V)
	if !ok && value != nil { // nil is a value of an interface type
		return v, event.NoValue, false
	}
	return v, why, true
}

// NotModified says that the value of [Entry.Stale] still holds, and reports
// whether that is accepted. If so, whatever value the loader returns is replaced by
// the stale one; it is fresh for another TTL and keeps its tags. NotModified is not
// accepted if there is no such value, or if it has been invalidated or may have been
// (event.Invalidated, event.Unconfirmed): an invalidation is not undone, and the loader has to
// load.
func (e *Entry) NotModified() bool { return e.load().NotModified() }
