// Package invalidate changes what the tiers hold: it stores what a caller gives, deletes
// and expires entries by key, by tag and by namespace, and takes a value out. It also
// carries out what other processes have changed.
//
// Every change of keys goes the same way. It advances the keys' stripes of the fence, so
// that nothing read before is kept after, and takes its turn among those who write; it
// changes the shared tier; it advances the stripes again, for those who have read the tier
// before that, poisons the keys' flights, so that what they load is not kept and nobody
// joins them, and changes memory; and it tells the other processes. What does not succeed
// is queued in the outbox before anyone may read it.
//
// All of that has one time, L2Timeout since the change began: the wait for earlier writes of
// the keys, however many operations on the shared tier, and the messages, for which a quarter
// is kept. Whoever has not got its turn by then does not write: the outbox does, later. Where
// several things change at once, they share that time ([budget.Begin]). More keys than fit into
// one operation have it anew whenever the tier has answered.
//
// When a method has returned nil, no read in this process returns a value that was loaded
// before. Changes are carried out although their context is cancelled, because the caller
// has usually changed the source already. The package holds no lock of its own but one
// for each key that is being pulled.
package invalidate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/keymutex"
	"github.com/cachegen/cachegen/runtime/internal/lag"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/relay"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// An Invalidator is that of one store.
type Invalidator struct {
	Memory *memory.Memory
	Remote lag.Tier
	Outbox *outbox.Outbox
	Bus    *bus.Conn // nil without a bus
	Stamps *stamp.Table
	Work   *background.Work
	Emit   *emit.Emitter
	Lag    *lag.Marks    // nil if loaders read what was written last
	Relay  *relay.Member // nil without an outbox in the database of the program
	// Fail makes the error of a change that did not reach everyone. function is the one of the
	// program that has changed the source, if that is known.
	Fail func(function, op string, targets []string, err error) error
	// Cleared is called when the entries whose keys begin with a prefix were cleared.
	Cleared func(prefix string)

	pulls   keymutex.Mutexes
	reports reports
}

// A change is what becomes of keys.
type change struct {
	op   string
	kind bus.Kind
	keys []string
	// remote changes some of keys in the shared tier. open says that the tier may still hold
	// what is to go.
	remote func(ctx context.Context, keys []string) (open bool, err error)
	// memory changes a key in memory. sure says that this change is surely the last one that
	// the shared tier has got.
	memory func(key string, hash uint64, sure bool)
	silent bool // the other processes are not told
}

// A Mode says how a change is made.
type Mode struct {
	Silent bool // the other processes are not told of keys
	Log    bool // that the shared tier or the bus was not reached is logged in place of an error
}

// ModeOf returns what a policy says.
func ModeOf(p *policy.Policy) Mode {
	return Mode{Silent: p.SkipBusNotify, Log: p.InvalidationErrors == policy.Log}
}

// errNoTurn is why a write was left to the outbox.
var errNoTurn = fmt.Errorf("an earlier write of the keys has not ended: %w", budget.ErrSpent)

// awaitTurn waits for a turn while there is time, and a reason to wait. It fails if the turn has
// not come: then its holder must not write.
func (v *Invalidator) awaitTurn(ctx context.Context, turn *fence.Turn) error {
	left, patience := budget.Left(ctx), v.Remote.Patience()
	switch {
	case turn.WaitWithin(v.Remote.TurnLimit(), min(left, patience)):
		return nil
	case patience < left:
		return v.Remote.Away()
	}
	return errNoTurn
}

// all says of a change that failed that it is open as a whole.
func all(err error) (open bool, _ error) { return err != nil, err }

// start returns contexts for the shared tier and for the bus, which end with the time of the
// change. They are not cancelled with ctx.
func (v *Invalidator) start(ctx context.Context, told bool) (tier, rest context.Context) {
	share := time.Duration(0)
	if v.Bus != nil && told {
		share = budget.ForBus(v.Remote.Timeout)
	}
	return budget.Start(context.WithoutCancel(ctx), v.Remote.Timeout, share)
}

// apply carries out a change.
func (v *Invalidator) apply(ctx context.Context, c *change) error {
	if len(c.keys) == 0 {
		return nil
	}
	if !v.Work.Enter() {
		return background.ErrClosed
	}
	defer v.Work.Leave()
	tier, rest := v.start(ctx, !c.silent)
	err := v.applyChunks(ctx, tier, c)
	return v.result(ctx, c.op, c.keys, err, v.publish(rest, c))
}

// applyChunks changes the tiers for some keys at a time, so that those who change one of them
// do not wait for all. The first are carried out although caller has ended. When the tier has
// not answered, or caller has ended, the rest is left to the outbox.
func (v *Invalidator) applyChunks(caller, ctx context.Context, c *change) error {
	var errs []error
	var left error // why the rest is not tried
	for keys := c.keys; len(keys) > 0; {
		n := len(keys)
		if v.Remote.Exists() && left == nil {
			n = v.Remote.WriteChunk(n, 0)
		}
		err := v.applySerialized(ctx, c, keys[:n], left)
		keys = keys[n:]
		if left == nil && err != nil {
			errs = append(errs, err)
		}
		switch {
		case left != nil || len(keys) == 0:
		case err != nil && !remote.Refused(err):
			left = err
		case caller.Err() != nil && v.Remote.Exists():
			left = fmt.Errorf("%d of %d keys are left to be tried later: %w", len(keys), len(c.keys), caller.Err())
			errs = append(errs, left)
		default: // the tier answers, and there is more than fits into one operation
			budget.Renew(ctx)
		}
	}
	return errors.Join(errs...)
}

// applySerialized changes the tiers, in turn with others who write the same keys. left is why
// the shared tier is left to the outbox, if it is.
func (v *Invalidator) applySerialized(ctx context.Context, c *change, keys []string, left error) (err error) {
	v.Lag.Keys(keys)
	marks, turn := v.Memory.Fence.BeginChange(v.hashes(keys))
	defer turn.End()
	if v.Remote.Exists() {
		began, open := clock.Mono(), true
		if err = left; err == nil {
			err = v.awaitTurn(ctx, turn)
		}
		if err == nil {
			began = clock.Mono()
			open, err = c.remote(ctx, keys)
		}
		v.settleRemote(c, keys, turn.Order(), began, open, err)
	}
	v.Memory.Invalidate(keys, func(i int, hash uint64, before fence.Mark) {
		c.memory(keys[i], hash, err == nil && (!v.Remote.Exists() || before == marks[i]))
	})
	return err
}

// settleRemote queues what is still to be done in the shared tier after a change. order says
// when it began, and began when it was sent to the tier. It is called before anyone may read the
// keys and keep what was read.
func (v *Invalidator) settleRemote(c *change, keys []string, order fence.Order, began int64, open bool, err error) {
	if open {
		v.Outbox.Add(keys, outbox.KeyTarget, pending.Item{
			Remote: true, Expire: c.kind == bus.Expire, Publish: v.Bus != nil && !c.silent, Order: uint64(order),
		}, err)
	} else if err == nil {
		v.Outbox.Superseded(order, began, keys, outbox.KeyTarget)
	}
	v.Outbox.RedeleteLater(keys)
}

// publish tells the other processes of a change.
func (v *Invalidator) publish(ctx context.Context, c *change) error {
	if c.silent {
		return nil
	}
	open, err := v.Bus.Publish(ctx, c.kind, c.keys)
	if err != nil {
		v.Outbox.Add(open, outbox.KeyTarget, pending.Item{Publish: true}, err)
	}
	return err
}

func (v *Invalidator) hashes(keys []string) []uint64 {
	hashes := make([]uint64, len(keys))
	for i, key := range keys {
		hashes[i] = v.Memory.Hash(key)
	}
	return hashes
}

// result makes the error of a change, if it has failed somewhere.
func (v *Invalidator) result(ctx context.Context, op string, targets []string, errs ...error) error {
	err := budget.Join(errs...)
	if err == nil {
		return nil
	}
	budget.Missed(ctx)
	if v.Outbox.Len() > 0 {
		v.Outbox.Emit(err)
	}
	return v.Fail(budget.Of(ctx).Function, op, targets, err)
}

// logs reports whether that somebody was not reached is logged in place of an error.
func (m Mode) logs(ctx context.Context) bool {
	if of := budget.Of(ctx).Errors; of.Given {
		return of.Value == policy.Log
	}
	return m.Log
}

// report returns the error of a change, unless it is to be logged and says only that the shared
// tier or the bus was not reached. What a driver refuses is returned, and what comes after Close.
func (v *Invalidator) report(ctx context.Context, m Mode, err error) error {
	if !m.logs(ctx) || err == nil || errors.Is(err, background.ErrClosed) || errors.Is(err, drivers.ErrClosed) || errors.Is(err, drivers.ErrRefused) {
		return err
	}
	v.Emit.Warn("an invalidation has not reached everyone and is tried again", err)
	return nil
}

// Delete deletes keys everywhere.
func (v *Invalidator) Delete(ctx context.Context, keys []string, m Mode) error {
	ctx, held := v.holdInvalidation(ctx, keys, nil, false, m)
	if held {
		return nil
	}
	err := v.apply(ctx, v.deletion("delete", keys, m))
	v.emitKeys(v.Emit.Hooks().Deleted, keys, nil, err)
	return v.report(ctx, m, err)
}

func (v *Invalidator) deletion(op string, keys []string, m Mode) *change {
	return &change{
		op: op, kind: bus.Drop, keys: keys, silent: m.Silent,
		remote: func(ctx context.Context, keys []string) (bool, error) { return all(v.Remote.Delete(ctx, keys)) },
		memory: func(_ string, hash uint64, _ bool) { v.Memory.Delete(hash) },
	}
}

// Expire makes keys stale everywhere, and keeps their values for the grace that they have.
func (v *Invalidator) Expire(ctx context.Context, keys []string, m Mode) error {
	ctx, held := v.holdInvalidation(ctx, keys, nil, true, m)
	if held {
		return nil
	}
	err := v.apply(ctx, &change{
		op: "expire", kind: bus.Expire, keys: keys, silent: m.Silent,
		remote: func(ctx context.Context, keys []string) (bool, error) { return all(v.Remote.Expire(ctx, keys)) },
		memory: func(key string, hash uint64, _ bool) { v.Memory.Expire(key, hash) },
	})
	v.emitKeys(v.Emit.Hooks().Expired, keys, nil, err)
	return v.report(ctx, m, err)
}

// Invalidate deletes keys and the entries that have one of tags, in the time of one change, and
// in as many round trips as the tags alone take.
func (v *Invalidator) Invalidate(ctx context.Context, keys, tags []string, m Mode) error {
	tags = entry.Distinct(tags)
	switch {
	case len(tags) == 0:
		return v.Delete(ctx, keys, m)
	case len(keys) == 0:
		return v.DeleteByTag(ctx, tags, m)
	}
	ctx, held := v.holdInvalidation(ctx, keys, tags, false, m)
	if held {
		return nil
	}
	err := v.deleteBoth(ctx, keys, entry.TagStamps(tags), m)
	v.emitKeys(v.Emit.Hooks().Deleted, keys, tags, err)
	return v.report(ctx, m, err)
}

// deleteBoth deletes keys and the entries under stamps.
func (v *Invalidator) deleteBoth(ctx context.Context, keys, stamps []string, m Mode) error {
	if !v.Work.Enter() {
		return background.ErrClosed
	}
	defer v.Work.Leave()
	tier, rest := v.start(ctx, true)
	r := v.announce(stamps, false)
	c := v.deletion("invalidate", keys, m)
	c.remote = func(ctx context.Context, keys []string) (bool, error) {
		if r.counted || !slices.ContainsFunc(stamps, entry.IsTagStamp) {
			return all(v.Remote.Delete(ctx, keys))
		}
		err := v.Remote.DeleteCounted(ctx, keys)
		r.counted = err == nil
		return all(err)
	}
	errKeys := v.applyChunks(ctx, tier, c)
	errTags := v.rotate(ctx, tier, r)
	return v.result(ctx, c.op, slices.Concat(keys, describe(stamps)), errKeys, errTags, v.publish(rest, c), v.publishStamps(rest, r))
}

func (v *Invalidator) emitKeys(hook func(event.Invalidation), keys, tags []string, err error) {
	if len(keys)+len(tags) > 0 && err != background.ErrClosed {
		emit.Event(v.Emit, hook, event.Invalidation{Store: v.Emit.Store, Keys: keys, Tags: tags, Err: err})
	}
}
