package untyped

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A reader inside a transaction may see rows that nobody else sees. What the transaction has
// changed it reads from its source; the rest it may have from the cache. What it loads is neither
// kept nor shared. It waits for nobody's load: that may wait for a row which the transaction has
// locked, or for its connection. So it begins none in the background, either.

// Collects reports whether changes with ctx are held, or were: the fast path asks, and leaves it
// to the others then.
func Collects(ctx context.Context) bool { return collect.Open() && collect.Of(ctx) != nil }

// getInside is get for a reader inside a transaction. valuesOnly says that he does without being
// told that there is no value.
func (b *Binding) getInside(ctx context.Context, tx *collect.Collected, queries []load.Query, call *policy.Call, allowStale, valuesOnly bool) ([]*entry.Item, error) {
	items := make([]*entry.Item, len(queries))
	var open []load.Query
	var at []int // of open, in items
	for i, q := range queries {
		if tx.Covers(b.Invalidate, q.Key, nil) {
			b.Emit.Miss(b.Kind.Cache, q.Key)
			continue
		}
		open, at = append(open, q), append(at, i)
	}
	if len(open) == 0 {
		return items, nil
	}
	rq := b.reading(call)
	rq.Refuse = func(it *entry.Item) bool {
		return valuesOnly && it.Presence != entry.Present || tx.Covers(b.Invalidate, it.Key, it.Stamps)
	}
	found, err := b.Lookups.Get(ctx, rq, open, allowStale)
	for i, it := range found {
		items[at[i]] = it
	}
	return items, err
}

// valuesInside returns the items of queries that a reader inside a transaction need not load.
func (b *Binding) valuesInside(ctx context.Context, queries []load.Query, call *policy.Call) ([]*entry.Item, error) {
	if call != nil && call.ForceFresh {
		return make([]*entry.Item, len(queries)), nil
	}
	return b.getInside(ctx, collect.Of(ctx), queries, call, false, true)
}

// getOrLoad is GetOrSet for a reader inside a transaction.
func (c *Cache) getOrLoad(ctx context.Context, b *Binding, full string, loader Loader, call *policy.Call) (any, error) {
	items, err := b.valuesInside(ctx, []load.Query{{Key: full, Hash: b.Memory.Hash(full)}}, call)
	if err != nil {
		return nil, err
	}
	if it := items[0]; it != nil && c.definition.Fits(it.Value) {
		return b.Kind.Own(it.Value), nil
	}
	return loader(handle.WithoutLoad(ctx))
}

// getOrLoadMany is GetOrSetMany for a reader inside a transaction.
func (c *Cache) getOrLoadMany(ctx context.Context, b *Binding, m *Many, loader ManyLoader, call *policy.Call) {
	items, err := b.valuesInside(ctx, m.queries, call)
	m.failed(err)
	var missing []any
	for i, key := range m.open {
		switch it := items[i]; {
		case it != nil && c.definition.Fits(it.Value):
			m.add(key, b.Kind.Own(it.Value))
		case err == nil:
			missing = append(missing, key)
		}
	}
	m.loadWithoutCache(ctx, b, missing, loader, call)
}

// pullInside is Pull for a caller inside a transaction: others may get the value, too, until that
// has been committed.
func (c *Cache) pullInside(ctx context.Context, b *Binding, full string) (v any, ok bool, err error) {
	items, err := b.get(ctx, []load.Query{{Key: full, Hash: b.Memory.Hash(full)}}, nil)
	if err != nil {
		return nil, false, err
	}
	err = b.Invalidate.Delete(ctx, []string{full}, b.mode())
	if items[0] == nil || !c.definition.Fits(items[0].Value) {
		return nil, false, err
	}
	return b.Kind.Own(items[0].Value), true, err
}
