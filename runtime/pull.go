package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
)

// pull returns what get does and deletes it. Of those who pull the same key
// meanwhile, one at a time tries, until one has got it: for those who have waited
// since before, it was gone for a moment. Whoever came later may have come after
// another value was stored, and tries himself.
func (c *core) pull(ctx context.Context, key string) (*item, error) {
	s := c.store
	if c.function.off.Load() {
		return nil, nil
	}
	it, from, err := c.pullOnce(ctx, key)
	switch { // when nobody waits any more: hooks may pull, too
	case it != nil:
		if s.hooks.Load().Hit != nil {
			c.sayHit(it, from, false)
		}
		emit(s, s.hooks.Load().Deleted, event.Invalidation{Store: s.name, Keys: []string{key}, Err: err})
	case err == nil:
		c.sayMiss(key)
	}
	return it, err
}

func (c *core) pullOnce(ctx context.Context, key string) (*item, event.Tier, error) {
	for {
		t, end := c.store.once.begin(key)
		if end != nil {
			return c.pullAlone(ctx, key, t, end)
		}
		grabs := t.grabs.Load()
		select {
		case <-t.done:
			if t.taken && t.grabs.Load() > grabs {
				return nil, 0, nil
			}
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// pullTries is how often a value is looked at anew that changes while it is pulled.
const pullTries = 10

func (c *core) pullAlone(ctx context.Context, key string, t *try, end func(taken bool)) (it *item, from event.Tier, err error) {
	defer func() { end(it != nil) }() // a driver may panic
	s := c.store
	if !s.gate.enter() {
		return nil, 0, ErrClosed
	}
	defer s.gate.leave()
	for range pullTries {
		var lost bool
		var seen []byte
		from = event.L2
		if s.l2 != nil {
			seen, err = c.peek(ctx, key)
			if err == nil && seen != nil {
				it, lost, err = c.pullShared(ctx, key, seen, t)
			}
		}
		if it == nil && !lost && err == nil {
			from = event.L1
			it, lost, err = c.pullMemory(ctx, key, seen, t)
		}
		if it == nil && isL2Error(err) && c.settings.suppressL2 {
			err = nil // who may take it cannot be known, so nobody does
		}
		if lost { // others have been taking it all the time
			continue
		}
		return it, from, err
	}
	return nil, 0, nil
}

// errTaken says that a value is not what it was when it was read.
var errTaken = errors.New("somebody else has changed it")

// pullMemory takes what memory alone has ever had. Anything else in memory that the
// shared tier does not have any more is gone: somebody may have pulled it. What was
// seen there, and is worth nothing, goes too: it must not stand in for what is taken.
func (c *core) pullMemory(ctx context.Context, key string, seen []byte, t *try) (it *item, lost bool, err error) {
	s := c.store
	hash := s.hash(key)
	if it = s.find(key, hash); it == nil {
		return nil, false, nil
	}
	if s.l2 != nil && !it.private {
		s.stripes.Do(hash, func() { s.dropSame(key, hash, it) })
		return nil, false, nil
	}
	if it.presence != present || s.judge(ctx, it) != fresh {
		return nil, false, nil
	}
	return c.take(ctx, it, t, &change{
		shared: func(ctx context.Context) (open bool, err error) {
			if seen != nil && !s.pending.Blocks(keyTarget(key)) {
				open, err = s.deleteSame(ctx, key, seen)
			} else {
				open, err = s.stillAbsent(ctx, key)
			}
			lost = err == errTaken
			return open, err
		},
		memory: func(_ int, hash uint64, _ bool) { lost = lost || !s.dropSame(key, hash, it) },
	}, &lost)
}

// dropSame removes an item if it is the one in memory. It is called under the
// stripe's lock.
func (s *Store) dropSame(key string, hash uint64, it *item) bool {
	same := s.find(key, hash) == it
	if same {
		s.l1.Delete(hash)
	}
	return same
}

// peek returns what the shared tier holds.
func (c *core) peek(ctx context.Context, key string) ([]byte, error) {
	s := c.store
	data, err := s.fetch(ctx, s.l2Timeout, []string{key}, c.statics)
	if err != nil {
		return nil, s.unread(ctx, err)
	}
	return data[0], nil
}

// unread is the error of a pull that could not read the shared tier.
func (s *Store) unread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.warn("shared tier: read", err)
	return fmt.Errorf("cachegen: %w", err)
}

// pullShared takes what was seen out of the shared tier, if it is a value. If that can
// compare and swap, one of all processes that pull it gets it; otherwise one of this
// process. lost says that another has changed it meanwhile.
func (c *core) pullShared(ctx context.Context, key string, seen []byte, t *try) (it *item, lost bool, err error) {
	s := c.store
	items, err := c.received(ctx, c.settings, []string{key}, [][]byte{seen})
	if err != nil {
		return nil, false, s.unread(ctx, err)
	}
	if it = items[0]; it == nil || it.presence != present || s.look(it, now()) != fresh {
		return nil, false, nil
	}
	return c.take(ctx, it, t, &change{
		shared: func(ctx context.Context) (open bool, err error) {
			open, err = s.deleteSame(ctx, key, seen)
			lost = err == errTaken
			return open, err
		},
		memory: func(_ int, hash uint64, _ bool) {
			if it := s.find(key, hash); it != nil && !(lost && it.private) { // which is what it is lost to
				s.l1.Delete(hash)
			}
		},
	}, &lost)
}

// deleteSame removes key from the shared tier if it holds value still. On a tier
// that cannot do both at once, only changes in this process are kept from coming
// between.
func (s *Store) deleteSame(ctx context.Context, key string, value []byte) (open bool, err error) {
	if s.pending.Blocks(keyTarget(key)) {
		return false, errTaken // by an invalidation that has not reached the tier
	}
	if !s.swaps() {
		switch now, err := s.getMany(ctx, []string{key}); {
		case err != nil:
			return whole(err)
		case now[0] == nil || !bytes.Equal(now[0], value):
			return false, errTaken
		}
		return whole(s.deleteMany(ctx, []string{key}))
	}
	swapped, err := s.swapMany(ctx, []drivers.Swap{{Key: key, Old: value}})
	if err == nil && !swapped[0] {
		return false, errTaken
	}
	return whole(err)
}

// stillAbsent looks for key in the shared tier, which did not have it: those whose turn
// came before may have written it.
func (s *Store) stillAbsent(ctx context.Context, key string) (open bool, err error) {
	if s.pending.Blocks(keyTarget(key)) { // what lies there is to go
		return whole(s.deleteMany(ctx, []string{key}))
	}
	values, err := s.getMany(ctx, []string{key})
	if err == nil && values[0] != nil {
		return false, errTaken
	}
	return whole(err)
}

// take carries out the change that removes an item. It returns the item unless that
// is lost to somebody else.
func (c *core) take(ctx context.Context, it *item, t *try, taking *change, lost *bool) (*item, bool, error) {
	s := c.store
	taking.op, taking.kind, taking.keys, taking.silent = "pull", busmsg.Drop, []string{it.key}, c.settings.skipBus
	t.grabs.Add(1)
	err := s.carryOut(ctx, taking)
	switch {
	case err == ErrClosed:
		return nil, false, err
	case *lost:
		return nil, true, nil
	}
	return it, false, err
}
