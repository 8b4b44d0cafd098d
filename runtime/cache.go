package runtime

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/typed"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// A Cache is a typed handle to entries in a store: those of one cached function, or those of one
// name for ad-hoc keys. Handles to the same entries share the entries and the loads that run, so
// that a program may make any number of them. Each handle has the options that it was made with.
// [NewCache] makes a Cache, and so does generated code.
//
// A zero Cache is not bound to a store: its methods return [ErrNotBound]. The methods of a nil
// Cache panic.
//
// The methods only convert types, and are not inlined: they are compiled again for each cached
// function of a program.
type Cache[K comparable, V any] struct{ untyped untyped.Cache }

// NewCache returns a cache for ad-hoc keys in a store or a namespace. Each NewCache with the
// same name, in the same store or namespace, returns a handle to the same entries; nothing else
// has these entries, and [Cache.Clear] removes them alone. The name is a part of the keys, and
// errors, events, [Stores.Disable] and [Stores.SetOptions] call the cache by the name. Any text
// that is not empty is a name. A program should have few names: to keep the entries of many
// users apart, for example, take a namespace for each user.
//
// K is a string type, an integer type, or a type with AppendText (see encoding.TextAppender) or
// MarshalText. AppendText must append: every method fails if AppendText drops or changes the
// bytes that it is given. A string is the whole text of the key: colons in the string separate
// nothing. A key whose text is empty is an error.
//
// NewCache fails if the store or namespace is nil or zero, if the name is empty, if K cannot be
// the type of a key, if an option is wrong or contradicts the options of the store, or if a
// cache of the same name has keys or values of another type. In a store without [WithCodec],
// NewCache also fails if the default codec would not give values of type V back as they were
// stored.
func NewCache[K comparable, V any, S *Store | *Namespace](in S, name string, options ...Option) (*Cache[K, V], error) {
	c := new(Cache[K, V])
	if err := openAdHoc(&c.untyped, in, name, (*K)(nil), (*V)(nil), options); err != nil {
		return nil, err
	}
	return c, nil
}

// Store returns the store that the cache is bound to, whose methods invalidate tags and
// namespaces. Before the cache is bound, Store returns nil. DeleteByTag, ExpireByTag and Clear
// of a nil Store, and Clear of a namespace of a nil Store, fail with [ErrNotBound].
func (c *Cache[K, V]) Store() *Store {
	if b, err := c.must().Binding(); err == nil {
		return b.Owner.(*Store)
	}
	return nil
}

// Untyped is for generated code.
func (c *Cache[K, V]) Untyped() *untyped.Cache { return c.must() }

// Namespace returns a cache of the same function, or of the same ad-hoc name, whose entries are
// in a namespace inside the namespace of c.
//
//go:noinline
func (c *Cache[K, V]) Namespace(name string) (*Cache[K, V], error) {
	inner := new(Cache[K, V])
	if err := bindInside(c.must(), &inner.untyped, name); err != nil {
		return nil, err
	}
	return inner, nil
}

// GetOrSet returns the cached value of key. If there is none, GetOrSet calls load, and caches
// and returns what load returns. Callers that ask for the same key while load runs wait for
// load, and get its result or its error.
//
// The context of load has the values of the context of the caller that began the load, but not
// its cancellation: the context of load is cancelled when no caller waits any more, or at the
// [HardTimeout]. If load panics, the caller that began the load panics with a [PanicError], and
// the other callers get the PanicError as an error. If load is slow or fails, and there is a
// stale value whose [Grace] is not over, callers get the stale value.
//
// The cache keeps a copy of what load returns. The copy refers to nothing else: if the value is
// a part of a long string, the rest of the string is not kept. Callers get copies of the copy,
// unless the directive of the function says shared. Structs with a lock are not copied, nor is
// what unexported fields point to. A value that no tier keeps, see event.Refusal, is loaded
// again by each call.
//
// An error of GetOrSet is the one that load returned, the error of ctx, that of an option or of
// a key that cannot be written, [ErrTimeout], [ErrRecursive], [ErrGoexit], [ErrClosed] or
// [ErrNotBound]. If the cache remembers that there is no value, the error is the one that the
// directive names with notfound, or [ErrNotFound] in an ad-hoc cache. A value that load returns beside its error is returned, too,
// and not kept. A failure of the shared tier is logged and is no error, unless
// [SuppressL2Errors] is false.
//
//go:noinline
func (c *Cache[K, V]) GetOrSet(ctx context.Context, key K, load func(context.Context) (V, error), options ...CallOption) (V, error) {
	var loader untyped.Loader
	if load != nil {
		loader = func(ctx context.Context) (any, error) { return load(ctx) }
	}
	return typed.Loaded[V](c.must().GetOrSet(ctx, key, loader, callOf(options)))
}

// GetOrSetForever is [Cache.GetOrSet] with a TTL that never ends.
//
//go:noinline
func (c *Cache[K, V]) GetOrSetForever(ctx context.Context, key K, load func(context.Context) (V, error), options ...CallOption) (V, error) {
	return c.GetOrSet(ctx, key, load, append(slices.Clip(options), forever)...)
}

// Get returns the value of key if the cache has a fresh one, or, with [AllowStale], a stale one.
// Get never loads. If the memory of the process has no such value, and the shared tier fails,
// the failure is logged and ok is false, unless [SuppressL2Errors] says otherwise. Other errors
// are the error of ctx, that of an option or of a key that cannot be written, [ErrClosed] and
// [ErrNotBound].
//
//go:noinline
func (c *Cache[K, V]) Get(ctx context.Context, key K, options ...CallOption) (v V, ok bool, err error) {
	return typed.Found[V](c.must().Get(ctx, key, callOf(options)))
}

// GetMany returns the values of those of keys that have a fresh value in the cache, or, with
// [AllowStale], a stale one. GetMany reads the shared tier once and never loads. Errors are
// those of [Cache.Get]. With an error, GetMany also returns what it has found. If all keys have
// been found, a failure of the shared tier is no error.
//
//go:noinline
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K, options ...CallOption) (map[K]V, error) {
	m, err := c.must().GetMany(ctx, typed.Box(keys), callOf(options))
	return typed.Map[K, V](m), err
}

// GetOrSetMany returns the cached values of keys, and loads and caches those that are missing:
// with one read of the shared tier, one call of load for all the keys that nobody else is
// loading, and one write. A load of a key is shared with [Cache.GetOrSet] and with other calls
// of GetOrSetMany, whichever began it. A key that is given twice is asked for once.
//
// A key that load does not return is not found. Such a key is not in the result. GetOrSetMany
// remembers for the [NotFoundTTL] that there is no value, if the cache is ad hoc, or if the
// directive says what means that there is no value. Values that load returns for other keys are ignored.
//
// The rules of GetOrSet for cancellation, timeouts, panics and stale values hold here for each
// key; load is cancelled when nobody waits for any of its keys. If load returns an error, all
// the keys that load was asked for have failed, unless the error is a [PartialError]. Beside an
// error, GetOrSetMany returns the values that it has found and those that load has returned with
// the error; the latter are not kept. The errors of several loads are joined. Other errors are
// those of GetOrSet. [BatchMax] bounds how many keys load is asked for at a time.
//
//go:noinline
func (c *Cache[K, V]) GetOrSetMany(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error), options ...CallOption) (map[K]V, error) {
	var loader untyped.ManyLoader
	if load != nil {
		loader = func(ctx context.Context, missing []any) (untyped.Lookup, error) {
			values, err := load(ctx, typed.Unbox[K](missing))
			return func(key any) (any, bool) {
				v, ok := values[typed.Value[K](key)]
				return v, ok
			}, err
		}
	}
	m, err := c.must().GetOrSetMany(ctx, typed.Box(keys), loader, callOf(options))
	return typed.Map[K, V](m), err
}

// Has reports whether the cache has a fresh value of key. Errors are those of [Cache.Get].
//
//go:noinline
func (c *Cache[K, V]) Has(ctx context.Context, key K) (bool, error) { return c.must().Has(ctx, key) }

// Missing reports whether the cache has no fresh value of key: Missing is the opposite of
// [Cache.Has], also if the cache remembers that there is no value. With an error, both return
// false. Errors are those of [Cache.Get].
//
//go:noinline
func (c *Cache[K, V]) Missing(ctx context.Context, key K) (bool, error) {
	return c.must().Missing(ctx, key)
}

// Set stores v under key, in place of the value that is there. A load of key that is running
// does not replace v. The cache keeps a copy of v, as GetOrSet does, so that the caller may
// change v afterwards. A v that is a nil pointer or a nil interface says that there is no value:
// Set removes the value that is there, and the cache remembers for the [NotFoundTTL], by default
// not at all, that there is none.
//
// If an option is wrong, or key cannot be written, Set returns an error and changes nothing.
// Other errors are those of [Cache.Delete]. If v could be stored, and only the other processes
// could not be told, Set returns an error although v is stored. After any other error the memory
// of this process has no value of key, and the shared tier has the old value, v, or none.
//
// If one of two tiers does not take v, because v is too large for example, Set returns nil and
// the hook Refused is called: see event.Refusal. If no tier takes v, the error wraps
// drivers.ErrRefused, or says why v cannot be written.
//
//go:noinline
func (c *Cache[K, V]) Set(ctx context.Context, key K, v V, options ...CallOption) error {
	return c.must().Set(ctx, key, v, callOf(options))
}

// SetForever is [Cache.Set] with a TTL that never ends.
//
//go:noinline
func (c *Cache[K, V]) SetForever(ctx context.Context, key K, v V, options ...CallOption) error {
	return c.Set(ctx, key, v, append(slices.Clip(options), forever)...)
}

// forever is the option of a method that stores a value for ever.
var forever = callOption(func(c *policy.Call) { c.Forever = true })

// Pull returns the value of key and deletes it. If several callers in a process pull a value at
// a time, one of them gets it. The same holds for several processes, if their shared tier can
// compare and swap (see drivers.Swapper). Errors are those of [Cache.Get] and of [Cache.Delete].
// If the value could not be deleted everywhere, Pull returns the value beside the error.
//
//go:noinline
func (c *Cache[K, V]) Pull(ctx context.Context, key K) (v V, ok bool, err error) {
	return typed.Found[V](c.must().Pull(ctx, key))
}

// Delete removes the value of key from the memory of all processes and from the shared tier.
// Delete goes on if ctx is cancelled. Delete takes at most the [L2Timeout] of the store, for all
// that it waits for: earlier writes of the key, the shared tier, and the message to other
// processes. What is not done by then is tried again in the background.
//
// If the value could not be removed everywhere, the error is an [InvalidationError], unless
// [InvalidationErrors] says otherwise. Other errors are that of a key that cannot be written,
// [ErrClosed] and [ErrNotBound].
//
//go:noinline
func (c *Cache[K, V]) Delete(ctx context.Context, key K) error { return c.must().Delete(ctx, key) }

// DeleteMany does for several keys, in one round trip, what [Cache.Delete] does for one.
//
//go:noinline
func (c *Cache[K, V]) DeleteMany(ctx context.Context, keys ...K) error {
	return c.must().Delete(ctx, typed.Box(keys)...)
}

// Invalidate does what [Cache.DeleteMany] does with keys and [Store.DeleteByTag] with tags, both
// at once: within one [L2Timeout], and in as many round trips as the tags alone take. keys or
// tags may be empty.
//
//go:noinline
func (c *Cache[K, V]) Invalidate(ctx context.Context, keys []K, tags []Tag) error {
	return c.must().Invalidate(ctx, typed.Box(keys), tagNames(tags))
}

// Expire makes the values of keys stale, in the memory of all processes and in the shared tier.
// A stale value whose [Grace] is not over may still be served, when a load fails or is slow.
// Errors, and how long Expire takes, are as for [Cache.Delete].
//
//go:noinline
func (c *Cache[K, V]) Expire(ctx context.Context, keys ...K) error {
	return c.must().Expire(ctx, typed.Box(keys)...)
}

// Clear removes all entries of c: those of its function, or of its ad-hoc name, in its
// namespace. The entries of other caches stay. So do those of the caches that [Cache.Namespace]
// returns, which are in namespaces of their own; [Namespace.Clear] removes all that is in a
// namespace and inside it. Clear takes the time of one write, however many entries there are.
// Errors are those of [Cache.Delete].
func (c *Cache[K, V]) Clear(ctx context.Context) error { return c.must().Clear(ctx) }
