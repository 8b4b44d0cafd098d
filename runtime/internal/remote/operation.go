package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

// run runs an operation on n keys, for at most limit. Without a driver it does nothing.
func (t *Tier) run(ctx context.Context, op string, n int, limit time.Duration, f func(context.Context) error) (err error) {
	if t.Driver == nil {
		return nil
	}
	ticket, ok := t.breaker.Allow()
	if !ok {
		return t.Fail(op, t.openError())
	}
	outcome := breaker.Failure
	defer func() { t.breaker.Report(ticket, outcome, err) }()
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = guard.Call(func() error { return f(limited) })
	switch {
	case err == nil:
		outcome = breaker.Success
	case ctx.Err() != nil, errors.Is(err, drivers.ErrRefused), limit < t.Timeout && limited.Err() != nil:
		outcome = breaker.Unknown // the caller gave up, or the tier has answered
	}
	if err != nil {
		err = t.Fail(op, err)
	}
	emit.Event(t.Emit, t.Emit.Hooks().Operation, event.Operation{Store: t.Emit.Store, Op: op, Keys: n, Took: time.Since(began), Err: err})
	return err
}

// get returns the values of keys, nil where there is none.
func (t *Tier) get(ctx context.Context, limit time.Duration, keys []string) (values [][]byte, err error) {
	if t.Driver == nil {
		return make([][]byte, len(keys)), nil
	}
	err = t.run(ctx, "read", len(keys), limit, func(ctx context.Context) (err error) {
		values, err = t.Driver.GetMany(ctx, keys)
		return counted(err, len(values), len(keys))
	})
	return values, err
}

// Set stores items. Those of a write that fails and may still take effect are in doubt
// from then on.
func (t *Tier) Set(ctx context.Context, items []drivers.Item) error {
	err := t.run(ctx, "write", len(items), t.Timeout, func(ctx context.Context) error {
		return t.Driver.SetMany(ctx, items)
	})
	t.markInDoubt(items, err)
	return err
}

// Delete removes keys.
func (t *Tier) Delete(ctx context.Context, keys []string) error {
	return t.run(ctx, "delete", len(keys), t.Timeout, func(ctx context.Context) error {
		return t.Driver.DeleteMany(ctx, keys)
	})
}

// add stores what is absent and returns what is stored then. On a tier that cannot do
// both at once, the last of several processes wins, and what the others have stored
// meanwhile is loaded again.
func (t *Tier) add(ctx context.Context, items []drivers.Item) (stored [][]byte, err error) {
	err = t.run(ctx, "add", len(items), t.Timeout, func(ctx context.Context) (err error) {
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

// swap replaces values that are what the caller has read. It is called if the tier can.
func (t *Tier) swap(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	err = t.run(ctx, "swap", len(swaps), t.Timeout, func(ctx context.Context) (err error) {
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
