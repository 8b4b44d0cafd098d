package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/pending"
)

// A flushing is one try of all that is due. When the shared tier has failed, what has to change
// it waits for the next try, and when the bus has, what has to be told: the one does not hold
// up the other.
type flushing struct {
	*Outbox
	errTier, errBus error // why it is not asked any more
}

// flush carries out what is due until something fails: the oldest first, a batch at a time,
// and of a batch keys before stamps.
func (o *Outbox) flush(ctx context.Context) (err error) {
	t := clock.Mono()
	items := slices.DeleteFunc(o.queue.First(o.queue.Len()), func(it pending.Item) bool { return !it.Due(t) })
	if len(items) == 0 {
		return nil
	}
	f := flushing{Outbox: o}
	defer func() {
		err = errors.Join(f.errTier, f.errBus)
		if p := recover(); p != nil {
			err = errors.Join(err, fmt.Errorf("driver panicked: %v", p))
		}
		o.Emit(err)
	}()
	for len(items) > 0 && (f.errTier == nil || f.errBus == nil) {
		n := o.remote.WriteChunk(len(items), batchSize)
		f.flushBatch(ctx, items[:n])
		items = items[n:]
	}
	return nil
}

// forGood reports whether err, and all that it joins, says that a driver or its client is
// closed: no other try succeeds.
func forGood(err error) bool {
	if err == nil || err == drivers.ErrClosed {
		return err != nil
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return forGood(err.Unwrap())
	case interface{ Unwrap() []error }:
		all := err.Unwrap()
		return slices.Contains(all, drivers.ErrClosed) || !slices.ContainsFunc(all, func(err error) bool { return !forGood(err) })
	}
	return false
}

func (f *flushing) flushBatch(ctx context.Context, items []pending.Item) {
	var keys, deleted, expired []pending.Item
	for _, it := range items {
		switch it.Kind {
		case pending.Key, pending.Redelete:
			keys = append(keys, it)
		case pending.DeleteStamp:
			deleted = append(deleted, it)
		case pending.ExpireStamp:
			expired = append(expired, it)
		}
	}
	f.flushKeys(ctx, keys)
	f.flushStamps(ctx, deleted, false)
	f.flushStamps(ctx, expired, true)
}

// ofTier returns those of items that have to change the shared tier, if that may be asked, and
// those that only have to be told.
func (f *flushing) ofTier(items []pending.Item) (remote, told []pending.Item) {
	for _, it := range items {
		switch {
		case !it.Remote:
			told = append(told, it)
		case f.errTier == nil:
			remote = append(remote, it)
		}
	}
	return remote, told
}

// flushKeys leaves out keys that somebody is changing: that change makes up for what is
// pending, or is pending then itself.
func (f *flushing) flushKeys(ctx context.Context, items []pending.Item) {
	remote, told := f.ofTier(items)
	hashes := make([]uint64, len(remote))
	for i, it := range remote {
		hashes[i] = f.memory.Hash(it.Name)
	}
	var mine []pending.Item
	turn := f.memory.Fence.BeginFill(hashes, func(i int) bool {
		held := f.queue.Holds(remote[i])
		if held {
			mine = append(mine, remote[i])
		}
		return held
	})
	if turn != nil {
		if f.errTier = f.changeInTurn(ctx, turn, mine); f.errTier != nil {
			mine = nil
		}
	}
	f.publish(ctx, bus.Drop, append(told, mine...))
}

func (o *Outbox) changeInTurn(ctx context.Context, turn *fence.Turn, items []pending.Item) error {
	defer turn.End()
	turn.Wait(o.remote.TurnLimit())
	if err := o.changeRemote(ctx, items); err != nil {
		return err
	}
	o.queue.Reached(items...)
	return nil
}

// changeRemote deletes or expires keys in the shared tier.
func (o *Outbox) changeRemote(ctx context.Context, items []pending.Item) error {
	var remove, expire []string
	for _, it := range items {
		if it.Kind == pending.Key && it.Expire && !o.queue.Deletes(it.Target) {
			expire = append(expire, it.Name)
		} else {
			remove = append(remove, it.Name)
		}
	}
	return errors.Join(
		o.eachIfRefused(entry.Distinct(remove), func(keys []string) error { return o.remote.Delete(ctx, keys) }),
		o.eachIfRefused(expire, func(keys []string) error { return o.remote.Expire(ctx, keys) }),
	)
}

// eachIfRefused does something with names, one by one if it is refused for all: the tier
// holds nothing under a name that it refuses, and the others must not wait for it.
func (o *Outbox) eachIfRefused(names []string, do func([]string) error) error {
	if len(names) == 0 {
		return nil
	}
	err := do(names)
	if !errors.Is(err, drivers.ErrRefused) {
		return err
	}
	var errs []error
	for _, name := range names {
		switch err := do([]string{name}); {
		case errors.Is(err, drivers.ErrRefused):
			o.emit.Warn("shared tier: pending invalidation refused, not tried again", err, "name", keytext.Show(name))
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (f *flushing) flushStamps(ctx context.Context, items []pending.Item, expire bool) {
	kind := bus.DeleteStamp
	if expire {
		kind = bus.ExpireStamp
	}
	remote, told := f.ofTier(items)
	if len(remote) > 0 {
		names := make([]string, len(remote))
		for i, it := range remote {
			names[i] = it.Name
		}
		f.errTier = f.eachIfRefused(names, func(names []string) error { return f.remote.RotateStamps(ctx, names, expire, false) })
		if f.errTier == nil {
			f.queue.Reached(remote...)
			for _, name := range names {
				f.stamps.Change(name, expire, f.remote.Exists())
			}
			told = append(told, remote...)
		}
	}
	f.publish(ctx, kind, told)
}

// publish tells the other processes of those items that they have to hear of.
func (f *flushing) publish(ctx context.Context, kind bus.Kind, items []pending.Item) {
	var names []string
	var open []pending.Item
	for _, it := range items {
		if it.Publish {
			names, open = append(names, it.Name), append(open, it)
		}
	}
	if len(names) == 0 || f.errBus != nil {
		return
	}
	_, err := f.bus.Publish(ctx, kind, entry.Distinct(names))
	if err != nil {
		again := make([]pending.Item, len(open)) // they may have left the queue
		for i, it := range open {
			again[i] = pending.Item{Target: it.Target, Publish: true}
		}
		f.add(again, err)
		f.errBus = err
		return
	}
	f.queue.Published(open...)
}
