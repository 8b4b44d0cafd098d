package untyped

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Many is a call for several keys: what has been found, and what has not.
type Many struct {
	Found  []any // keys
	Values []any // of Found

	open    []any        // keys
	queries []load.Query // of open
	errs    []error
}

// A Lookup returns the value that a loader of many keys has returned for one.
type Lookup func(key any) (any, bool)

// A ManyLoader loads the values of keys.
type ManyLoader func(ctx context.Context, missing []any) (Lookup, error)

// GetMany returns those of keys that are cached. It returns nil if the cache is not bound,
// or if the call is refused.
func (c *Cache) GetMany(ctx context.Context, keys []any, call *policy.Call) (*Many, error) {
	b, err := c.Binding()
	if err == nil {
		err = c.checkCall(policy.GetMany, call)
	}
	if err != nil {
		return nil, err
	}
	m := c.fromMemory(b, keys, collect.Of(ctx) != nil || c.InTransaction())
	if len(m.queries) == 0 || c.InTransaction() {
		return m, m.err()
	}
	items, err := b.get(ctx, m.queries, call)
	m.failed(err)
	for i, it := range items {
		if it != nil && c.definition.Fits(it.Value) {
			m.add(m.open[i], b.Kind.Own(it.Value))
		}
	}
	return m, m.err()
}

// GetOrSetMany returns the values of keys, and loads and caches those that are missing. It
// returns nil if the cache is not bound, or if the call is refused.
func (c *Cache) GetOrSetMany(ctx context.Context, keys []any, loader ManyLoader, call *policy.Call) (*Many, error) {
	b, err := c.Binding()
	if err != nil {
		return nil, err
	}
	if loader == nil {
		return nil, fmt.Errorf("cachegen: GetOrSetMany of %s: the loader is nil", c.Label())
	}
	if err := c.checkCall(policy.GetOrSetMany, call); err != nil {
		return nil, err
	}
	force, inside := call != nil && call.ForceFresh, collect.Of(ctx) != nil
	m := c.fromMemory(b, keys, force || inside || c.InTransaction())
	if len(m.queries) == 0 {
		return m, m.err()
	}
	switch {
	case b.Function.Disabled.Load() || c.InTransaction():
		m.loadWithoutCache(ctx, b, m.open, loader, call)
		return m, m.err()
	case inside:
		c.getOrLoadMany(ctx, b, m, loader, call)
		return m, m.err()
	}
	for i, key := range m.open {
		m.queries[i].Tags = c.tags(key, call)
	}
	open := m.open // all that a load in the background keeps of m
	rq := load.Request{
		Kind: b.Kind, Policy: b.policyOf(call), ForceFresh: force, Many: true,
		Load: func(ctx context.Context, keys []*load.Key) error { return b.loadMany(ctx, loader, open, keys) },
	}
	results, err := b.Lookups.GetOrSetMany(ctx, &rq, m.queries)
	m.failed(err)
	var foreign []any
	for i, r := range results {
		switch key := open[i]; {
		case r.Err == load.ErrNotLoaded:
		case c.addReturned(b, m, key, r.Err):
		case r.Err != nil && r.Item == nil:
			m.failed(r.Err)
		case r.Item.Presence == entry.NotFound && b.Kind.NotFound == nil:
			foreign = append(foreign, key)
		case r.Item.Presence != entry.Present:
		case r.Item.Uncopied && r.Item.Give():
			m.add(key, r.Item.Value)
		case !r.Item.Uncopied && c.definition.Fits(r.Item.Value):
			m.add(key, b.Kind.Own(r.Item.Value))
		default:
			foreign = append(foreign, key)
		}
	}
	if len(foreign) > 0 { // another cache keeps another type under these keys, or another caller has got the value
		m.loadWithoutCache(ctx, b, foreign, loader, call)
	}
	return m, m.err()
}

// loadMany calls a loader of many keys for those of open that are to be loaded.
func (b *Binding) loadMany(ctx context.Context, loader ManyLoader, open []any, keys []*load.Key) error {
	missing := make([]any, len(keys))
	for i, k := range keys {
		missing[i] = open[k.Index]
	}
	values, err := loader(ctx, missing)
	cause, partial := b.Partial(err)
	for i, k := range keys {
		switch v, ok := values(missing[i]); {
		case !ok:
		case err == nil || partial:
			k.SetValue(v)
		default: // its caller gets it, but what comes with an error is not kept
			k.SetBeside(load.Returned{Value: v, Err: err, Many: true})
		}
	}
	if partial {
		return cause
	}
	return err
}

// addReturned adds the value that a loader of many keys has returned for a key although
// there is none to keep, and the error that it has returned with it. It reports whether err
// is of such a key.
func (c *Cache) addReturned(b *Binding, m *Many, key any, err error) bool {
	r, ok := err.(*load.Returned)
	if !ok || !r.Many {
		return false
	}
	if c.definition.Fits(r.Value) {
		m.add(key, b.Kind.Own(r.Value))
	}
	m.failed(r.Err)
	return true
}

// fromMemory begins a call for keys with those that memory has fresh values of, unless that is
// not to be asked.
func (c *Cache) fromMemory(b *Binding, keys []any, unasked bool) *Many {
	m := &Many{}
	seen := make(map[any]struct{}, len(keys))
	var room [128]byte
	for _, key := range keys {
		if _, again := seen[key]; again {
			continue
		}
		seen[key] = struct{}{}
		full, err := c.appendFull(room[:0], b, key)
		if err != nil {
			m.failed(err)
			continue
		}
		if !unasked {
			if it := b.hit(full[len(b.Kind.Prefix):]); it != nil && c.definition.Fits(it.Value) {
				if it.Presence == entry.Present {
					m.add(key, b.Kind.Own(it.Value))
				}
				continue
			}
		}
		q := load.Query{Key: string(full), Index: len(m.queries)}
		q.Hash = b.Memory.Hash(q.Key)
		m.open, m.queries = append(m.open, key), append(m.queries, q)
	}
	return m
}

// add adds a key's value to the result.
func (m *Many) add(key, value any) { m.Found, m.Values = append(m.Found, key), append(m.Values, value) }

// loadWithoutCache loads keys without the cache.
func (m *Many) loadWithoutCache(ctx context.Context, b *Binding, keys []any, loader ManyLoader, call *policy.Call) {
	size := b.policyOf(call).BatchMax
	if size <= 0 {
		size = max(len(keys), 1)
	}
	for some := range slices.Chunk(keys, size) {
		values, err := loader(handle.WithoutLoad(ctx), some)
		m.failed(err)
		for _, key := range some {
			if v, ok := values(key); ok {
				m.add(key, v)
			}
		}
	}
}

// failed adds an error, unless one of the same text is there: that of one load for several
// keys.
func (m *Many) failed(err error) {
	if err == nil {
		return
	}
	for _, other := range m.errs {
		if other.Error() == err.Error() {
			return
		}
	}
	m.errs = append(m.errs, err)
}

func (m *Many) err() error {
	if len(m.errs) == 1 {
		return m.errs[0]
	}
	return errors.Join(m.errs...)
}
