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

// flush carries out what is due until something fails: the oldest first, a batch at a time,
// and of a batch keys before stamps.
func (o *Outbox) flush(ctx context.Context) (err error) {
	t := clock.Mono()
	items := slices.DeleteFunc(o.queue.First(o.queue.Len()), func(it pending.Item) bool { return !it.Due(t) })
	if len(items) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("driver panicked: %v", p)
		}
		o.Emit(err)
	}()
	for len(items) > 0 {
		n := o.remote.WriteChunk(len(items), batchSize)
		if errNow := o.flushBatch(ctx, items[:n]); errNow != nil {
			err = errNow
			if !errors.Is(err, drivers.ErrClosed) { // what is for the bus alone may still succeed
				return err
			}
		}
		items = items[n:]
	}
	return err
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

func (o *Outbox) flushBatch(ctx context.Context, items []pending.Item) error {
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
	return errors.Join(o.flushKeys(ctx, keys), o.flushStamps(ctx, deleted, false), o.flushStamps(ctx, expired, true))
}

// flushKeys leaves out keys that somebody is changing: that change makes up for what is
// pending, or is pending then itself.
func (o *Outbox) flushKeys(ctx context.Context, items []pending.Item) error {
	var remote, done []pending.Item
	var hashes []uint64
	for _, it := range items {
		if it.Remote {
			remote, hashes = append(remote, it), append(hashes, o.memory.Hash(it.Name))
		} else {
			done = append(done, it)
		}
	}
	var mine []pending.Item
	turn := o.memory.Fence.BeginFill(hashes, func(i int) bool {
		held := o.queue.Holds(remote[i])
		if held {
			mine = append(mine, remote[i])
		}
		return held
	})
	if turn != nil {
		if err := o.changeInTurn(ctx, turn, mine); err != nil {
			return errors.Join(err, o.publish(ctx, bus.Drop, done))
		}
	}
	return o.publish(ctx, bus.Drop, append(done, mine...))
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

func (o *Outbox) flushStamps(ctx context.Context, items []pending.Item, expire bool) error {
	kind := bus.DeleteStamp
	if expire {
		kind = bus.ExpireStamp
	}
	var names []string
	var open, done []pending.Item
	for _, it := range items {
		if it.Remote {
			names, open = append(names, it.Name), append(open, it)
		} else {
			done = append(done, it)
		}
	}
	if len(names) > 0 {
		if err := o.eachIfRefused(names, func(names []string) error { return o.remote.RotateStamps(ctx, names, expire) }); err != nil {
			return errors.Join(err, o.publish(ctx, kind, done))
		}
		o.queue.Reached(open...)
		for _, name := range names {
			o.stamps.Change(name, expire, o.remote.Exists())
		}
	}
	return o.publish(ctx, kind, items)
}

// publish tells the other processes of those items that they have to hear of.
func (o *Outbox) publish(ctx context.Context, kind bus.Kind, items []pending.Item) error {
	var names []string
	var open []pending.Item
	for _, it := range items {
		if it.Publish {
			names, open = append(names, it.Name), append(open, it)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if _, err := o.bus.Publish(ctx, kind, entry.Distinct(names)); err != nil {
		again := make([]pending.Item, len(open)) // they may have left the queue
		for i, it := range open {
			again[i] = pending.Item{Target: it.Target, Publish: true}
		}
		o.add(again, err)
		return err
	}
	o.queue.Published(open...)
	return nil
}
