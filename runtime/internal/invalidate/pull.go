package invalidate

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/keymutex"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// pullAttempts is how often a value is looked at again that changes while it is pulled.
const pullAttempts = 10

// A pull takes one key's value out of a store.
type pull struct {
	*Invalidator
	kind   *entry.Kind
	policy *policy.Policy
	key    string
	hash   uint64
	lock   *keymutex.Lock
}

// Pull returns the fresh value of key and deletes it. Of several callers in a process that
// pull one value, one gets it, and so of several processes if the shared tier can compare
// and swap.
func (v *Invalidator) Pull(ctx context.Context, kind *entry.Kind, p *policy.Policy, key string) (*entry.Item, error) {
	pl := pull{Invalidator: v, kind: kind, policy: p, key: key, hash: v.Memory.Hash(key)}
	it, tier, err := pl.lockAndTake(ctx)
	switch { // when nobody waits any more: hooks may pull, too
	case it != nil:
		v.Emit.Hit(kind.Cache, it, tier, false)
		emit.Event(v.Emit, v.Emit.Hooks().Deleted, event.Invalidation{Store: v.Emit.Store, Keys: []string{key}, Err: err})
	case err != background.ErrClosed:
		v.Emit.Miss(kind.Cache, key)
	}
	if it == nil { // nothing was invalidated: the error is that of a read, or of who waits no longer
		return nil, err
	}
	return it, v.report(ctx, ModeOf(p), err)
}

// lockAndTake takes the value with the key locked. Who waited while another caller took it
// gets nothing: for a moment there was no value.
func (p *pull) lockAndTake(ctx context.Context) (it *entry.Item, tier event.Tier, err error) {
	if p.lock, err = p.pulls.Lock(ctx, p.key); p.lock == nil {
		return nil, 0, err
	}
	defer func() { p.lock.Unlock(it != nil) }() // a driver may panic
	if !p.Work.Enter() {
		return nil, 0, background.ErrClosed
	}
	defer p.Work.Leave()
	ctx = budget.Begin(ctx, budget.Write{})
	for range pullAttempts {
		it, tier, lost, err := p.tryTake(ctx)
		if !lost {
			return it, tier, err
		}
	}
	return nil, 0, nil // others have been taking it all the time
}

// tryTake takes the value from where it is. It is lost if somebody has changed it since it
// was read.
func (p *pull) tryTake(ctx context.Context) (it *entry.Item, tier event.Tier, lost bool, err error) {
	var seen []byte
	if p.Remote.Exists() {
		var item *entry.Item
		if seen, item, err = p.readRemote(ctx); err != nil {
			return nil, 0, false, p.unread(ctx, err)
		}
		if item != nil {
			it, lost, err = p.takeRemote(ctx, item, seen)
			return it, event.L2, lost, err
		}
	}
	it, lost, err = p.takeMemory(ctx, seen)
	return it, event.L1, lost, err
}

// readRemote returns what the shared tier holds, and the item that it is, if that is a
// fresh value.
func (p *pull) readRemote(ctx context.Context) (seen []byte, it *entry.Item, err error) {
	ctx, _ = budget.Start(ctx, p.Remote.Timeout, 0)
	items, data, err := p.Remote.ReadEntries(ctx, p.Remote.Timeout, p.kind, p.policy, []string{p.key}, p.kind.Required)
	if err != nil {
		return nil, nil, err
	}
	it = items[0]
	if it == nil || it.Presence != entry.Present || p.Memory.CheckLocal(it, clock.Now()) != memory.Fresh {
		return data[0], nil, nil
	}
	return data[0], it, nil
}

// unread is the error of a pull that could not read the shared tier: who may take the value
// cannot be known, so nobody does.
func (p *pull) unread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.Emit.Warn("shared tier: read", err)
	if p.policy.SuppressL2Errors {
		return nil
	}
	return fmt.Errorf("cachegen: %w", err)
}

// takeRemote takes an item out of the shared tier, if it still holds what was seen there.
func (p *pull) takeRemote(ctx context.Context, it *entry.Item, seen []byte) (_ *entry.Item, lost bool, err error) {
	return p.take(ctx, it, func(ctx context.Context) (bool, error) {
		return p.Remote.CompareAndDelete(ctx, p.key, seen)
	}, func(lost bool) bool {
		if it := p.Memory.Find(p.key, p.hash); it != nil && !(lost && it.LocalOnly) { // which is what it is lost to
			p.Memory.Delete(p.hash)
		}
		return true
	})
}

// takeMemory takes what only memory has ever had. Anything else in memory that the shared
// tier does not have any more is gone: somebody may have pulled it. What was seen there,
// and is worth nothing, goes, too: it must not be served in place of what is taken.
func (p *pull) takeMemory(ctx context.Context, seen []byte) (_ *entry.Item, lost bool, err error) {
	it := p.Memory.Find(p.key, p.hash)
	if it == nil {
		return nil, false, nil
	}
	if p.Remote.Exists() && !it.LocalOnly {
		p.Memory.Fence.Do(p.hash, func() { p.Memory.DeleteSame(p.key, p.hash, it) })
		return nil, false, nil
	}
	if it.Presence != entry.Present || p.Memory.Check(ctx, it) != memory.Fresh {
		return nil, false, nil
	}
	return p.take(ctx, it, func(ctx context.Context) (bool, error) {
		if seen != nil && !p.Remote.KeyBlocked(p.key) {
			return p.Remote.CompareAndDelete(ctx, p.key, seen)
		}
		return p.Remote.EnsureAbsent(ctx, p.key) // those whose turn came before may have written it
	}, func(lost bool) bool {
		return !lost && p.Memory.DeleteSame(p.key, p.hash, it)
	})
}

// take removes an item from the tiers, in turn with others who write the key. remote
// removes it from the shared tier, and local from memory, given whether it is lost
// already; each reports whether it was still there.
func (p *pull) take(ctx context.Context, it *entry.Item, remote func(context.Context) (bool, error), local func(lost bool) bool) (_ *entry.Item, lost bool, err error) {
	p.lock.Attempt()
	tier, rest := p.start(ctx, !p.policy.SkipBusNotify)
	c := &change{op: "pull", kind: bus.Drop, keys: []string{p.key}, silent: p.policy.SkipBusNotify}
	err = func() (err error) {
		_, turn := p.Memory.Fence.BeginChange([]uint64{p.hash})
		defer turn.End()
		if p.Remote.Exists() {
			began, removed := clock.Mono(), false
			if err = p.awaitTurn(tier, turn); err == nil {
				began = clock.Mono()
				removed, err = remote(tier)
			}
			lost = err == nil && !removed
			if !lost {
				p.settleRemote(c, c.keys, turn.Order(), began, err != nil, err)
			} else {
				p.Outbox.RedeleteLater(c.keys)
			}
		}
		p.Memory.Invalidate(c.keys, func(int, uint64, fence.Mark) { lost = !local(lost) || lost })
		return err
	}()
	if lost {
		return nil, true, nil
	}
	return it, false, p.result(ctx, c.op, c.keys, err, p.publish(rest, c))
}
