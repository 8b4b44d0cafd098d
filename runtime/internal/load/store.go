package load

import (
	"context"
	"errors"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/remote"
)

// store writes what a load has returned to the shared tier, if shared, and to memory, in
// this order, unless a key has been invalidated meanwhile.
func (l *Loader) store(ctx context.Context, kind *entry.Kind, keys []*Key, shared bool, most int) {
	for _, k := range keys {
		if k.result.Item != nil {
			k.result.Item.LocalOnly = true // until it is written to the shared tier
		}
	}
	if l.Remote.Exists() && shared {
		l.writeChunks(ctx, kind, keys, most)
	}
	for _, k := range keys {
		if l.Remote.Exists() && k.flight.Forced && !k.flight.Poisoned() {
			l.ensureReplaced(k) // before anyone may read it and keep what was read
		}
		switch {
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
	case k.plan.keep && !k.plan.localOnly, k.plan.drop:
		l.Outbox.Add([]string{k.Key}, outbox.KeyTarget, pending.Item{
			Remote: true, Publish: l.Outbox.HasBus(), Order: uint64(l.Memory.Fence.NextOrder()),
		}, nil)
	}
}

// A change is what the shared tier is to hold of a key: an item, or nothing.
type change struct {
	key     *Key
	item    drivers.Item
	remove  bool
	allowed bool // the key has not been invalidated since its flight began
}

// writeChunks writes many keys some at a time, at most most if that is not zero: whoever changes one of them does not wait for
// all. After a failure the others are not tried: the tier does not answer, and the callers wait.
func (l *Loader) writeChunks(ctx context.Context, kind *entry.Kind, keys []*Key, most int) {
	for len(keys) > 0 {
		n := l.Remote.WriteChunk(len(keys), most)
		if !l.writeRemote(ctx, kind, keys[:n]) {
			return
		}
		keys = keys[n:]
	}
}

// writeRemote writes to the shared tier what it is to keep, and removes what it is not to
// keep, all at once. It returns false if the tier does not answer.
func (l *Loader) writeRemote(ctx context.Context, kind *entry.Kind, keys []*Key) (answered bool) {
	changes := l.planned(kind, keys)
	hashes := make([]uint64, len(changes))
	for i, c := range changes {
		hashes[i] = c.key.Hash
	}
	turn := l.Memory.Fence.BeginFill(hashes, func(i int) bool {
		changes[i].allowed = changes[i].key.flight.Claim()
		return changes[i].allowed
	})
	if turn == nil {
		return true
	}
	defer turn.End()
	answered = true
	turn.Wait(l.Remote.TurnLimit())
	var items, removals []*change
	for i := range changes {
		switch c := &changes[i]; {
		case !c.allowed:
		case c.remove:
			removals = append(removals, c)
		default:
			items = append(items, c)
		}
	}
	began := clock.Mono()
	for i, err := range l.fill(ctx, items) {
		l.written(kind.Cache, items[i], turn.Order(), began, err)
		answered = answered && (err == nil || remote.Refused(err))
		if err == nil || remote.MayTakeEffect(err) { // what another process may pull is not this one's alone
			items[i].key.result.Item.LocalOnly = false
		}
	}
	if len(removals) > 0 {
		names := make([]string, len(removals))
		for i, c := range removals {
			names[i] = c.key.Key
		}
		began = clock.Mono()
		err := l.Remote.Delete(ctx, names)
		for _, c := range removals {
			l.written(kind.Cache, c, turn.Order(), began, err)
		}
		answered = answered && (err == nil || remote.Refused(err))
	}
	return answered
}

// planned returns what the shared tier is to be changed to.
func (l *Loader) planned(kind *entry.Kind, keys []*Key) (changes []change) {
	for _, k := range keys {
		switch {
		case k.plan.keep && k.plan.localOnly:
		case k.plan.keep:
			item, err := kind.Pack(k.result.Item)
			if err != nil {
				l.Emit.Warn("encode a value, kept in memory only", err, "cache", kind.Cache)
				k.refused = err
				continue
			}
			changes = append(changes, change{key: k, item: item})
		case k.plan.drop && k.plan.older:
			changes = append(changes, change{key: k, remove: true})
		case k.plan.drop: // nothing is there
			k.plan.replaced = true
		}
	}
	return changes
}

// written says that a change has been made, or has failed. order says when it began, and began
// when it was sent to the tier.
func (l *Loader) written(cache string, c *change, order fence.Order, began int64, err error) {
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

// fill writes items that have been loaded, and returns the error of each. One that the tier
// refuses is kept in memory only, and does not keep the others from being written: they are
// written one by one then, but within the time of one operation, since others wait for
// their turn.
func (l *Loader) fill(ctx context.Context, changes []*change) []error {
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
	ctx, cancel := context.WithTimeout(ctx, l.Remote.Timeout)
	defer cancel()
	errs := make([]error, len(items))
	for i := range items {
		errs[i] = l.Remote.Fill(ctx, items[i:i+1])
	}
	return errs
}
