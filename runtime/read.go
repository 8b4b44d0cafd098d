package runtime

import (
	"context"
)

// get returns a fresh item of key from memory or the shared tier, or nil.
func (c *core) get(ctx context.Context, key string) (*item, error) {
	s := c.store
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	hash := s.hash(key)
	if it, verdict := s.recall(ctx, key, hash); verdict == fresh {
		return it, nil
	}
	if s.l2 == nil {
		return nil, nil
	}
	mark := s.stripes.Mark(hash) // before the read
	data, err := s.fetch(ctx, []string{key}, c.statics)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.warn("shared tier: read", err)
		return nil, nil
	}
	it := c.received(ctx, key, data[0])
	if it == nil {
		return nil, nil
	}
	verdict := s.look(it, now())
	if s.l1 != nil && verdict >= stale {
		s.stripes.If(hash, mark, func() {
			if old := s.find(key, hash); verdict == fresh || old == nil || !old.supersedes(it) {
				s.l1.Set(hash, it, it.size)
			}
		})
	}
	if verdict != fresh {
		return nil, nil
	}
	return it, nil
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
