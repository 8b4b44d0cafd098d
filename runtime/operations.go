package runtime

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
)

// The operations on the shared tier: each with its time limit, behind the breaker,
// and told to the hooks.

// breakAfter is how many operations in a row have to fail for the breaker to open.
const breakAfter = 3

// operate runs an operation on n keys, for at most limit. Its error is an [L2Error].
func (s *Store) operate(ctx context.Context, op string, n int, limit time.Duration, f func(context.Context) error) (err error) {
	ticket, ok := s.breaker.Allow()
	if !ok {
		return &L2Error{s.name, op, ErrL2Paused}
	}
	outcome := breaker.Failure
	defer func() { s.breaker.Report(ticket, outcome) }()
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = unpanicked(func() error { return f(limited) })
	switch {
	case err == nil:
		outcome = breaker.Success
	case ctx.Err() != nil, errors.Is(err, drivers.ErrRefused), limit < s.l2Timeout && limited.Err() != nil:
		// The caller's affair, and no sign of trouble.
		outcome = breaker.Unknown
	}
	if err != nil {
		err = &L2Error{s.name, op, err}
	}
	emit(s, s.hooks.Load().L2, L2Event{Store: s.name, Op: op, Keys: n, Took: time.Since(began), Err: err})
	return err
}

// unpanicked calls a driver. That it panics is its failure, and nobody else's.
func unpanicked(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("driver panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}

func (s *Store) breakerChanged(state breaker.State) {
	name := "closed"
	switch state {
	case breaker.Open:
		name = "open"
	case breaker.HalfOpen:
		name = "half-open"
	case breaker.Closed:
		s.retries.hurry()
	}
	emit(s, s.hooks.Load().Breaker, BreakerEvent{s.name, name})
}

func (s *Store) getMany(ctx context.Context, keys []string) ([][]byte, error) {
	return s.getManyWithin(ctx, s.l2Timeout, keys)
}

func (s *Store) getManyWithin(ctx context.Context, limit time.Duration, keys []string) (values [][]byte, err error) {
	err = s.operate(ctx, "read", len(keys), limit, func(ctx context.Context) (err error) {
		values, err = s.l2.GetMany(ctx, keys)
		return counted(err, len(values), len(keys))
	})
	return values, err
}

func (s *Store) setMany(ctx context.Context, items []drivers.Item) error {
	err := s.operate(ctx, "write", len(items), s.l2Timeout, func(ctx context.Context) error {
		return s.l2.SetMany(ctx, items)
	})
	s.doubt(items, err)
	return err
}

func (s *Store) deleteMany(ctx context.Context, keys []string) error {
	return s.operate(ctx, "delete", len(keys), s.l2Timeout, func(ctx context.Context) error {
		return s.l2.DeleteMany(ctx, keys)
	})
}

// addMany stores what is absent and returns what is stored then. On a tier that
// cannot do both at once, the last of several processes wins, and what the others
// stored meanwhile is loaded again.
func (s *Store) addMany(ctx context.Context, items []drivers.Item) (stored [][]byte, err error) {
	err = s.operate(ctx, "add", len(items), s.l2Timeout, func(ctx context.Context) (err error) {
		if a, ok := drivers.AdderOf(s.l2); ok {
			stored, err = a.AddMany(ctx, items)
			return counted(err, len(stored), len(items))
		}
		stored = make([][]byte, len(items))
		for i := range items {
			stored[i] = items[i].Value
		}
		return s.l2.SetMany(ctx, items)
	})
	return stored, err
}

// swaps reports whether the shared tier can compare and swap.
func (s *Store) swaps() bool {
	_, ok := drivers.SwapperOf(s.l2)
	return ok
}

func (s *Store) swapMany(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	err = s.operate(ctx, "swap", len(swaps), s.l2Timeout, func(ctx context.Context) (err error) {
		swapper, ok := drivers.SwapperOf(s.l2)
		if !ok {
			return errors.ErrUnsupported // nobody swaps without having asked
		}
		swapped, err = swapper.SwapMany(ctx, swaps)
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
