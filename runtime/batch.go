package runtime

import (
	"context"
	"errors"
	"fmt"
)

// GetMany returns those of keys that have a fresh value in the cache, or, with
// [AllowStale], a stale one, with one look at the shared tier. It never loads. Errors
// are those of [Cache.Get]; with them it returns what it has found.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K, options ...CallOption) (map[K]V, error) {
	k, err := c.core()
	if err != nil {
		return nil, err
	}
	given := given(k.settings, options)
	b := c.batch(k, keys, false)
	if len(b.wants) == 0 {
		return b.result, b.err()
	}
	items, err := k.getMany(ctx, b.wants, &given)
	b.failed(err)
	for i, it := range items {
		if it == nil {
			continue
		}
		if v, ok := c.give(k, it); ok {
			b.result[b.open[i]] = v
		}
	}
	return b.result, b.err()
}

// GetOrSetMany returns the cached values of keys, and loads and caches those that
// are missing: with one look at the shared tier, one call of load for all the keys
// that nobody else is loading, and one write. A load of a key is shared with
// [Cache.GetOrSet] and with other batches, whichever began it. Keys that are given
// twice are asked for once.
//
// Keys that load does not return are not found. They are not in the result, and
// that is remembered if the [Definition] knows of NotFound or Absent. Values that
// nobody asked for are ignored.
//
// What holds for the load of GetOrSet holds here for each key: cancellation (when
// nobody waits for any of its keys), timeouts, panics, grace values. An error of
// load, whichever it is, is the failure of all the keys it was asked for, unless it is
// a [PartialError]. With an error, which joins those of several loads, the result has
// the keys that were found all the same; otherwise errors are those of GetOrSet.
// [BatchMax] bounds how many keys load is asked for at a time.
func (c *Cache[K, V]) GetOrSetMany(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error), options ...CallOption) (map[K]V, error) {
	k, err := c.core()
	if err != nil {
		return nil, err
	}
	if load == nil {
		return nil, fmt.Errorf("cachegen: GetOrSetMany of %s: the loader is nil", c.label())
	}
	given := given(k.settings, options)
	b := c.batch(k, keys, given.forceFresh)
	if len(b.wants) == 0 {
		return b.result, b.err()
	}
	if k.function.off.Load() {
		loadPast(ctx, b, b.open, load)
		return b.result, b.err()
	}
	for i, key := range b.open {
		b.wants[i].tags = c.tags(key, given.tags)
	}
	open := b.open // all that a load in the background keeps of b
	rq := request{set: given.settings, forceFresh: given.forceFresh, many: true, load: func(ctx context.Context, parts []*part) error {
		missing := make([]K, len(parts))
		for i, p := range parts {
			missing[i] = open[p.n]
		}
		values, err := load(ctx, missing)
		var partial *PartialError
		if errors.As(err, &partial) {
			err = partial.Err
		} else if err != nil {
			return err
		}
		for _, p := range parts {
			p.value, p.found = lookUp(values, open[p.n])
		}
		return err
	}}
	searches, err := k.getOrSetMany(ctx, &rq, b.wants)
	b.failed(err)
	var strange []K
	for _, q := range searches {
		switch key := open[q.n]; {
		case q.err == errUnloaded:
		case q.err != nil && q.it == nil:
			b.failed(q.err)
		case q.it.presence == notFound && k.notFound == nil:
			strange = append(strange, key)
		case q.it.presence == present:
			if v, ok := c.give(k, q.it); ok {
				b.result[key] = v
			} else {
				strange = append(strange, key)
			}
		}
	}
	if len(strange) > 0 { // another handle caches another type under these keys
		loadPast(ctx, b, strange, load)
	}
	return b.result, b.err()
}

// loadPast loads keys past the cache.
func loadPast[K comparable, V any](ctx context.Context, b *batch[K, V], keys []K, load func(context.Context, []K) (map[K]V, error)) {
	values, err := load(apart(ctx), keys)
	b.failed(err)
	var partial *PartialError
	if err != nil && !errors.As(err, &partial) {
		return
	}
	for _, key := range keys {
		if v, ok := values[key]; ok {
			b.result[key] = v
		}
	}
}

// lookUp returns the value of a key without making a value of what is not there.
func lookUp[K comparable, V any](values map[K]V, key K) (any, bool) {
	if v, ok := values[key]; ok {
		return v, true
	}
	return nil, false
}

// A batch is a call for several keys: what has been found, and what has not.
type batch[K comparable, V any] struct {
	result map[K]V
	open   []K
	wants  []want // of open
	errs   []error
}

// batch begins a call for keys with those that memory has good values of, unless it
// is to be forced.
func (c *Cache[K, V]) batch(k *binding[K], keys []K, forced bool) *batch[K, V] {
	b := &batch[K, V]{result: make(map[K]V, len(keys))}
	seen := make(map[K]struct{}, len(keys))
	var room [128]byte
	for _, key := range keys {
		if _, again := seen[key]; again {
			continue
		}
		seen[key] = struct{}{}
		full, err := c.appendFull(room[:0], k, key)
		if err != nil {
			b.failed(err)
			continue
		}
		if !forced {
			if it := k.hit(full[len(k.base):]); it != nil {
				if v, ok := c.give(k, it); ok {
					if it.presence == present {
						b.result[key] = v
					}
					continue
				}
			}
		}
		w := want{key: string(full), n: len(b.wants)}
		w.hash = k.store.hash(w.key)
		b.open, b.wants = append(b.open, key), append(b.wants, w)
	}
	return b
}

// failed adds an error, unless one of the same text is there: that of one load for
// several keys.
func (b *batch[K, V]) failed(err error) {
	if err == nil {
		return
	}
	for _, other := range b.errs {
		if other.Error() == err.Error() {
			return
		}
	}
	b.errs = append(b.errs, err)
}

func (b *batch[K, V]) err() error {
	if len(b.errs) == 1 {
		return b.errs[0]
	}
	return errors.Join(b.errs...)
}
