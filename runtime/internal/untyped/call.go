package untyped

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Loader loads the value of one key.
type Loader func(context.Context) (any, error)

// GetOrSet returns the value of key, or loads and caches it. A nil call has no options.
func (c *Cache) GetOrSet(ctx context.Context, key any, loader Loader, call *policy.Call) (any, error) {
	b, full, err := c.at(key)
	if err != nil {
		return nil, err
	}
	if loader == nil {
		return nil, fmt.Errorf("cachegen: GetOrSet of %s: the loader is nil", c.Label())
	}
	if err := c.checkCall(policy.GetOrSet, call); err != nil {
		return nil, err
	}
	if b.Function.Disabled.Load() || c.InTransaction() {
		return loader(handle.WithoutLoad(ctx))
	}
	if collect.Of(ctx) != nil {
		return c.getOrLoad(ctx, b, full, loader, call)
	}
	rq := load.Request{
		Kind: b.Kind, Policy: b.policyOf(call), ForceFresh: call != nil && call.ForceFresh,
		Load: func(ctx context.Context, keys []*load.Key) error { return b.loadOne(ctx, loader, keys[0]) },
	}
	it, err := b.Lookups.GetOrSet(ctx, &rq, load.Query{Key: full, Hash: b.Memory.Hash(full), Tags: c.tags(key, call)})
	switch {
	case err != nil:
		return c.returned(b, full, err)
	case it.Presence == entry.NotFound && b.Kind.NotFound != nil:
		return nil, b.Kind.NotFound
	case it.Uncopied && it.Give():
		return it.Value, nil
	case !it.Uncopied && it.Presence != entry.NotFound && c.definition.Fits(it.Value):
		return b.Kind.Own(it.Value), nil
	}
	// Another cache keeps another type under this key, or another caller has got the value, of
	// which there is no copy: load without the cache.
	return loader(handle.WithoutLoad(ctx))
}

// loadOne calls a loader for its key.
func (b *Binding) loadOne(ctx context.Context, loader Loader, k *load.Key) error {
	v, err := loader(ctx)
	if err == nil {
		k.SetValue(v)
		return nil
	}
	withOK, hasOK := err.(*load.OKError)
	if hasOK || v != nil && !reflect.ValueOf(v).IsZero() {
		k.SetBeside(load.Returned{Value: v, Err: err})
	}
	if hasOK {
		return withOK.Err
	}
	if notFound := b.Kind.NotFound; notFound != nil && errors.Is(err, notFound) {
		k.SetNotFound(err)
		return nil
	}
	return err
}

// returned returns the value that a load's error may carry, and the error that the loader
// has returned.
func (c *Cache) returned(b *Binding, key string, err error) (any, error) {
	r, ok := err.(*load.Returned)
	switch {
	case !ok:
		return nil, err
	case !c.definition.Fits(r.Value):
		return nil, r.Err
	}
	v, errCopy := b.Kind.Hold(r.Value) // nobody has looked yet how deep it is nested
	if errCopy != nil {
		b.Emit.Refused(b.Kind, key, 0, errCopy)
		return nil, r.Err
	}
	return v, r.Err
}

// Get returns the value of key if a fresh one is cached, or a stale one if the call allows
// that.
func (c *Cache) Get(ctx context.Context, key any, call *policy.Call) (v any, ok bool, err error) {
	b, full, err := c.at(key)
	if err == nil {
		err = c.checkCall(policy.Get, call)
	}
	if err != nil || c.InTransaction() {
		return nil, false, err
	}
	items, err := b.get(ctx, []load.Query{{Key: full, Hash: b.Memory.Hash(full)}}, call)
	if items[0] == nil || err != nil || !c.definition.Fits(items[0].Value) {
		return nil, false, err
	}
	return b.Kind.Own(items[0].Value), true, nil
}

// get returns the items of queries, nil where there is none.
func (b *Binding) get(ctx context.Context, queries []load.Query, call *policy.Call) ([]*entry.Item, error) {
	if b.Function.Disabled.Load() {
		return make([]*entry.Item, len(queries)), nil
	}
	allowStale := call != nil && call.AllowStale
	if tx := collect.Of(ctx); tx != nil {
		return b.getInside(ctx, tx, queries, call, allowStale, false)
	}
	return b.Lookups.Get(ctx, b.reading(call), queries, allowStale)
}

// reading returns the request of a read that does not load. What memory keeps of the shared tier's
// entries follows the cache's own policy: such a read does not change it.
func (b *Binding) reading(call *policy.Call) *load.Request {
	rq := &load.Request{Kind: b.Kind, Policy: b.policyOf(nil)}
	p := b.policyOf(call)
	rq.Policy.SuppressL2Errors, rq.Policy.BatchMax = p.SuppressL2Errors, p.BatchMax
	return rq
}

// Has reports whether a fresh value of key is cached.
func (c *Cache) Has(ctx context.Context, key any) (bool, error) {
	b, full, err := c.at(key)
	if err != nil || c.InTransaction() {
		return false, err
	}
	items, err := b.get(ctx, []load.Query{{Key: full, Hash: b.Memory.Hash(full)}}, nil)
	return items[0] != nil, err
}

// Missing is the opposite of Has; false if there is an error.
func (c *Cache) Missing(ctx context.Context, key any) (bool, error) {
	has, err := c.Has(ctx, key)
	return !has && err == nil, err
}

// Set stores a value under key.
func (c *Cache) Set(ctx context.Context, key, v any, call *policy.Call) error {
	b, full, err := c.at(key)
	if err == nil {
		err = c.checkCall(policy.Set, call)
	}
	if err == nil {
		err = c.mayChange(ctx)
	}
	if err != nil {
		return err
	}
	p := b.policyOf(call)
	if b.Function.Disabled.Load() { // what was there is superseded
		return b.Invalidate.Delete(ctx, []string{full}, invalidate.ModeOf(&p))
	}
	return b.Invalidate.Set(ctx, b.Kind, full, v, &p, c.tags(key, call))
}

// Pull returns the value of key and deletes it.
func (c *Cache) Pull(ctx context.Context, key any) (v any, ok bool, err error) {
	b, full, err := c.at(key)
	if err == nil {
		err = c.mayChange(ctx)
	}
	if err != nil || b.Function.Disabled.Load() {
		return nil, false, err
	}
	if c.InTransaction() {
		return nil, false, b.Invalidate.Delete(ctx, []string{full}, b.mode())
	}
	if collect.Of(ctx) != nil {
		return c.pullInside(ctx, b, full)
	}
	p := b.policyOf(nil)
	it, err := b.Invalidate.Pull(ctx, b.Kind, &p, full)
	if it == nil || !c.definition.Fits(it.Value) {
		return nil, false, err
	}
	return b.Kind.Own(it.Value), true, err
}

// Delete removes keys everywhere.
func (c *Cache) Delete(ctx context.Context, keys ...any) error {
	return c.each(ctx, keys, func(b *Binding, full []string) error {
		return b.Invalidate.Delete(ctx, full, b.mode())
	})
}

// Expire makes keys stale everywhere.
func (c *Cache) Expire(ctx context.Context, keys ...any) error {
	return c.each(ctx, keys, func(b *Binding, full []string) error {
		return b.Invalidate.Expire(ctx, full, b.mode())
	})
}

// Invalidate removes keys, and the entries of the cache's store that have one of tags.
func (c *Cache) Invalidate(ctx context.Context, keys []any, tags []string) error {
	return c.each(ctx, keys, func(b *Binding, full []string) error {
		return b.Invalidate.Invalidate(ctx, full, tags, b.mode())
	})
}

// mode is how the cache's entries are changed.
func (b *Binding) mode() invalidate.Mode {
	p := b.policyOf(nil)
	return invalidate.ModeOf(&p)
}

// each resolves keys and hands those that have a text to do, so that one bad key does not
// keep the others from being invalidated.
func (c *Cache) each(ctx context.Context, keys []any, do func(*Binding, []string) error) error {
	b, err := c.Binding()
	if err == nil {
		err = c.mayChange(ctx)
	}
	if err != nil {
		return err
	}
	full, err := c.texts(b, keys)
	return errors.Join(err, do(b, entry.Distinct(full)))
}

// texts returns the full keys of those of keys that have one, and the errors of the others.
func (c *Cache) texts(b *Binding, keys []any) (full []string, err error) {
	var errs []error
	full = make([]string, 0, len(keys))
	for _, key := range keys {
		text, err := c.key(b, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full = append(full, text)
	}
	return full, errors.Join(errs...)
}

// Clear removes every entry of the cache.
func (c *Cache) Clear(ctx context.Context) error {
	b, err := c.Binding()
	if err == nil {
		err = c.mayChange(ctx)
	}
	if err != nil {
		return err
	}
	return b.Invalidate.Clear(ctx, c.definition.Entries(b.Namespace), b.mode())
}
