package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
)

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

// pullTries is how often a value is looked at anew that changes while it is pulled.
const pullTries = 10

func (c *core) pullAlone(ctx context.Context, key string, end func(taken bool)) (it *item, err error) {
	defer func() { end(it != nil) }() // a driver may panic
	s := c.store
	if s.l2 != nil && s.swaps() && !c.function.off.Load() {
		for range pullTries {
			it, lost, err := c.pullShared(ctx, key)
			switch {
			case lost: // others have been taking it all the time
				continue
			case it == nil && err == nil:
				it, err = c.pullPrivate(ctx, key)
			}
			if it == nil && err == nil {
				c.sayMiss(key)
			}
			return it, err
		}
		return nil, nil
	}
	if it, err = c.get(ctx, key, &call{settings: c.settings}); it != nil && err == nil {
		err = s.remove(ctx, []string{key}, c.settings.skipBus)
	}
	return it, err
}

// pullPrivate takes what memory alone has ever had. Anything else in memory that the
// shared tier does not have any more is gone: somebody may have pulled it.
func (c *core) pullPrivate(ctx context.Context, key string) (*item, error) {
	s := c.store
	it := s.find(key, s.hash(key))
	if it == nil {
		return nil, nil
	}
	taken := it.private && it.presence == present && s.judge(ctx, it) == fresh
	if !taken {
		hash := s.hash(key)
		s.stripes.Do(hash, func() {
			if s.find(key, hash) == it {
				s.l1.Delete(hash)
			}
		})
		return nil, nil
	}
	if s.hooks.Load().Hit != nil {
		c.sayHit(it, TierL1, false)
	}
	return it, s.remove(ctx, []string{key}, c.settings.skipBus)
}

// errTaken says that a value is not what it was when it was read.
var errTaken = errors.New("somebody else has changed it")

// pullShared takes a value out of a shared tier that can compare and swap: of all
// processes that pull it, one gets it. lost says that another has changed it meanwhile.
func (c *core) pullShared(ctx context.Context, key string) (it *item, lost bool, err error) {
	s := c.store
	if !s.gate.enter() {
		return nil, false, ErrClosed
	}
	defer s.gate.leave()
	data, err := s.fetch(ctx, s.l2Timeout, []string{key}, c.statics)
	var items []*item
	if err == nil {
		items, err = c.received(ctx, c.settings, []string{key}, data)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, false, ctx.Err()
	case err != nil: // who may take it cannot be known, so nobody does
		s.warn("shared tier: read", err)
		if c.settings.suppressL2 {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("cachegen: %w", err)
	}
	if it = items[0]; it == nil || it.presence != present || s.look(it, now()) != fresh {
		return nil, false, nil
	}
	err = s.carryOut(ctx, &change{
		op: "pull", kind: busmsg.Drop, keys: []string{key}, silent: c.settings.skipBus,
		shared: func(ctx context.Context) (bool, error) {
			swapped, err := s.swapMany(ctx, []drivers.Swap{{Key: key, Old: data[0]}})
			if err == nil && !swapped[0] {
				return false, errTaken
			}
			return whole(err)
		},
		memory: func(_ int, hash uint64, _ bool) { s.l1.Delete(hash) },
	})
	if errors.Is(err, errTaken) {
		return nil, true, nil
	}
	if s.hooks.Load().Hit != nil {
		c.sayHit(it, TierL2, false)
	}
	emit(s, s.hooks.Load().Deleted, InvalidationEvent{Store: s.name, Keys: []string{key}, Err: err})
	return it, false, err
}
