package invalidate

import (
	"context"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
)

// DeleteByTag deletes the entries that have one of tags.
func (v *Invalidator) DeleteByTag(ctx context.Context, tags []string) error {
	return v.byTag(ctx, "delete by tag", tags, false)
}

// ExpireByTag makes the entries stale that have one of tags.
func (v *Invalidator) ExpireByTag(ctx context.Context, tags []string) error {
	return v.byTag(ctx, "expire by tag", tags, true)
}

func (v *Invalidator) byTag(ctx context.Context, op string, tags []string, expire bool) error {
	hook := v.Emit.Hooks().Deleted
	if expire {
		hook = v.Emit.Hooks().Expired
	}
	tags = entry.Distinct(tags)
	err := v.rotateStamps(ctx, op, tags, entry.TagStamps(tags), expire)
	if len(tags) > 0 && err != background.ErrClosed {
		emit.Event(v.Emit, hook, event.Invalidation{Store: v.Emit.Store, Tags: tags, Err: err})
	}
	return err
}

// Clear deletes the entries of a cache, a namespace or the store.
func (v *Invalidator) Clear(ctx context.Context, c entry.Cache) error {
	stamp := c.Stamp()
	err := v.rotateStamps(ctx, "clear", []string{entry.DescribeStamp(stamp)}, []string{stamp}, false)
	if err == nil && v.Cleared != nil {
		v.Cleared(strings.TrimSuffix(c.KeyPrefix(v.Remote.Prefix), ":"))
	}
	if err != background.ErrClosed {
		emit.Event(v.Emit, v.Emit.Hooks().Cleared, event.Invalidation{
			Store: v.Emit.Store, Namespace: strings.Join(c.Namespace, "/"), Cache: c.Name, Err: err,
		})
	}
	return err
}

// rotateStamps changes the stamps of names, which invalidates all entries under them:
// their expire half, or else their delete half. targets is how errors call them.
func (v *Invalidator) rotateStamps(ctx context.Context, op string, targets, names []string, expire bool) error {
	if len(names) == 0 {
		return nil
	}
	if !v.Work.Enter() {
		return background.ErrClosed
	}
	defer v.Work.Leave()
	caller := ctx
	ctx = context.WithoutCancel(ctx)
	for _, name := range names {
		v.Stamps.Announce(name) // what is loaded from here on may be stored, what was before may not
	}
	target := func(name string) pending.Target { return outbox.StampTarget(name, expire) }
	errRemote := v.rotateChunks(caller, names, expire, target)
	for _, name := range names {
		v.Stamps.Change(name, expire, v.Remote.Exists())
	}
	kind := bus.DeleteStamp
	if expire {
		kind = bus.ExpireStamp
	}
	open, errBus := v.Bus.Publish(ctx, kind, names)
	if errBus != nil {
		v.Outbox.Add(open, target, pending.Item{Publish: true}, errBus)
	}
	return v.result(op, targets, errRemote, errBus)
}

// rotateChunks changes stamps in the shared tier, some at a time as applyChunks. Those that
// it has not reached are queued before anyone may read the old ones and trust them.
func (v *Invalidator) rotateChunks(caller context.Context, names []string, expire bool, target func(string) pending.Target) error {
	ctx := context.WithoutCancel(caller)
	for some := names; len(some) > 0; {
		n := len(some)
		if v.Remote.Exists() {
			n = v.Remote.WriteChunk(n, 0)
		}
		began := clock.Mono()
		err := v.Remote.RotateStamps(ctx, some[:n], expire)
		if err == nil {
			v.Outbox.Superseded(began, some[:n], target)
			some = some[n:]
			if len(some) == 0 || caller.Err() == nil {
				continue
			}
			err = fmt.Errorf("%d of %d stamps are left to be tried later: %w", len(some), len(names), caller.Err())
		}
		v.Outbox.Add(some, target, pending.Item{Remote: true, Publish: v.Bus != nil}, err)
		return err
	}
	return nil
}
