package runtime

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/typed"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// A Cache is a typed handle to the entries of one function, or of one kind of
// ad-hoc key, in a store. All handles to the same entries share everything, so
// that it does not matter how many there are. [NewCache] makes one, and so does
// generated code.
//
// The zero Cache is not bound: its methods return [ErrNotBound]. Those of a nil Cache panic.
//
// The methods only convert types, and are not inlined: they are compiled again for each
// cached function of a program.
type Cache[K comparable, V any] struct{ untyped untyped.Cache }

// NewCache returns a cache for ad-hoc keys in a store or a namespace, under a name. The name is a
// part of the cache's keys, and what [Cache.Clear] goes by: nothing else in the store has these
// entries, but caches that NewCache makes under the same name in the same namespace. Errors,
// events, [Stores.Disable] and [Stores.SetOptions] call the cache by its name. A program has few
// names; for each of its users, for example, it makes a namespace.
//
// K is a string type, an integer type, or one with AppendText (see encoding.TextAppender) or
// MarshalText. AppendText must append: every method fails if AppendText drops or changes
// the bytes that it is given. A string is the whole text of the key: its colons separate
// nothing.
//
// NewCache fails if in is nil, if the name is empty, if there is a cache of that name whose keys
// or values have another type, or if values of type V would not come back from the default codec
// as they were stored.
func NewCache[K comparable, V any, S *Store | *Namespace](in S, name string, options ...Option) (*Cache[K, V], error) {
	c := new(Cache[K, V])
	if err := openAdHoc(&c.untyped, in, name, (*K)(nil), (*V)(nil), options); err != nil {
		return nil, err
	}
	return c, nil
}

// Store returns the store that the cache is bound to: tags and namespaces belong to it.
// Before the cache is bound, Store returns nil. DeleteByTag, ExpireByTag and Clear of a nil
// Store, and Clear of a namespace of it, fail with [ErrNotBound].
func (c *Cache[K, V]) Store() *Store {
	if b, err := c.must().Binding(); err == nil {
		return b.Owner.(*Store)
	}
	return nil
}

// Untyped is for generated code.
func (c *Cache[K, V]) Untyped() *untyped.Cache { return c.must() }

// Namespace returns the cache of the same function or name in a namespace inside c's own.
//
//go:noinline
func (c *Cache[K, V]) Namespace(name string) (*Cache[K, V], error) {
	inner := new(Cache[K, V])
	if err := bindInside(c.must(), &inner.untyped, name); err != nil {
		return nil, err
	}
	return inner, nil
}

// GetOrSet returns the cached value of key, or loads and caches it. Callers that
// ask for one key at a time share one load, its result and its error.
//
// load gets the values of the context of the caller that began it, but not its
// cancellation: it is cancelled when nobody waits any more, or at the hard
// timeout. If load panics, the caller that began it panics with a [PanicError] and
// the others get the PanicError as an error. When the load is slow or fails and there is
// a grace value, the grace value is served.
//
// The cache keeps a copy of what load returns, which refers to nothing else: a part of a long
// string does not keep the string. Callers get copies of that, unless the function is
// shared. Structs with a lock are not copied, nor is what unexported fields point to. A
// value that no tier keeps, see event.Refusal, is loaded again each time.
//
// An error is the one that load returned, or ctx's, or that of a key that cannot be
// written, or [ErrTimeout], [ErrRecursive], [ErrGoexit], [ErrClosed], [ErrNotBound]; or,
// if the cache remembers that there is no value, the error that the directive names with
// notfound, or [ErrNotFound] if the cache is ad hoc. A value that load returns beside its error is returned, too, and not kept. A
// failure of the shared tier is logged and is no error, unless [SuppressL2Errors] is false.
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

// Get returns the value of key if a fresh one is cached, or, with [AllowStale], a
// stale one. It never loads. If memory has no such value, a failure of the shared tier is
// logged and is a miss, unless [SuppressL2Errors] says otherwise. Other errors are ctx's,
// that of a key that cannot be written, [ErrClosed] and [ErrNotBound].
//
//go:noinline
func (c *Cache[K, V]) Get(ctx context.Context, key K, options ...CallOption) (v V, ok bool, err error) {
	return typed.Found[V](c.must().Get(ctx, key, callOf(options)))
}

// GetMany returns those of keys that have a fresh value in the cache, or, with
// [AllowStale], a stale one, with one read of the shared tier. It never loads. Errors
// are those of [Cache.Get], if a key is missing; with them it returns what it has found.
//
//go:noinline
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K, options ...CallOption) (map[K]V, error) {
	m, err := c.must().GetMany(ctx, typed.Box(keys), callOf(options))
	return typed.Map[K, V](m), err
}

// GetOrSetMany returns the cached values of keys, and loads and caches those that
// are missing: with one read of the shared tier, one call of load for all the keys
// that nobody else is loading, and one write. A load of a key is shared with
// [Cache.GetOrSet] and with other batches, whichever began it. Keys that are given
// twice are asked for once.
//
// Keys that load does not return are not found. They are not in the result, and with
// [NotFoundTTL] that is remembered, if the cache is ad hoc or its directive says what means that
// there is no value. Values that nobody asked for are ignored.
//
// What holds for the load of GetOrSet holds here for each key: cancellation (when
// nobody waits for any of its keys), timeouts, panics, grace values. An error of
// load is the failure of all the keys it was asked for, unless it is a [PartialError].
// Together with an error the result has what was found and what load returned beside it,
// which is not kept. The errors of several loads are joined; otherwise errors are those of
// GetOrSet. [BatchMax] bounds how many keys load is asked for at a time.
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

// Has reports whether a fresh value of key is cached. Errors are those of
// [Cache.Get].
//
//go:noinline
func (c *Cache[K, V]) Has(ctx context.Context, key K) (bool, error) { return c.must().Has(ctx, key) }

// Missing reports whether no fresh value of key is cached: it is the opposite of [Cache.Has], also
// where the cache remembers that there is no value. With an error both return false. Errors are
// those of [Cache.Get].
//
//go:noinline
func (c *Cache[K, V]) Missing(ctx context.Context, key K) (bool, error) {
	return c.must().Missing(ctx, key)
}

// Set stores v under key; of a nil pointer or interface, that there is no value, for the
// [NotFoundTTL]: by default it deletes. Loads of the key that are running do not
// replace v. The cache keeps a copy, as on a load, so that the caller may go on to change v.
// Errors are those of [Cache.Delete]. If only the other processes could not be told, v is stored all the same.
// After any other error memory holds no value, and the shared tier holds the old value, v,
// or none. That one of two tiers does not take v is no error: see event.Refusal. If none
// does, the error wraps drivers.ErrRefused, or says why v cannot be written.
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

// Pull returns the value of key and deletes it. Of several callers in a process
// that pull one value at a time, one gets it, and so of several processes if their
// shared tier can compare and swap (see drivers.Swapper). Errors are those of
// [Cache.Get] and of [Cache.Delete]. With an error of Delete the value is returned, but it
// may not be deleted everywhere.
//
//go:noinline
func (c *Cache[K, V]) Pull(ctx context.Context, key K) (v V, ok bool, err error) {
	return typed.Found[V](c.must().Pull(ctx, key))
}

// Delete removes key everywhere, although ctx is cancelled. All of it takes the store's
// [L2Timeout] at most: the wait for earlier writes of the key, the shared tier, and the message
// to other processes. What is not done by then is tried again in the background. An error is an
// [InvalidationError] if the key could not be removed everywhere, unless [InvalidationErrors]
// says otherwise, that of a key that cannot be written, [ErrClosed] or [ErrNotBound].
//
//go:noinline
func (c *Cache[K, V]) Delete(ctx context.Context, key K) error { return c.must().Delete(ctx, key) }

// DeleteMany removes keys everywhere, in one round trip. See [Cache.Delete].
//
//go:noinline
func (c *Cache[K, V]) DeleteMany(ctx context.Context, keys ...K) error {
	return c.must().Delete(ctx, typed.Box(keys)...)
}

// Invalidate is [Cache.DeleteMany] of keys and [Store.DeleteByTag] of tags at once: in one
// [L2Timeout], and in as many round trips as the tags alone take. Either may be empty.
//
//go:noinline
func (c *Cache[K, V]) Invalidate(ctx context.Context, keys []K, tags []Tag) error {
	return c.must().Invalidate(ctx, typed.Box(keys), tagNames(tags))
}

// Expire makes keys stale everywhere. A value with a grace period may still be served
// when a load fails or is slow. See [Cache.Delete].
//
//go:noinline
func (c *Cache[K, V]) Expire(ctx context.Context, keys ...K) error {
	return c.must().Expire(ctx, typed.Box(keys)...)
}

// Clear removes every entry of this cache, and of no other: those of the caches that
// [Cache.Namespace] returns stay. Clear takes the time of one write, however many entries there
// are. Errors are those of [Cache.Delete].
func (c *Cache[K, V]) Clear(ctx context.Context) error { return c.must().Clear(ctx) }
