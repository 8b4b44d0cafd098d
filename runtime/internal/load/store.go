package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/remote"
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

// A change is what the shared tier is to hold of a key: an item, or nothing.
type change struct {
	key     *Key
	item    drivers.Item
	allowed bool // the key has not been invalidated since its flight began
}

// writeChunks writes many keys some at a time, at most BatchMax: whoever changes one of them does
// not wait for all. After a failure the others are not tried: the tier does not answer, and the
// callers wait.
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
	items, removals := l.planned(ld, keys)
	if ld.holding == nil {
		return l.writeInTurn(ctx, ld.Request.Kind.Cache, items, removals)
	}
	return l.fill(ctx, ld, items) && l.writeInTurn(ctx, ld.Request.Kind.Cache, nil, removals)
}

// planned returns what the shared tier is to be changed to. Of keys that have no lease where
// there are some it is left to whoever has.
func (l *Loader) planned(ld *Load, keys []*Key) (items, removals []*change) {
	kind := ld.Request.Kind
	for _, k := range keys {
		if k.lease.Taken && !ld.holding.Has(k.Key) {
			k.plan.lost = true
		}
		may := !k.plan.lost && (ld.holding == nil || k.lease.Taken)
		switch {
		case k.plan.keep && !k.plan.localOnly && may:
			item, err := kind.Pack(k.result.Item)
			if err != nil {
				l.Emit.Warn("encode a value, kept in memory only", err, "cache", kind.Cache)
				k.refused = err
				continue
			}
			items = append(items, &change{key: k, item: item})
		case k.plan.keep:
		case k.plan.drop && k.plan.older && may:
			removals = append(removals, &change{key: k})
		case k.plan.drop && !k.plan.older: // nothing is there
			k.plan.replaced = true
		}
	}
	return items, removals
}

// fill stores items under the leases of their keys. The shared tier refuses what was loaded
// before its key was changed. So no change in this process waits for it, and what is sent and
// seems lost does no harm later.
func (l *Loader) fill(ctx context.Context, ld *Load, all []*change) (answered bool) {
	if len(all) == 0 {
		return true
	}
	order := l.Memory.Fence.OrderFill(hashesOf(all), func(i int) bool {
		all[i].allowed = all[i].key.flight.Claim()
		return all[i].allowed
	})
	changes := slices.DeleteFunc(all, func(c *change) bool { return !c.allowed })
	items := make([]drivers.Item, len(changes))
	for i, c := range changes {
		items[i] = c.item
	}
	answered = true
	began := clock.Mono()
	for i, f := range ld.holding.Fill(ctx, items) {
		c := changes[i]
		switch {
		case f.Err != nil || f.Stored:
			l.written(ld.Request.Kind.Cache, c, order, began, f.Err)
			answered = answered && (f.Err == nil || remote.Refused(f.Err))
		default:
			c.key.plan.lost = true
		}
	}
	return answered
}

func hashesOf(changes []*change) []uint64 {
	hashes := make([]uint64, len(changes))
	for i, c := range changes {
		hashes[i] = c.key.Hash
	}
	return hashes
}

// errNoTurn is why a load was not written.
var errNoTurn = fmt.Errorf("an earlier write of the keys has not ended: %w", budget.ErrSpent)

// writeInTurn writes items and removes keys, in turn with others who write them. It returns
// false if the tier does not answer.
func (l *Loader) writeInTurn(ctx context.Context, cache string, items, removals []*change) (answered bool) {
	all := slices.Concat(items, removals)
	turn := l.Memory.Fence.BeginFill(hashesOf(all), func(i int) bool {
		all[i].allowed = all[i].key.flight.Claim()
		return all[i].allowed
	})
	if turn == nil {
		return true
	}
	defer turn.End()
	notAllowed := func(c *change) bool { return !c.allowed }
	items, removals = slices.DeleteFunc(items, notAllowed), slices.DeleteFunc(removals, notAllowed)
	if !turn.WaitWithin(l.Remote.TurnLimit(), budget.Left(ctx)) {
		l.Emit.Warn("shared tier: write", errNoTurn, "cache", cache)
		return false
	}
	answered = true
	began := clock.Mono()
	for i, err := range l.set(ctx, items) {
		l.written(cache, items[i], turn.Order(), began, err)
		answered = answered && (err == nil || remote.Refused(err))
	}
	l.deleteLate(items)
	if len(removals) > 0 {
		names := make([]string, len(removals))
		for i, c := range removals {
			names[i] = c.key.Key
		}
		began = clock.Mono()
		err := l.Remote.Delete(ctx, names)
		for _, c := range removals {
			l.written(cache, c, turn.Order(), began, err)
		}
		answered = answered && (err == nil || remote.Refused(err))
	}
	return answered
}

// deleteLate has those of items deleted once more whose keys others have changed while they were
// being written: what was written may have come after the change, and is from before it. Who
// changes a key in this process waits for the write, and makes up for it by himself. A tier that
// gives leases refuses such a write.
func (l *Loader) deleteLate(items []*change) {
	var late []string
	for _, c := range items {
		if c.key.flight.Poisoned() {
			late = append(late, c.key.Key)
		}
	}
	if len(late) > 0 {
		l.Outbox.Add(late, outbox.KeyTarget, pending.Item{
			Remote: true, Publish: l.Outbox.HasBus(), Order: uint64(l.Memory.Fence.NextOrder()),
		}, nil)
		l.Outbox.Wake()
	}
}

// written says that a change has been made, or has failed. order says when it began, and began
// when it was sent to the tier.
func (l *Loader) written(cache string, c *change, order fence.Order, began int64, err error) {
	if it := c.key.result.Item; it != nil && (err == nil || remote.MayTakeEffect(err)) {
		it.LocalOnly = false // what another process may pull is not this one's alone
	}
	if err != nil {
		text := "shared tier: write"
		if remote.Refused(err) {
			text, c.key.refused = "shared tier: write refused, kept in memory only", err
		}
		l.Emit.Warn(text, err, "cache", cache)
		return
	}
	c.key.plan.replaced = true
	l.Outbox.Superseded(order, began, []string{c.key.Key}, outbox.KeyTarget)
}

// set writes items that have been loaded, and returns the error of each. One that the tier
// refuses is kept in memory only, and does not keep the others from being written: they are
// written one by one then.
func (l *Loader) set(ctx context.Context, changes []*change) []error {
	if len(changes) == 0 {
		return nil
	}
	items := make([]drivers.Item, len(changes))
	for i, c := range changes {
		items[i] = c.item
	}
	err := l.Remote.Fill(ctx, items)
	if len(items) == 1 || !errors.Is(err, drivers.ErrRefused) {
		return slices.Repeat([]error{err}, len(items))
	}
	errs := make([]error, len(items))
	for i := range items {
		errs[i] = l.Remote.Fill(ctx, items[i:i+1])
	}
	return errs
}
