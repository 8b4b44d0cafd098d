package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// appendFull appends the full key of a key to b.
func (c *Cache[K, V]) appendFull(b []byte, in *binding[K], key K) ([]byte, error) {
	b, err := in.appendKey(append(b, in.base...), key)
	switch {
	case err != nil:
	case len(b) < len(in.base) || string(b[:len(in.base)]) != in.base:
		err = errNotAppended
	default:
		err = checkText(b[len(in.base):])
	}
	if err != nil {
		return nil, fmt.Errorf("cachegen: key of %s: %w", c.label(), err)
	}
	return b, nil
}

// key returns the full key of k.
func (c *Cache[K, V]) key(in *binding[K], k K) (string, error) {
	var room [128]byte
	b, err := c.appendFull(room[:0], in, k)
	return string(b), err
}

// at resolves what every method begins with.
func (c *Cache[K, V]) at(key K) (*binding[K], string, error) {
	k, err := c.core()
	if err != nil {
		return nil, "", err
	}
	full, err := c.key(k, key)
	return k, full, err
}

// options applies a call's options to the cache's own, and adds the key's tags.
func (c *Cache[K, V]) options(k *binding[K], key K, options []CallOption) call {
	given := given(k.settings, options)
	given.tags = c.tags(key, given.tags)
	return given
}

// given applies a call's options to those of a cache.
func given(own settings, options []CallOption) call {
	var given call
	for _, o := range options {
		if o != nil {
			o.applyToCall(&given)
		}
	}
	given.settings = given.or(own)
	return given
}

// tags returns the tags of a key and of a call.
func (c *Cache[K, V]) tags(key K, given []Tag) []Tag {
	if c.definition.Tags == nil {
		return given
	}
	return append(slices.Clip(c.definition.Tags(key)), given...)
}

// give returns an item's value as a caller gets it.
func (c *Cache[K, V]) give(k *binding[K], it *item) (V, bool) {
	v, ok := it.value.(V)
	if !ok && it.value != nil {
		return v, false // another type is cached under the same key
	}
	return c.own(k, v), true
}

// own returns v, or a copy that shares no memory with it where that is asked for.
func (c *Cache[K, V]) own(k *binding[K], v V) V {
	if k.shares {
		return c.definition.Value.copy(v)
	}
	return v
}

// Hit returns the value of the key with that text if it is fresh in memory. It is
// the fast path of generated code, and does not allocate unless the value has to
// be copied. A false may have any reason: the caller goes on with [Cache.GetOrSet].
func (c *Cache[K, V]) Hit(text []byte) (v V, ok bool) {
	if k := c.bound.Load(); k != nil {
		if it := k.hit(text); it != nil {
			return c.give(k, it)
		}
	}
	return v, false
}

// HitInt is [Cache.Hit] for the key whose text is the definition's IntPrefix and n.
func (c *Cache[K, V]) HitInt(n int64) (v V, ok bool) {
	if k := c.bound.Load(); k != nil {
		if it := k.hitInt(n); it != nil {
			return c.give(k, it)
		}
	}
	return v, false
}

// GetOrSet returns the cached value of key, or loads and caches it. Callers that
// ask for one key at a time share one load, its result and its error.
//
// load gets the values of the context of the caller that began it, but not its
// cancellation: it is cancelled when nobody waits any more, or at the hard
// timeout. If it panics, the caller that began it panics with a [PanicError] and
// the others get that as an error. When a grace value can stand in for a load
// that is slow or fails, it does.
//
// The cache keeps the value that load returns, not a copy: load must not hold on to
// what that refers to and change it. Callers get copies, unless the function is shared.
//
// An error is the load's own, [ErrGoexit] included, ctx's, the key's, [ErrTimeout],
// [ErrRecursive], [ErrClosed], [ErrNotBound] or, if it is remembered that there is
// nothing, the NotFound of the [Definition]. Trouble with the shared tier is logged and
// is not an error, unless [SuppressL2Errors] says otherwise.
func (c *Cache[K, V]) GetOrSet(ctx context.Context, key K, load func(context.Context) (V, error), options ...CallOption) (V, error) {
	var zero V
	k, full, err := c.at(key)
	if err != nil {
		return zero, err
	}
	if load == nil {
		return zero, fmt.Errorf("cachegen: GetOrSet of %s: the loader is nil", c.label())
	}
	if k.function.off.Load() {
		return load(apart(ctx))
	}
	call := c.options(k, key, options)
	rq := request{set: call.settings, forceFresh: call.forceFresh, load: func(ctx context.Context, parts []*part) error {
		v, err := load(ctx)
		if err != nil && k.notFound != nil && errors.Is(err, k.notFound) {
			parts[0].none = err
			return nil
		}
		parts[0].value, parts[0].found = v, err == nil
		return err
	}}
	it, err := k.getOrSet(ctx, &rq, want{key: full, hash: k.store.hash(full), tags: call.tags})
	switch {
	case err != nil:
		return zero, err
	case it.presence == notFound && k.notFound != nil:
		return zero, k.notFound
	case it.presence != notFound:
		if v, ok := c.give(k, it); ok {
			return v, nil
		}
	}
	// Another handle caches another type under this key: load past it.
	return load(apart(ctx))
}

// GetOrSetForever is [Cache.GetOrSet] with a TTL that never ends.
func (c *Cache[K, V]) GetOrSetForever(ctx context.Context, key K, load func(context.Context) (V, error), options ...CallOption) (V, error) {
	return c.GetOrSet(ctx, key, load, append(slices.Clip(options), TTL(Forever))...)
}

// Get returns the value of key if a fresh one is cached, or, with [AllowStale], a
// stale one. It never loads. Trouble with the shared tier is logged and is a miss,
// unless [SuppressL2Errors] says otherwise; else an error is ctx's, the key's,
// [ErrClosed] or [ErrNotBound].
func (c *Cache[K, V]) Get(ctx context.Context, key K, options ...CallOption) (v V, ok bool, err error) {
	k, full, err := c.at(key)
	if err != nil {
		return v, false, err
	}
	given := given(k.settings, options)
	it, err := k.get(ctx, full, &given)
	if it == nil || err != nil {
		return v, false, err
	}
	v, ok = c.give(k, it)
	return v, ok, nil
}

// Has reports whether a fresh value of key is cached. Errors are those of
// [Cache.Get].
func (c *Cache[K, V]) Has(ctx context.Context, key K) (bool, error) {
	k, full, err := c.at(key)
	if err != nil {
		return false, err
	}
	it, err := k.get(ctx, full, &call{settings: k.settings})
	return it != nil, err
}

// Missing is the opposite of [Cache.Has]; false if there is an error.
func (c *Cache[K, V]) Missing(ctx context.Context, key K) (bool, error) {
	has, err := c.Has(ctx, key)
	return !has && err == nil, err
}

// Set stores value under key. Loads of the key that are under way do not replace
// it. The value is copied as on a hit, so that the caller may go on to change it.
// Errors are those of [Cache.Delete]: if only the other processes could not be told, it
// is stored all the same; otherwise memory holds nothing, and the shared tier the old
// value, the new one or none.
func (c *Cache[K, V]) Set(ctx context.Context, key K, v V, options ...CallOption) error {
	k, full, err := c.at(key)
	if err != nil {
		return err
	}
	call := c.options(k, key, options)
	return k.set(ctx, full, c.own(k, v), call.settings, call.tags)
}

// SetForever is [Cache.Set] with a TTL that never ends.
func (c *Cache[K, V]) SetForever(ctx context.Context, key K, v V, options ...CallOption) error {
	return c.Set(ctx, key, v, append(slices.Clip(options), TTL(Forever))...)
}

// Pull returns the value of key and deletes it. Of several callers in a process
// that pull one value at a time, one gets it, and so of several processes if their
// shared tier can compare and swap (see drivers.Swapper). Errors are those of
// [Cache.Get], and those of [Cache.Delete]: then the value is returned, but may not be
// gone everywhere.
func (c *Cache[K, V]) Pull(ctx context.Context, key K) (v V, ok bool, err error) {
	k, full, err := c.at(key)
	if err != nil {
		return v, false, err
	}
	it, err := k.pull(ctx, full)
	if it == nil {
		return v, false, err
	}
	v, ok = c.give(k, it)
	return v, ok, err
}

// Delete removes key everywhere. It is carried out although ctx is cancelled: each of
// its steps takes the store's [L2Timeout] at most, but it waits for writes of the key
// that are under way. An error is an [InvalidationError] if it could not be carried out
// everywhere, the key's own, [ErrClosed] or [ErrNotBound].
func (c *Cache[K, V]) Delete(ctx context.Context, key K) error { return c.DeleteMany(ctx, key) }

// DeleteMany removes keys everywhere, in one round trip. See [Cache.Delete].
func (c *Cache[K, V]) DeleteMany(ctx context.Context, keys ...K) error {
	return c.each(keys, func(k *binding[K], full []string) error { return k.store.remove(ctx, full, k.settings.skipBus) })
}

// Expire makes keys stale everywhere. A value with a grace period may still stand
// in for a load that fails or is slow. See [Cache.Delete].
func (c *Cache[K, V]) Expire(ctx context.Context, keys ...K) error {
	return c.each(keys, func(k *binding[K], full []string) error { return k.store.age(ctx, full, k.settings.skipBus) })
}

// each resolves keys and hands those that have a text to do, so that one bad key
// does not keep the others from being invalidated.
func (c *Cache[K, V]) each(keys []K, do func(*binding[K], []string) error) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	var errs []error
	full := make([]string, 0, len(keys))
	for _, key := range keys {
		text, err := c.key(k, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full = append(full, text)
	}
	return errors.Join(append(errs, do(k, distinct(full)))...)
}

// Clear removes every entry of this cache: for an ad-hoc one, every entry of its
// namespace, or of the whole store if it is in none. It takes the time of one
// write, however many entries there are. Errors are those of [Cache.Delete].
func (c *Cache[K, V]) Clear(ctx context.Context) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	return k.store.clear(ctx, k.ownStamp(), InvalidationEvent{Namespace: strings.Join(k.namespace, "/"), Cache: k.name})
}

// ClearNamespace is [Namespace.Clear] of the store's namespace of that name.
func (c *Cache[K, V]) ClearNamespace(ctx context.Context, name string) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	return k.store.Namespace(name).Clear(ctx)
}

// DeleteByTag is [Store.DeleteByTag] of the cache's store.
func (c *Cache[K, V]) DeleteByTag(ctx context.Context, tags ...Tag) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	return k.store.DeleteByTag(ctx, tags...)
}

// ExpireByTag is [Store.ExpireByTag] of the cache's store.
func (c *Cache[K, V]) ExpireByTag(ctx context.Context, tags ...Tag) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	return k.store.ExpireByTag(ctx, tags...)
}
