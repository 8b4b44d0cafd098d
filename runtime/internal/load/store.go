package load

import (
	"cmp"
	"context"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fill"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
)

// store writes what a load has returned to the shared tier, if shared, and to memory, in
// this order, unless a key has been invalidated meanwhile. ctx has the time for it.
func (l *Loader) store(ctx context.Context, ld *Load, keys []*Key, shared bool) {
	kind := ld.Request.Kind
	for _, k := range keys {
		if k.result.Item != nil {
			k.result.Item.LocalOnly = true // until it is written to the shared tier
		}
	}
	if l.Remote.Exists() && shared {
		l.writeChunks(ctx, ld, keys)
	}
	for _, k := range keys {
		if l.Remote.Exists() && k.flight.Forced && !k.flight.Poisoned() {
			l.ensureReplaced(k) // before anyone may read it and keep what was read
		}
		switch {
		case k.plan.lost: // somebody has changed it, and what memory has may be from before that, too
			_, _ = l.Memory.Put(k.Key, k.Hash, k.flight, nil)
		case k.plan.keep:
			l.Emit.Refused(kind, k.Key, event.L2, k.refused)
			valid, refused := l.Memory.Put(k.Key, k.Hash, k.flight, kind.Kept(k.result.Item))
			l.Emit.Refused(kind, k.Key, event.L1, refused)
			if valid && (l.Memory.Exists() && refused == nil || !k.result.Item.LocalOnly) {
				emit.Event(l.Emit, l.Emit.Hooks().Written, event.Write{Store: l.Emit.Store, Cache: kind.Cache, Key: k.Key, Loaded: true})
			}
		case k.plan.drop:
			_, _ = l.Memory.Put(k.Key, k.Hash, k.flight, nil)
		}
	}
}

// ensureReplaced sees to it that what was there does not come back when somebody has asked
// for a new load.
func (l *Loader) ensureReplaced(k *Key) {
	switch {
	case k.plan.replaced:
		l.Outbox.RedeleteLater([]string{k.Key})
	case k.plan.lost, k.plan.keep && !k.plan.localOnly, k.plan.drop:
		l.Outbox.Add([]string{k.Key}, outbox.KeyTarget, pending.Item{
			Remote: true, Publish: l.Outbox.HasBus(), Order: uint64(l.Memory.Fence.NextOrder()),
		}, nil)
	}
}

// writeChunks writes many keys to the shared tier some at a time, at most BatchMax: whoever changes
// one of them does not wait for all. After a failure the others are not tried: the tier does not
// answer, and the callers wait.
func (l *Loader) writeChunks(ctx context.Context, ld *Load, keys []*Key) {
	for len(keys) > 0 {
		n := l.Remote.WriteChunk(len(keys), ld.Request.Policy.BatchMax)
		if !l.writeRemote(ctx, ld, keys[:n]) {
			return
		}
		keys = keys[n:]
		budget.Answered(ctx)
	}
}

// writeRemote writes to the shared tier what it is to keep, and removes what it is not to
// keep, all at once. It returns false if the tier does not answer.
func (l *Loader) writeRemote(ctx context.Context, ld *Load, keys []*Key) (answered bool) {
	cache := ld.Request.Kind.Cache
	items, removals := l.planned(ld, keys)
	if ld.leased {
		answered = l.Fill.UnderLeases(ctx, cache, &ld.holding, items) && l.Fill.InTurn(ctx, cache, removals)
	} else {
		answered = l.Fill.InTurn(ctx, cache, slices.Concat(items, removals))
	}
	for _, k := range keys {
		c := &k.change
		k.plan.replaced, k.plan.lost, k.refused = k.plan.replaced || c.Done, k.plan.lost || c.Lost, cmp.Or(k.refused, c.Refused)
		if c.May && !c.Remove { // what another process may pull is not this one's alone
			k.result.Item.LocalOnly = false
		}
	}
	return answered
}

// planned returns what the shared tier is to be changed to. Of keys that have no lease where
// there are some it is left to whoever has.
func (l *Loader) planned(ld *Load, keys []*Key) (items, removals []*fill.Change) {
	kind := ld.Request.Kind
	for _, k := range keys {
		if k.lease.Taken && !ld.holding.Has(k.Key) {
			k.plan.lost = true
		}
		c, may := &k.change, !k.plan.lost && (!ld.leased || k.lease.Taken)
		*c = fill.Change{Key: k.Key, Hash: k.Hash, Flight: k.flight}
		switch {
		case k.plan.keep && !k.plan.localOnly && may:
			if err := k.pack(kind); err != nil {
				l.Emit.Warn("encode a value, kept in memory only", err, "cache", kind.Cache)
				k.refused = err
				continue
			}
			items = append(items, c)
		case k.plan.keep:
		case k.plan.drop && k.plan.older && may:
			c.Remove = true
			removals = append(removals, c)
		case k.plan.drop && !k.plan.older: // nothing is there
			k.plan.replaced = true
		}
	}
	return items, removals
}

// pack packs what was loaded. Under a lease, what other builds have stored stays beside it.
func (k *Key) pack(kind *entry.Kind) (err error) {
	c := &k.change
	if !k.lease.Taken {
		c.Item, err = kind.Pack(k.result.Item)
		return err
	}
	var alone drivers.Item
	c.Item, alone, err = kind.PackBeside(k.result.Item, k.lease.Seen)
	if len(alone.Value) < len(c.Item.Value) {
		c.Alone = alone
	}
	return err
}
