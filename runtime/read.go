package runtime

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/generation"
)

// get returns an item of key from memory or the shared tier, or nil: a fresh one, or
// a stale one if the call wants that too.
func (c *core) get(ctx context.Context, key string, call *call) (*item, error) {
	items, err := c.getMany(ctx, []want{{key: key, hash: c.store.hash(key)}}, call)
	return items[0], err
}

// getMany is get for several keys, with one look at the shared tier. With an error
// it returns what memory had.
func (c *core) getMany(ctx context.Context, wants []want, call *call) ([]*item, error) {
	s := c.store
	items := make([]*item, len(wants))
	if c.function.off.Load() {
		return items, nil
	}
	if !s.gate.enter() {
		return items, ErrClosed
	}
	defer s.gate.leave()
	for i, w := range wants {
		items[i] = s.find(w.key, w.hash)
	}
	grace := make([]fallback, len(wants)) // what a call that wants stale values falls back to
	var open []int
	for i, verdict := range s.judgeAll(ctx, items) {
		if verdict != fresh {
			if call.allowStale && verdict >= suspect {
				grace[i].it = items[i]
			}
			items[i] = nil
			open = append(open, i)
		}
	}
	tiers := make([]event.Tier, len(wants))
	for i, it := range items {
		if it != nil {
			tiers[i] = event.L1
		}
	}
	var err error
	if s.l2 != nil && len(open) > 0 {
		err = c.getShared(ctx, wants, open, call, func(i int, it *item, verdict verdict) {
			switch {
			case verdict == fresh:
				items[i], tiers[i] = it, event.L2
			case call.allowStale && verdict == stale && (grace[i].it == nil || !s.supersedes(grace[i].it, it)):
				grace[i].it, tiers[i] = it, event.L2
			}
		})
	}
	for i := range items {
		stale := items[i] == nil && s.standsIn(ctx, grace[i])
		if stale {
			items[i], tiers[i] = grace[i].it, max(tiers[i], event.L1)
		}
		switch {
		case items[i] == nil:
			c.sayMiss(wants[i].key)
		case s.hooks.Load().Hit != nil:
			c.sayHit(items[i], tiers[i], stale)
		}
	}
	return values(items), err
}

// getShared finds those items that open names and the shared tier has.
func (c *core) getShared(ctx context.Context, wants []want, open []int, call *call, found func(int, *item, verdict)) error {
	s := c.store
	keys := make([]string, len(open))
	marks := make([]generation.Mark, len(open))
	for j, i := range open {
		keys[j], marks[j] = wants[i].key, s.stripes.Mark(wants[i].hash) // before the read
	}
	data, err := s.fetch(ctx, s.l2Timeout, keys, c.statics)
	var items []*item
	if err == nil {
		items, err = c.received(ctx, c.settings, keys, data)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.warn("shared tier: read", err)
		if !call.suppressL2 {
			return fmt.Errorf("cachegen: %w", err)
		}
		return nil
	}
	for j, it := range items {
		if it == nil {
			continue
		}
		w, verdict := wants[open[j]], s.look(it, now())
		if s.l1 != nil && verdict >= stale {
			s.stripes.If(w.hash, marks[j], func() {
				if old := s.find(w.key, w.hash); verdict == fresh || old == nil || !s.supersedes(old, it) {
					s.l1.Set(w.hash, it, it.size)
				}
			})
		}
		found(open[j], it, verdict)
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
