package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/history"
	"github.com/cachegen/cachegen/runtime/internal/pace"
)

// An operation is one call of the driver, as the circuit breaker sees it.
type operation struct {
	name  string
	keys  int
	limit time.Duration
	// held keeps operations of this kind away while the server refuses them; nil if it
	// may be asked each time.
	held *breaker.Breaker
	// urgent: it invalidates something. While the server is away it may be a trial of its
	// own, because what it does not reach has to be made up for.
	urgent bool
	// again: it may be carried out twice, if what it writes differs each time. A
	// connection that was cut says little: it is tried once more.
	again bool
	// blind: nothing that it returns is believed. What it does is right for whatever state the
	// tier has.
	blind bool
	// in is set to the history of the tier in which it was carried out; nil: nobody asks.
	in *history.In
}

// run runs an operation, within its limit and the time that is left of the write that it is
// part of. Without a driver it does nothing.
//
// That the server is away is counted for all operations together. That it refuses one is
// an answer: it is up, and what it refuses is counted for reads and for writes by
// themselves. A server that is full takes no writes, and serves reads and deletions.
func (t *Tier) run(ctx context.Context, o operation, f func(context.Context) error) (err error) {
	if t.Driver == nil {
		return nil
	}
	limit := min(o.limit, budget.Left(ctx))
	if limit <= 0 {
		return t.Fail(o.name, budget.ErrSpent)
	}
	if !o.blind {
		f = t.History.Believed(f, o.in)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticket, held, err := t.allow(limited, &o)
	if err != nil {
		return t.Fail(o.name, err)
	}
	outcome, heldOutcome := breaker.Failure, breaker.Unknown
	defer func() {
		t.breaker.Report(ticket, outcome, err)
		if o.held != nil {
			o.held.Report(held, heldOutcome, err)
		}
	}()
	began := time.Now()
	err = guard.Call(func() error { return f(limited) })
	if o.again && wasCut(limited, err) && time.Since(began) < o.limit/2 {
		err = guard.Call(func() error { return f(limited) })
	}
	switch {
	case err == nil:
		outcome, heldOutcome = breaker.Success, breaker.Success
	case errors.Is(err, history.ErrWentBack): // it is up
		outcome = breaker.Success
	case errors.Is(err, drivers.ErrRefused), ctx.Err() != nil: // it is about the call, or the caller gave up
		outcome = breaker.Unknown
	case errors.Is(err, drivers.ErrAnswered):
		outcome, heldOutcome = breaker.Success, breaker.Failure
	case limited.Err() != nil && (o.limit < t.Timeout || limit < t.Timeout/2): // it had little time
		outcome = breaker.Unknown
	}
	told := event.Operation{Store: t.Emit.Store, Op: o.name, Keys: o.keys, Took: time.Since(began)}
	if err != nil {
		err = t.Fail(o.name, err)
		if told.Cancelled = ctx.Err() != nil; !told.Cancelled {
			told.Err = err
		}
	}
	emit.Event(t.Emit, t.Emit.Hooks().Operation, told)
	return err
}

// allow asks the breakers whether o may run. A trial of the tier is one of what is held
// back, too.
func (t *Tier) allow(ctx context.Context, o *operation) (ticket, held breaker.Ticket, err error) {
	allow := t.breaker.Allow
	if o.urgent {
		allow = func() (breaker.Ticket, bool) { return t.breaker.AllowUrgent(ctx) }
	}
	ticket, ok := allow()
	if !ok {
		return ticket, held, t.breaker.Refusal(ErrCircuitOpen)
	}
	if ticket.Trial() || o.held == nil {
		o.held = nil
		return ticket, held, nil
	}
	if held, ok = o.held.Allow(); !ok {
		return ticket, held, drivers.Answered(o.held.Refusal(errHeldBack))
	}
	return ticket, held, nil
}

// wasCut reports whether an operation has failed without an answer and before its time.
func wasCut(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !Refused(err) && !errors.Is(err, drivers.ErrClosed) && !errors.Is(err, guard.ErrPanic)
}

// Refused reports whether err says that the tier does not take what was to be written,
// rather than that it could not be reached.
func Refused(err error) bool {
	return errors.Is(err, drivers.ErrRefused) || errors.Is(err, drivers.ErrAnswered)
}

// get returns the values of keys, nil where there is none.
func (t *Tier) get(ctx context.Context, limit time.Duration, keys []string) (values [][]byte, err error) {
	return t.getBy(ctx, operation{limit: limit, held: &t.refused.reads}, keys)
}

// getToChange is get for an invalidation that has to know what is there.
func (t *Tier) getToChange(ctx context.Context, keys []string) (values [][]byte, err error) {
	return t.getBy(ctx, operation{limit: t.Timeout, urgent: true}, keys)
}

// getCounted is get that reads this process's counter, too, if counted, and if the driver does
// not tell whether the tier has gone back. It fails if it has.
func (t *Tier) getCounted(ctx context.Context, limit time.Duration, keys []string, counted bool, in *history.In) (values [][]byte, err error) {
	o := operation{limit: limit, held: &t.refused.reads, in: in}
	if t.Counter == nil || !counted || !t.History.Untold() {
		return t.getBy(ctx, o, keys)
	}
	look := t.Counter.Look()
	values, err = t.getBy(ctx, o, append(slices.Clip(keys), t.Counter.Key))
	if err != nil {
		return nil, err
	}
	if err := t.Counter.Saw(look, values[len(keys)]); err != nil {
		return nil, t.Fail("read", err)
	}
	return values[:len(keys)], nil
}

func (t *Tier) getBy(ctx context.Context, o operation, keys []string) (values [][]byte, err error) {
	if t.Driver == nil {
		return make([][]byte, len(keys)), nil
	}
	o.name, o.again = "read", true
	return each(ctx, t, &t.pace.reads, o, len(keys), nil, func(ctx context.Context, from, to int) ([][]byte, error) {
		return t.Driver.GetMany(ctx, keys[from:to])
	})
}

// each runs an operation on n keys, some at a time, and returns the results of those that it is
// sure of. size returns the bytes of a key's value, nil if they do not count.
func each[R any](ctx context.Context, t *Tier, p *pace.Pace, o operation, n int, size func(int) int, do func(ctx context.Context, from, to int) ([]R, error)) (all []R, err error) {
	err = p.Each(ctx, n, o.limit, size, func(from, to int) error {
		if from > 0 {
			budget.Answered(ctx)
		}
		o := o
		o.keys = to - from
		return t.run(ctx, o, func(ctx context.Context) error {
			some, err := do(ctx, from, to)
			if err := counted(err, len(some), to-from); err != nil {
				return err
			}
			if from == 0 {
				all = some
			} else {
				all = append(all, some...)
			}
			return nil
		})
	})
	return all, err
}

// Set stores items that callers have given. Those of a write that fails and may still take
// effect are in doubt from then on.
func (t *Tier) Set(ctx context.Context, items []drivers.Item) error {
	return t.set(ctx, operation{urgent: true}, items)
}

// Fill is Set for what was loaded: nothing has to be made up for if it fails.
func (t *Tier) Fill(ctx context.Context, items []drivers.Item) error {
	return t.set(ctx, operation{}, items)
}

// set is never carried out twice: in between, another process could have stored something
// newer.
func (t *Tier) set(ctx context.Context, o operation, items []drivers.Item) error {
	o.name, o.limit, o.held, o.blind = "write", t.Timeout, &t.refused.writes, true
	size := func(i int) int { return len(items[i].Key) + len(items[i].Value) }
	return t.pace.writes.Each(ctx, len(items), o.limit, size, func(from, to int) error {
		o, some := o, items[from:to]
		o.keys = len(some)
		t.written.NoteItems(some)
		err := t.run(ctx, o, func(ctx context.Context) error { return t.Driver.SetMany(ctx, some) })
		t.markInDoubt(some, err)
		return err
	})
}

// Delete removes keys.
func (t *Tier) Delete(ctx context.Context, keys []string) error {
	return t.pace.writes.Each(ctx, len(keys), t.Timeout, nil, func(from, to int) error {
		o := operation{name: "delete", keys: to - from, limit: t.Timeout, urgent: true, again: true, blind: true}
		t.written.NoteDeleted(keys[from:to])
		return t.run(ctx, o, func(ctx context.Context) error { return t.Driver.DeleteMany(ctx, keys[from:to]) })
	})
}

// Add stores new stamps where none are, and returns what is stored then. Each time that it
// is tried they are others: what was sent and seems lost may come late, and must not be valid
// again then. On a tier that cannot do both at once, the last of several processes wins, and
// what the others have stored meanwhile is loaded again.
func (t *Tier) Add(ctx context.Context, n int, in *history.In, stamps func() []drivers.Item) (stored [][]byte, err error) {
	o := operation{name: "add", keys: n, limit: t.Timeout, held: &t.refused.writes, again: true, in: in}
	err = t.run(ctx, o, func(ctx context.Context) (err error) {
		items := stamps()
		t.written.NoteItems(items)
		if t.adder != nil {
			stored, err = t.adder.AddMany(ctx, items)
			return counted(err, len(stored), len(items))
		}
		stored = make([][]byte, len(items))
		for i := range items {
			stored[i] = items[i].Value
		}
		return t.Driver.SetMany(ctx, items)
	})
	return stored, err
}

// canSwap reports whether the tier can compare and swap.
func (t *Tier) canSwap() bool { return t.swapper != nil }

// swap replaces values that are what the caller has read, to invalidate them. It is called
// if the tier can.
func (t *Tier) swap(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	return t.swapBy(ctx, operation{urgent: true}, swaps)
}

func (t *Tier) swapBy(ctx context.Context, o operation, swaps []drivers.Swap) (swapped []bool, err error) {
	o.name, o.keys, o.limit = "swap", len(swaps), t.Timeout
	t.written.NoteSwaps(swaps)
	err = t.run(ctx, o, func(ctx context.Context) (err error) {
		swapped, err = t.swapper.SwapMany(ctx, swaps)
		return counted(err, len(swapped), len(swaps))
	})
	return swapped, err
}

func counted(err error, got, wanted int) error {
	if err == nil && got != wanted {
		return fmt.Errorf("driver returned %d results for %d keys", got, wanted)
	}
	return err
}

// ReadChunk returns how many of n keys are to be read at a time; most, if not zero, is what the
// user allows.
func (t *Tier) ReadChunk(n, most int) int { return t.pace.reads.Of(n, most) }

// WriteChunk is ReadChunk for keys that are changed.
func (t *Tier) WriteChunk(n, most int) int { return t.pace.writes.Of(n, most) }
