package simulation

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// faults are what goes wrong with the tier and the bus. Numbers without a unit are how
// often, in a thousand operations.
type faults struct {
	tierLatency time.Duration // of each way, at most
	errors      int           // before or after the operation has taken effect
	timeouts    int           // an operation does not return before its context ends
	split       bool          // an operation on many keys takes effect in two parts
	evictions   int           // in each 10 ms at most
	duplicates  int           // messages that come twice
}

// tierTimeout is the L2Timeout of the stores.
const tierTimeout = 25 * time.Millisecond

var errConnectionLost = errors.New("the connection to the shared tier was lost")

// A tierConn is one process's connection to the shared tier. It delays and fails
// operations, and records which versions were read and written.
type tierConn struct {
	shared  *faketier.Shared
	process int
	history *history.History
	rand    *lockedRand
	faults  faults
	healed  func() bool // nothing fails any more
	// lateWrites lets a write that timed out take effect later. Only the process itself
	// can make up for that, so nothing of it is promised to others.
	lateWrites bool
}

var (
	_ drivers.Adder   = (*tierConn)(nil)
	_ drivers.Swapper = (*tierConn)(nil)
)

// travel waits up to the latency, but not longer than ctx.
func (t *tierConn) travel(ctx context.Context) error {
	timer := time.NewTimer(t.rand.upTo(t.faults.tierLatency))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do carries out an operation on n keys: from each key to before another.
func (t *tierConn) do(ctx context.Context, n int, operate func(from, to int) error) error {
	faulty := !t.healed()
	if err := t.travel(ctx); err != nil {
		return err
	}
	if faulty && t.rand.happens(t.faults.errors) {
		return errConnectionLost
	}
	if faulty && t.rand.happens(t.faults.timeouts) {
		<-ctx.Done()
		return ctx.Err()
	}
	middle := n
	if t.faults.split && n > 1 {
		middle = 1 + int(t.rand.below(int64(n-1)))
	}
	for _, part := range [][2]int{{0, middle}, {middle, n}} {
		if part[0] == part[1] {
			continue
		}
		if err := operate(part[0], part[1]); err != nil {
			return err
		}
		if err := t.travel(ctx); err != nil {
			return err
		}
	}
	if faulty && t.rand.happens(t.faults.errors) {
		return errConnectionLost
	}
	return nil
}

// GetMany implements drivers.L2.
func (t *tierConn) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	var values [][]byte
	err := t.do(ctx, len(keys), func(from, to int) error {
		part, err := t.shared.GetMany(ctx, keys[from:to])
		for i, b := range part {
			if moved, ok := t.transferOf(keys[from+i], b); ok {
				t.history.TierRead(moved)
			}
		}
		values = append(values, part...)
		return err
	})
	if err != nil {
		t.history.TierReadFailed(t.process)
		return nil, err
	}
	return values, nil
}

// SetMany implements drivers.L2.
func (t *tierConn) SetMany(ctx context.Context, items []drivers.Item) error {
	if t.lateWrites && !t.healed() && t.rand.happens(t.faults.timeouts) {
		<-ctx.Done()
		go func() {
			time.Sleep(t.rand.upTo(tierTimeout))
			_ = t.shared.SetMany(context.Background(), items)
		}()
		return ctx.Err()
	}
	return t.do(ctx, len(items), func(from, to int) error {
		for _, it := range items[from:to] {
			if moved, ok := t.transferOf(it.Key, it.Value); ok {
				t.history.TierWrite(moved)
			}
		}
		return t.shared.SetMany(ctx, items[from:to])
	})
}

// AddMany implements drivers.Adder.
func (t *tierConn) AddMany(ctx context.Context, items []drivers.Item) (values [][]byte, err error) {
	err = t.do(ctx, len(items), func(from, to int) error {
		part, err := t.shared.AddMany(ctx, items[from:to])
		values = append(values, part...)
		return err
	})
	return values, err
}

// SwapMany implements drivers.Swapper.
func (t *tierConn) SwapMany(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	err = t.do(ctx, len(swaps), func(from, to int) error {
		part, err := t.shared.SwapMany(ctx, swaps[from:to])
		swapped = append(swapped, part...)
		return err
	})
	return swapped, err
}

// DeleteMany implements drivers.L2.
func (t *tierConn) DeleteMany(ctx context.Context, keys []string) error {
	return t.do(ctx, len(keys), func(from, to int) error { return t.shared.DeleteMany(ctx, keys[from:to]) })
}

// Close implements drivers.L2. Other processes go on to use the tier.
func (t *tierConn) Close() error { return nil }

// transferOf returns what the bytes of a key tell of the row in them. ok is false for what
// is no entry of a row, such as a stamp.
func (t *tierConn) transferOf(key string, data []byte) (moved history.Transfer, ok bool) {
	if data == nil || strings.HasPrefix(key, "!") {
		return moved, false
	}
	row, err := strconv.Atoi(key[strings.LastIndexByte(key, ':')+1:])
	if err != nil {
		return moved, false
	}
	head, value, err := entry.Parse(data)
	if err != nil {
		return moved, false
	}
	moved = history.Transfer{Process: t.process, Row: row, LoadedAt: t.history.At(time.Unix(0, head.LoadStarted))}
	if head.Presence() == entry.Present {
		var v tableRow
		if err := runtime.MsgPack().Unmarshal(value, &v); err != nil {
			return moved, false
		}
		moved.Version = v.Version
	}
	return moved, true
}
