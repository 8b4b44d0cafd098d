package runtime

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// An Entry lets a loader decide what becomes of the value that it loads: the TTL of the value,
// its tags, whether it is stored. A loader gets its Entry from [EntryOf]. What a loader tells
// the Entry holds for this load only, and has no effect once the loader has returned. The
// methods of an Entry may be called by several goroutines. The methods of a nil Entry do
// nothing.
type Entry struct{ handle *handle.Handle }

// EntryOf returns the entry whose value a loader loads. ctx is the context that the loader was
// called with, or a context made of it. Outside of a load, for a nil ctx, and while the caching
// of the function is switched off, EntryOf returns nil, whose methods do nothing: so a loader
// that uses its entry still works as a plain function.
//
// A function that a loader calls with its own context is a part of the load, and gets the same
// entry. If that function is cached itself, it has an entry of its own. A loader of many keys
// has one entry for all of them; its [Entry.Stale] returns nil.
func EntryOf(ctx context.Context) *Entry {
	if h := handle.Of(ctx); h != nil {
		return &Entry{h}
	}
	return nil
}

// load returns the handle; nil for a nil Entry.
func (e *Entry) load() *handle.Handle {
	if e == nil {
		return nil
	}
	return e.handle
}

// SetOptions sets options of the entry, which win over those of all other levels. It takes the
// options that count when a value is stored: [TTL], [Grace], [Jitter], [JitterPercent],
// [RefreshAfter], [RefreshPercent], [L1TTL], [NotFoundTTL], [ErrorTTL], [GraceBackoff],
// [SkipL2Write] and [Tags]. SetOptions has no error to return. If an option is nil, is wrong, or
// counts at other times only, as [Timeout] does, callers of the load get the value, the value is
// not stored, and this is logged and told to the hook Refused.
func (e *Entry) SetOptions(options ...CallOption) {
	e.load().Change(func(c *policy.Call) { apply(options, c) })
}

// SetTTL is SetOptions([TTL](d)). With a d of zero or less the value is not stored: d may be the
// time until a moment that is over.
func (e *Entry) SetTTL(d time.Duration) { e.SetOptions(TTL(d)) }

// SetTags is SetOptions([Tags](tags...)): it adds tags to those that the entry has.
func (e *Entry) SetTags(tags ...Tag) { e.SetOptions(Tags(tags...)) }

// Skip says that the value is not stored. Callers of this load get the value, and the cache
// keeps what it had before.
func (e *Entry) Skip() { e.load().Skip() }

// Fail says that the load has failed, although the loader returns a value: callers get the stale
// value, if there is one whose [Grace] is not over, and err otherwise. A nil err does nothing.
func (e *Entry) Fail(err error) { e.load().Fail(err) }

// Stale returns the value that callers get if the load fails, and the reason why a new value is
// loaded. If there is no such value, Stale returns nil and event.NoValue. The loader may change
// the value, unless the directive of the function says shared. [StaleValue] returns the value
// with its type.
func (e *Entry) Stale() (value any, why event.Reason) { return e.load().Stale() }

// StaleValue is [Entry.Stale] of the entry that [EntryOf] returns for ctx, with the type of the
// value. If there is no value, or if the value has another type than V, ok is false and why is
// event.NoValue.
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

// NotModified says that the stale value still holds, as a server's answer 304 does, and reports
// whether the cache accepts this. If the cache accepts, it takes the value of [Entry.Stale] for
// what the loader has loaded, whatever the loader returns: the value is fresh for another TTL
// and keeps its tags. The cache does not accept if there is no stale value, or if the value has
// been invalidated, or may have been (event.Invalidated, event.Unconfirmed). The loader then has
// to load a value.
func (e *Entry) NotModified() bool { return e.load().NotModified() }
