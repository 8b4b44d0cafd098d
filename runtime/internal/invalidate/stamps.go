package invalidate

import (
	"context"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
)

// DeleteByTag deletes the entries that have one of tags.
func (v *Invalidator) DeleteByTag(ctx context.Context, tags []string, m Mode) error {
	return v.byTag(ctx, "delete by tag", v.Emit.Hooks().Deleted, tags, false, m)
}

// ExpireByTag makes the entries stale that have one of tags.
func (v *Invalidator) ExpireByTag(ctx context.Context, tags []string, m Mode) error {
	return v.byTag(ctx, "expire by tag", v.Emit.Hooks().Expired, tags, true, m)
}

func (v *Invalidator) byTag(ctx context.Context, op string, hook func(event.Invalidation), tags []string, expire bool, m Mode) error {
	ctx, held := v.holdInvalidation(ctx, nil, tags, expire, m)
	if held {
		return nil
	}
	tags = entry.Distinct(tags)
	err := v.rotateStamps(ctx, op, entry.TagStamps(tags), expire)
	v.emitKeys(hook, nil, tags, err)
	return v.report(ctx, m, err)
}

// Clear deletes the entries of a cache, a namespace or the store.
func (v *Invalidator) Clear(ctx context.Context, c entry.Cache, m Mode) error {
	ctx, held := v.holdClear(ctx, c, m)
	if held {
		return nil
	}
	err := v.rotateStamps(ctx, "clear", []string{c.Stamp()}, false)
	v.emitCleared(c, err)
	return v.report(ctx, m, err)
}

// emitCleared tells of a clear, and has removed what nobody can read any more.
func (v *Invalidator) emitCleared(c entry.Cache, err error) {
	if err == nil && v.Cleared != nil {
		v.Cleared(strings.TrimSuffix(c.KeyPrefix(v.Remote.Prefix), ":"))
	}
	if err != background.ErrClosed {
		emit.Event(v.Emit, v.Emit.Hooks().Cleared, event.Invalidation{
			Store: v.Emit.Store, Namespace: strings.Join(c.Namespace, "/"), Cache: c.Name, Err: err,
		})
	}
}

// A rotation is a change of stamps, which invalidates all entries under them.
type rotation struct {
	names   []string
	expire  bool // their expire half, or else their delete half
	order   fence.Order
	counted bool // the number of tag changes has been removed from the shared tier
}

func (r *rotation) target(name string) pending.Target { return outbox.StampTarget(name, r.expire) }

// describe returns how errors call stamps, so that one tells them from keys.
func describe(stamps []string) []string {
	described := make([]string, len(stamps))
	for i, name := range stamps {
		described[i] = entry.DescribeStamp(name)
	}
	return described
}

// rotateStamps changes the stamps of names.
func (v *Invalidator) rotateStamps(ctx context.Context, op string, names []string, expire bool) error {
	if len(names) == 0 {
		return nil
	}
	if !v.Work.Enter() {
		return background.ErrClosed
	}
	defer v.Work.Leave()
	tier, rest := v.start(ctx, true)
	r := v.announce(names, expire)
	err := v.rotate(ctx, tier, r)
	return v.result(ctx, op, describe(names), err, v.publishStamps(rest, r))
}

// announce begins a change of stamps: what is loaded from here on may be stored, what was
// before may not.
func (v *Invalidator) announce(names []string, expire bool) *rotation {
	r := &rotation{names: names, expire: expire, order: v.Memory.Fence.NextOrder()}
	v.Lag.Stamps(names)
	for _, name := range names {
		v.Stamps.Announce(name)
	}
	return r
}

// rotate changes stamps in the shared tier and here.
func (v *Invalidator) rotate(caller, ctx context.Context, r *rotation) error {
	err := v.rotateChunks(caller, ctx, r)
	for _, name := range r.names {
		v.Stamps.Change(name, r.expire, v.Remote.Exists())
	}
	return err
}

// publishStamps tells the other processes of a change of stamps.
func (v *Invalidator) publishStamps(ctx context.Context, r *rotation) error {
	kind := bus.DeleteStamp
	if r.expire {
		kind = bus.ExpireStamp
	}
	open, err := v.Bus.Publish(ctx, kind, r.names)
	if err != nil {
		v.Outbox.Add(open, r.target, pending.Item{Publish: true}, err)
	}
	return err
}

// rotateChunks changes stamps in the shared tier, some at a time as applyChunks. Those that
// it has not reached are queued before anyone may read the old ones and trust them.
func (v *Invalidator) rotateChunks(caller, ctx context.Context, r *rotation) error {
	for some := r.names; len(some) > 0; {
		n := len(some)
		if v.Remote.Exists() {
			n = v.Remote.WriteChunk(n, 0)
		}
		began := clock.Mono()
		err := v.Remote.RotateStamps(ctx, some[:n], r.expire, r.counted)
		if err == nil {
			v.Outbox.Superseded(r.order, began, some[:n], r.target)
			some, r.counted = some[n:], false
			if len(some) == 0 {
				return nil
			}
			if caller.Err() == nil {
				budget.Renew(ctx)
				continue
			}
			err = fmt.Errorf("%d of %d stamps are left to be tried later: %w", len(some), len(r.names), caller.Err())
		}
		v.Outbox.Add(some, r.target, pending.Item{Remote: true, Publish: v.Bus != nil, Order: uint64(r.order)}, err)
		return err
	}
	return nil
}
