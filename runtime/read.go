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
	if it, verdict := s.recall(ctx, key, hash, now()); verdict == fresh {
		return it, nil
	}
	if s.l2 == nil {
		return nil, nil
	}
	mark := s.stripes.Mark(hash) // before the read
	data, err := s.fetch(ctx, key, c.statics)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.warn("shared tier: read", err)
		return nil, nil
	}
	it := c.received(ctx, key, data)
	if it == nil {
		return nil, nil
	}
	switch s.look(it, now()) {
	case fresh:
		s.keep(it, hash, mark)
		return it, nil
	case stale:
		s.keep(it, hash, mark)
	}
	return nil, nil
}

// pull returns what get does and deletes it. Those who pull the same key
// meanwhile get nothing: it is gone when this call returns.
func (c *core) pull(ctx context.Context, key string) (*item, error) {
	taken, end := c.store.once.begin(key)
	if end == nil {
		select {
		case <-taken:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer end()
	it, err := c.get(ctx, key)
	if it == nil || err != nil {
		return nil, err
	}
	return it, c.store.remove(ctx, []string{key})
}
