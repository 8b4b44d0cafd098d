package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// slowly makes each key of an operation take a time, as a disk does or a network with large
// values, and observes the limits of operations.
func slowly(shared *faketier.Shared, each time.Duration) {
	shared.SetBefore(func(ctx context.Context, _ string, keys []string) error {
		select {
		case <-time.After(time.Duration(len(keys)) * each):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func loadNumbers(_ context.Context, missing []int) (map[int]int, error) {
	m := make(map[int]int, len(missing))
	for _, k := range missing {
		m[k] = k
	}
	return m, nil
}

// A call of many keys is many operations, each with its own time: no call is so large that the
// tier counts as away, and nobody waits for all of it.
func TestALargeCallIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		slowly(&shared, time.Millisecond) // 1,000 keys take the limit of one operation
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)), runtime.TTL(time.Hour))
		other := newCache[string, int](t, c.Store().Namespace("other"), runtime.TTL(time.Hour))
		ctx, keys := t.Context(), numbers(20_000)
		if err := other.Set(ctx, "k", 1); err != nil {
			t.Fatal(err)
		}
		ended := make(chan bool)
		var bystanders sync.WaitGroup
		bystanders.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(100 * time.Millisecond):
				}
				began := time.Now()
				if v, err := other.GetOrSet(ctx, "k", func(context.Context) (int, error) { return 0, nil }); err != nil || v != 1 || time.Since(began) > 100*time.Millisecond {
					t.Errorf("a bystander gets %d, %v after %v", v, err, time.Since(began))
				}
			}
		})
		must := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := c.GetOrSetMany(ctx, keys, loadNumbers)
		must("load", err)
		must("delete", c.DeleteMany(ctx, keys...))
		_, err = c.GetOrSetMany(ctx, keys, loadNumbers)
		must("load again", err)
		m, err := c.GetMany(ctx, keys)
		must("read", errors.Join(err, wantLen(m, len(keys))))
		close(ended)
		bystanders.Wait()
	})
}

func wantLen[K comparable, V any](m map[K]V, n int) error {
	if len(m) != n {
		return fmt.Errorf("%d values, want %d", len(m), n)
	}
	return nil
}

// What one chunk has done is known although the next one fails: only the rest is pending, and
// it is not tried, so that nobody waits again and again.
func TestAFailureInTheMiddleOfALargeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mayTell(t, "shared tier", "breaker", "pending", "bus")
		var shared faketier.Shared
		var mu sync.Mutex // the outbox has a goroutine
		pendingAfter, pendingNow, down, done := -1, 0, false, 0
		s := newStore(t, runtime.L2(&shared), runtime.Hooks(event.Hooks{Pending: func(e event.Pending) {
			mu.Lock()
			defer mu.Unlock()
			pendingNow = e.Pending
			if pendingAfter < 0 && e.Err != nil {
				pendingAfter = e.Pending
			}
		}}))
		errDisk := errors.New("disk")
		shared.SetBefore(func(_ context.Context, op string, names []string) error {
			mu.Lock()
			defer mu.Unlock()
			if op == "delete" && down && done > 0 {
				return errDisk
			}
			return nil
		})
		shared.SetAfter(func(op string, names []string) {
			mu.Lock()
			defer mu.Unlock()
			if op == "delete" {
				done += len(names)
			}
		})
		c := newCache[int, int](t, s, runtime.TTL(time.Hour))
		ctx, keys := t.Context(), numbers(5_000)
		if _, err := c.GetOrSetMany(ctx, keys, loadNumbers); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		down = true
		mu.Unlock()
		err := c.DeleteMany(ctx, keys...)
		var failed *runtime.InvalidationError
		if !errors.As(err, &failed) || !errors.Is(err, errDisk) {
			t.Errorf("delete: %v", err)
		}
		mu.Lock()
		if done == 0 || pendingAfter != len(keys)-done {
			t.Errorf("%d were deleted, and %d are pending", done, pendingAfter)
		}
		down = false
		mu.Unlock()
		for range 60 {
			time.Sleep(time.Second)
		}
		m, err := c.GetMany(ctx, keys)
		mu.Lock()
		defer mu.Unlock()
		if pendingNow > 0 {
			t.Errorf("%d are pending", pendingNow)
		}
		if err != nil || len(m) != 0 || done != len(keys) {
			t.Errorf("%d values are left, %v, and %d deletions were made", len(m), err, done)
		}
	})
}

// A caller who gives up does not wait for the rest of a large call. It is carried out all the
// same.
func TestALargeInvalidationEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mayTell(t, "pending", "left to be tried later")
		var shared faketier.Shared
		slowly(&shared, time.Millisecond)
		s := newStore(t, runtime.L2(&shared))
		c := newCache[int, int](t, s, runtime.TTL(time.Hour))
		keys := numbers(20_000)
		if _, err := c.GetOrSetMany(t.Context(), keys, loadNumbers); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := c.DeleteMany(ctx, keys...); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if m, err := c.GetMany(t.Context(), keys[19_000:]); err != nil || len(m) != 0 {
			t.Errorf("%d of the rest can be read, %v", len(m), err)
		}
		time.Sleep(time.Minute)
		for key := range shared.Keys() {
			if key[0] != '!' && key[0] != '@' {
				t.Fatalf("%q is still there", key)
			}
		}
	})
}
