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
// When a method has returned nil, no read in this process returns a value that was loaded
// before. Changes are carried out although their context is cancelled, because the caller
// has usually changed the source already. The package holds no lock of its own but one
// for each key that is being pulled.
package invalidate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/keymutex"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// An Invalidator is that of one store.
type Invalidator struct {
	Memory *memory.Memory
	Remote *remote.Tier
	Outbox *outbox.Outbox
	Bus    *bus.Conn // nil without a bus
	Stamps *stamp.Table
	Work   *background.Work
	Emit   *emit.Emitter
	// Fail makes the error of a change that did not reach everyone.
	Fail func(op string, targets []string, err error) error
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

// all says of a change that failed that it is open as a whole.
func all(err error) (open bool, _ error) { return err != nil, err }

// apply carries out a change.
func (v *Invalidator) apply(ctx context.Context, c *change) error {
	if len(c.keys) == 0 {
		return nil
	}
	if !v.Work.Enter() {
		return background.ErrClosed
	}
	defer v.Work.Leave()
	err := v.applyChunks(ctx, c)
	return v.result(c.op, c.keys, err, v.publish(context.WithoutCancel(ctx), c))
}

// applyChunks changes the tiers for some keys at a time, so that those who change one of them
// do not wait for all. The first are carried out although ctx has ended. When the tier has
// not answered, or ctx has ended, the rest is left to the outbox: nobody waits for the time of
// one operation several times.
func (v *Invalidator) applyChunks(caller context.Context, c *change) error {
	ctx := context.WithoutCancel(caller)
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
		}
	}
	return errors.Join(errs...)
}

// applySerialized changes the tiers, in turn with others who write the same keys. left is why
// the shared tier is left to the outbox, if it is.
func (v *Invalidator) applySerialized(ctx context.Context, c *change, keys []string, left error) (err error) {
	marks, turn := v.Memory.Fence.BeginChange(v.hashes(keys))
	defer turn.End()
	if v.Remote.Exists() {
		began, open := clock.Mono(), true
		if err = left; err == nil {
			turn.Wait(v.Remote.TurnLimit())
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
func (v *Invalidator) result(op string, targets []string, errs ...error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	if v.Outbox.Len() > 0 {
		v.Outbox.Emit(err)
	}
	return v.Fail(op, targets, err)
}

// Delete deletes keys everywhere. Silent does not tell the other processes.
func (v *Invalidator) Delete(ctx context.Context, keys []string, silent bool) error {
	err := v.apply(ctx, &change{
		op: "delete", kind: bus.Drop, keys: keys, silent: silent,
		remote: func(ctx context.Context, keys []string) (bool, error) { return all(v.Remote.Delete(ctx, keys)) },
		memory: func(_ string, hash uint64, _ bool) { v.Memory.Delete(hash) },
	})
	v.emitKeys(v.Emit.Hooks().Deleted, keys, err)
	return err
}

// Expire makes keys stale everywhere, and keeps their values for the grace that they have.
func (v *Invalidator) Expire(ctx context.Context, keys []string, silent bool) error {
	err := v.apply(ctx, &change{
		op: "expire", kind: bus.Expire, keys: keys, silent: silent,
		remote: func(ctx context.Context, keys []string) (bool, error) { return all(v.Remote.Expire(ctx, keys)) },
		memory: func(key string, hash uint64, _ bool) { v.Memory.Expire(key, hash) },
	})
	v.emitKeys(v.Emit.Hooks().Expired, keys, err)
	return err
}

func (v *Invalidator) emitKeys(hook func(event.Invalidation), keys []string, err error) {
	if len(keys) > 0 && err != background.ErrClosed {
		emit.Event(v.Emit, hook, event.Invalidation{Store: v.Emit.Store, Keys: keys, Err: err})
	}
}
