package runtime

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/generation"
)

// get returns a fresh item of key from memory or the shared tier, or nil.
func (c *core) get(ctx context.Context, key string) (*item, error) {
	items, err := c.getMany(ctx, []want{{key: key, hash: c.store.hash(key)}})
	return items[0], err
}

// getMany is get for several keys, with one look at the shared tier. With an error
// it returns what memory had.
func (c *core) getMany(ctx context.Context, wants []want) ([]*item, error) {
	s := c.store
	items := make([]*item, len(wants))
	if !s.gate.enter() {
		return items, ErrClosed
	}
	defer s.gate.leave()
	for i, w := range wants {
		items[i] = s.find(w.key, w.hash)
	}
	var open []int
	for i, verdict := range s.judgeAll(ctx, items) {
		if verdict != fresh {
			items[i] = nil
			open = append(open, i)
		}
	}
	if s.l2 != nil && len(open) > 0 {
		if err := c.getShared(ctx, wants, open, items); err != nil {
			return values(items), err
		}
	}
	return values(items), nil
}

// getShared fills in those of items that open names and the shared tier has.
func (c *core) getShared(ctx context.Context, wants []want, open []int, items []*item) error {
	s := c.store
	keys := make([]string, len(open))
	marks := make([]generation.Mark, len(open))
	for j, i := range open {
		keys[j], marks[j] = wants[i].key, s.stripes.Mark(wants[i].hash) // before the read
	}
	data, err := s.fetch(ctx, keys, c.statics)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.warn("shared tier: read", err)
		return nil
	}
	for j, it := range c.received(ctx, c.settings, keys, data) {
		if it == nil {
			continue
		}
		w, verdict := wants[open[j]], s.look(it, now())
		if s.l1 != nil && verdict >= stale {
			s.stripes.If(w.hash, marks[j], func() {
				if old := s.find(w.key, w.hash); verdict == fresh || old == nil || !old.supersedes(it) {
					s.l1.Set(w.hash, it, it.size)
				}
			})
		}
		if verdict == fresh {
			items[open[j]] = it
		}
	}
	return nil
}

// values takes those out of items that say that there is nothing.
func values(items []*item) []*item {
	for i, it := range items {
		if it != nil && it.presence != present {
			items[i] = nil
		}
	}
	return items
}

func (c *core) pullAlone(ctx context.Context, key string, end func(taken bool)) (it *item, err error) {
	defer func() { end(it != nil) }() // a driver may panic
	if it, err = c.get(ctx, key); it != nil && err == nil {
		err = c.store.remove(ctx, []string{key})
	}
	return it, err
}

// pull returns what get does and deletes it. Of those who pull the same key
// meanwhile, one at a time tries, until one has got it: it is gone then.
func (c *core) pull(ctx context.Context, key string) (*item, error) {
	for {
		other, end := c.store.once.begin(key)
		if end != nil {
			return c.pullAlone(ctx, key, end)
		}
		select {
		case <-other.done:
			if other.taken {
				return nil, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
