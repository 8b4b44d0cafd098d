// Package outbox carries out the invalidations that have not reached the shared tier or
// the other processes.
//
// They are queued before their callers are told of the failure, and tried again until they
// succeed, the oldest of them first. Until then nothing that they concern is
// read from the shared tier: what lies there is what was to go. A goroutine runs while
// something is queued, and only then.
//
// The queue has its own lock, the goroutine's state another. Neither is held during an
// operation. A write to the shared tier takes its turn of the fence like any other, and is
// left out for a key that somebody is changing: that change makes up for it. The package
// neither loads nor decides what is invalidated.
package outbox

import (
	"context"
	"math"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/lag"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

const (
	// MaxPending bounds how many keys and stamps are queued. Beyond it the whole store is
	// cleared instead, which is one stamp.
	MaxPending = 100_000
	// maxPendingBytes bounds how long their names may be together.
	maxPendingBytes = 64 << 20
	// batchSize is how many are carried out at a time.
	batchSize = 500

	firstDelay, lastDelay = 100 * time.Millisecond, time.Second
)

// An Outbox is that of one store. Use [New].
type Outbox struct {
	queue  *pending.Queue
	stamps *stamp.Table
	remote lag.Tier
	memory *memory.Memory
	bus    *bus.Conn
	emit   *emit.Emitter
	retry  retry
}

// New returns an outbox over a queue that the shared tier asks, too. Its goroutine ends
// with ctx.
func New(ctx context.Context, q *pending.Queue, stamps *stamp.Table, r lag.Tier, m *memory.Memory, b *bus.Conn, e *emit.Emitter) *Outbox {
	q.Max, q.MaxBytes = MaxPending, maxPendingBytes
	return &Outbox{queue: q, stamps: stamps, remote: r, memory: m, bus: b, emit: e, retry: retry{ctx: ctx}}
}

// KeyTarget is a key as the target of an invalidation.
func KeyTarget(key string) pending.Target { return pending.Target{Kind: pending.Key, Name: key} }

// StampTarget is a half of a stamp as the target of an invalidation.
func StampTarget(name string, expire bool) pending.Target {
	if expire {
		return pending.Target{Kind: pending.ExpireStamp, Name: name}
	}
	return pending.Target{Kind: pending.DeleteStamp, Name: name}
}

// Add queues what like says for each of names, because of err.
func (o *Outbox) Add(names []string, target func(string) pending.Target, like pending.Item, err error) {
	items := make([]pending.Item, len(names))
	for i, name := range names {
		items[i] = like
		items[i].Target = target(name)
	}
	o.add(items, err)
}

// Superseded says that a change of names has reached the shared tier: see
// [pending.Queue.Superseded].
func (o *Outbox) Superseded(order fence.Order, began int64, names []string, target func(string) pending.Target) {
	if o.queue.Len() == 0 {
		return
	}
	targets := make([]pending.Target, len(names))
	for i, name := range names {
		targets[i] = target(name)
	}
	o.queue.Superseded(uint64(order), began, targets...)
}

// RedeleteLater queues those of keys that an earlier write in doubt may still store,
// after the change that has just been made: they are deleted once more when nothing can
// take effect any more. It is called before anyone may read the keys and keep what was
// read.
func (o *Outbox) RedeleteLater(keys []string) {
	var items []pending.Item
	for _, key := range keys {
		if until := o.remote.InDoubtUntil(key); until > 0 {
			items = append(items, pending.Item{
				Target: pending.Target{Kind: pending.Redelete, Name: key}, Remote: true, Publish: o.HasBus(), After: until,
			})
		}
	}
	if len(items) > 0 {
		o.add(items, nil)
	}
}

func (o *Outbox) add(items []pending.Item, err error) {
	if !o.queue.Add(items...) {
		o.clearStore()
		o.emit.Warn("too many invalidations are pending, the store is cleared instead", err)
	}
	o.retry.start(o)
}

// clearStore queues the stamp of the whole store, which makes up for all that was queued.
func (o *Outbox) clearStore() {
	all := pending.Item{Target: StampTarget(entry.StoreStamp, false), Remote: o.remote.Exists(), Publish: o.HasBus(), Order: math.MaxUint64}
	o.queue.Replace(all, func() { o.stamps.Change(entry.StoreStamp, false, o.remote.Exists()) })
}

// ClearStore queues the stamp of the whole store, and tries at once to change it. From now on no
// entry that carries the present one is valid here, and until it is changed in the shared tier,
// nothing is read there.
func (o *Outbox) ClearStore() {
	o.clearStore()
	o.retry.start(o)
	o.Wake()
}

// HasBus reports whether other processes are told of what changes.
func (o *Outbox) HasBus() bool { return o.bus != nil }

// Len returns how many invalidations are pending.
func (o *Outbox) Len() int { return o.queue.Len() }

// Wake makes the next try come at once.
func (o *Outbox) Wake() { o.retry.wakeUp() }

// Emit tells the hooks how many invalidations are pending.
func (o *Outbox) Emit(err error) {
	emit.Event(o.emit, o.emit.Hooks().Pending, event.Pending{Store: o.emit.Store, Pending: o.queue.Len(), Err: err})
}

// Drain ends the goroutine and carries out what is queued for as long as ctx allows. What
// is not due yet is waited for, and what cannot succeed any more is not tried again. It returns the names of what is lost, and why.
func (o *Outbox) Drain(ctx context.Context) (lost []string, err error) {
	o.retry.end(ctx)
	for ctx.Err() == nil && o.queue.Len() > 0 {
		o.remote.CloseBreaker()
		o.bus.TryNow()
		errNow := o.flush(ctx)
		if errNow == nil || err == nil || ctx.Err() == nil { // or else it says only that the time is over
			err = errNow
		}
		if forGood(errNow) {
			break
		}
		if errNow != nil || o.queue.Len() > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(firstDelay):
			}
		}
	}
	items := o.queue.First(o.queue.Len())
	if len(items) == 0 {
		return nil, nil
	}
	for _, it := range items {
		name := it.Name
		if it.Kind == pending.DeleteStamp || it.Kind == pending.ExpireStamp {
			name = entry.DescribeStamp(name)
		}
		lost = append(lost, name)
	}
	if err == nil {
		err = ctx.Err()
	}
	return entry.Distinct(lost), err
}
