// Package fill writes to the shared tier what has been loaded, and removes what a load has found to
// be gone.
//
// Where the tier gives leases, a value is stored under the lease that its load has taken: the
// tier refuses what was loaded before its key was changed. So no change in this process waits for
// it, and what is sent and seems lost does no harm later. Everything else is written in turn with
// others who write the key (see package fence). There, whoever hears during a write that others
// have changed its key has it deleted once more.
//
// A [Filler] has no state of its own. No lock is held during an operation.
package fill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/remote"
)

// errNoTurn is why a change was not made.
var errNoTurn = fmt.Errorf("an earlier write of the keys has not ended: %w", budget.ErrSpent)

// A Filler is that of one store.
type Filler struct {
	Remote *remote.Tier
	Outbox *outbox.Outbox
	Fence  *fence.Fence
	Emit   *emit.Emitter
}

// A Flight is what was loaded.
type Flight interface {
	// Claim reports whether the result may be kept.
	Claim() bool
	// Poisoned reports whether the key has been invalidated since the load began.
	Poisoned() bool
}

// A Change is what the shared tier is to hold of a key: an item, or nothing. It belongs to its
// load.
type Change struct {
	Key    string
	Hash   uint64
	Flight Flight
	Item   drivers.Item
	Alone  drivers.Item // what to store if Item is refused; without a key, if there is nothing else
	Remove bool         // the tier is to hold nothing

	// What has become of it.
	Done    bool  // the tier holds nothing older any more
	May     bool  // it was done, or that is not known: another process may have the value
	Lost    bool  // the key has been changed since its lease was taken
	Refused error // the tier does not take the value

	allowed bool
}

// allow returns those of changes whose keys have not been invalidated since their loads began, and
// are not being invalidated. begin is a function of the fence.
func allow(changes []*Change, begin func(hashes []uint64, may func(i int) bool)) []*Change {
	hashes := make([]uint64, len(changes))
	for i, c := range changes {
		hashes[i] = c.Hash
	}
	begin(hashes, func(i int) bool {
		changes[i].allowed = changes[i].Flight.Claim()
		return changes[i].allowed
	})
	return slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return !c.allowed })
}

// UnderLeases stores the items of changes under leases. It returns false if the tier does not
// answer.
func (f *Filler) UnderLeases(ctx context.Context, cache string, leases *lease.Holding, changes []*Change) (answered bool) {
	if len(changes) == 0 {
		return true
	}
	var order fence.Order
	changes = allow(changes, func(hashes []uint64, may func(i int) bool) { order = f.Fence.OrderFill(hashes, may) })
	answered = true
	began := clock.Mono()
	for i, filled := range leases.Fill(ctx, itemsOf(changes)) {
		c := changes[i]
		if errors.Is(filled.Err, drivers.ErrRefused) && c.Alone.Key != "" {
			filled = leases.Fill(ctx, []drivers.Item{c.Alone})[0]
		}
		if c.Lost = !filled.Stored && filled.Err == nil; !c.Lost {
			answered = f.written(cache, c, order, began, filled.Err) && answered
		}
	}
	return answered
}

func itemsOf(changes []*Change) []drivers.Item {
	items := make([]drivers.Item, len(changes))
	for i, c := range changes {
		items[i] = c.Item
	}
	return items
}

// InTurn makes changes in turn with others who write the keys. It returns false if the tier does
// not answer.
func (f *Filler) InTurn(ctx context.Context, cache string, changes []*Change) (answered bool) {
	var turn *fence.Turn
	changes = allow(changes, func(hashes []uint64, may func(i int) bool) { turn = f.Fence.BeginFill(hashes, may) })
	if turn == nil {
		return true
	}
	defer turn.End()
	if !turn.WaitWithin(f.Remote.TurnLimit(), budget.Left(ctx)) {
		f.Emit.Warn("shared tier: write", errNoTurn, "cache", cache)
		return false
	}
	var items, removals []*Change
	var names []string
	for _, c := range changes {
		if c.Remove {
			removals, names = append(removals, c), append(names, c.Key)
		} else {
			items = append(items, c)
		}
	}
	answered = true
	began := clock.Mono()
	for i, err := range f.set(ctx, items) {
		answered = f.written(cache, items[i], turn.Order(), began, err) && answered
	}
	f.deleteLate(items)
	if len(removals) > 0 {
		began = clock.Mono()
		err := f.Remote.Delete(ctx, names)
		for _, c := range removals {
			answered = f.written(cache, c, turn.Order(), began, err) && answered
		}
	}
	return answered
}

// written says that a change has been made, or has failed. order says when it began, and began
// when it was sent to the tier. It returns false if the tier has not answered.
func (f *Filler) written(cache string, c *Change, order fence.Order, began int64, err error) (answered bool) {
	c.May = err == nil || remote.MayTakeEffect(err)
	if err == nil {
		c.Done = true
		f.Outbox.Superseded(order, began, []string{c.Key}, outbox.KeyTarget)
		return true
	}
	text := "shared tier: write"
	if remote.Refused(err) {
		text, c.Refused = "shared tier: write refused, kept in memory only", err
	}
	f.Emit.Warn(text, err, "cache", cache)
	return c.Refused != nil
}

// deleteLate has those of items deleted once more whose keys others have changed while they were
// being written: what was written may have come after the change, and is from before it. Who
// changes a key in this process waits for the write, and makes up for it by himself.
func (f *Filler) deleteLate(items []*Change) {
	var late []string
	for _, c := range items {
		if c.Flight.Poisoned() {
			late = append(late, c.Key)
		}
	}
	if len(late) > 0 {
		f.Outbox.Add(late, outbox.KeyTarget, pending.Item{
			Remote: true, Publish: f.Outbox.HasBus(), Order: uint64(f.Fence.NextOrder()),
		}, nil)
		f.Outbox.Wake()
	}
}

// set writes items, and returns the error of each. One that the tier refuses does not keep the
// others from being written: they are written one by one then.
func (f *Filler) set(ctx context.Context, changes []*Change) []error {
	if len(changes) == 0 {
		return nil
	}
	items := itemsOf(changes)
	err := f.Remote.Fill(ctx, items)
	if len(items) == 1 || !errors.Is(err, drivers.ErrRefused) {
		return slices.Repeat([]error{err}, len(items))
	}
	errs := make([]error, len(items))
	for i := range items {
		errs[i] = f.Remote.Fill(ctx, items[i:i+1])
	}
	return errs
}
