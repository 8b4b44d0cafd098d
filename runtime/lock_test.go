package runtime_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/flight"
)

// A queue is a source whose loads end one by one, when the test says so.
type queue struct {
	mu    sync.Mutex
	loads []chan int
	deaf  bool // loads do not react to their cancellation
}

func (s *queue) load(ctx context.Context) (int, error) {
	s.mu.Lock()
	end := make(chan int, 1)
	s.loads = append(s.loads, end)
	done := ctx.Done()
	if s.deaf {
		done = nil
	}
	s.mu.Unlock()
	select {
	case v := <-end:
		if v < 0 {
			return 0, errSource
		}
		return v, nil
	case <-done:
		return 0, ctx.Err()
	}
}

func (s *queue) running() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.loads)
}

// end ends load n with v, or fails it if v is negative.
func (s *queue) end(n, v int) {
	s.mu.Lock()
	s.loads[n] <- v
	s.mu.Unlock()
	synctest.Wait()
}

// A caller is a GetOrSet under way.
type caller struct {
	got  int
	err  error
	done atomic.Bool
}

func (c *caller) wants(t *testing.T, got int) {
	t.Helper()
	synctest.Wait()
	if !c.done.Load() {
		t.Fatal("still waits")
	}
	want(t, c.got, c.err, got)
}

func begin(ctx context.Context, c *runtime.Cache[int, int], s *queue, o ...runtime.CallOption) *caller {
	var call caller
	go func() {
		call.got, call.err = c.GetOrSet(ctx, 7, s.load, o...)
		call.done.Store(true)
	}()
	synctest.Wait()
	return &call
}

func TestCallersOfALoadThatTakesTooLongShareAnother(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src queue
				c := newCache[int, int](t, newStore(t, options()...), runtime.LockTimeout(time.Second))
				first := begin(t.Context(), c, &src)
				var others []*caller
				for range 10 {
					others = append(others, begin(t.Context(), c, &src))
				}
				time.Sleep(time.Second - time.Nanosecond)
				if n := src.running(); n != 1 {
					t.Fatalf("%d loads, want one", n)
				}
				time.Sleep(time.Nanosecond)
				if n := src.running(); n != 2 {
					t.Fatalf("%d loads, want another one", n)
				}
				src.end(1, 2)
				for _, o := range others {
					o.wants(t, 2)
				}
				if first.done.Load() {
					t.Error("the first caller does not wait for its own load")
				}
				src.end(0, 1) // older than what is stored
				first.wants(t, 1)
				begin(t.Context(), c, &src).wants(t, 2)
			})
		})
	}
}

func TestTheFirstOfLoadsBesideEachOtherIsStored(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src queue
				c := newCache[int, int](t, newStore(t, options()...), runtime.LockTimeout(time.Second))
				first := begin(t.Context(), c, &src)
				second := begin(t.Context(), c, &src)
				time.Sleep(time.Second)
				src.running()
				src.end(0, 1)
				first.wants(t, 1)
				begin(t.Context(), c, &src).wants(t, 1)
				src.end(1, 2)
				second.wants(t, 2)
				begin(t.Context(), c, &src).wants(t, 1)
				if n := src.running(); n != 2 {
					t.Errorf("%d loads, want two", n)
				}
			})
		})
	}
}

// One of the two fails: the other one's result is as good as if it had been alone.
func TestALoadBesideOneThatFailsIsStored(t *testing.T) {
	for failing := range 2 {
		for setup, options := range setups {
			t.Run(setup, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var src queue
					c := newCache[int, int](t, newStore(t, options()...), runtime.LockTimeout(time.Second))
					begin(t.Context(), c, &src)
					begin(t.Context(), c, &src)
					time.Sleep(time.Second)
					src.running()
					src.end(failing, -1)
					later := begin(t.Context(), c, &src) // shares the one that is left
					src.end(1-failing, 5)
					later.wants(t, 5)
					begin(t.Context(), c, &src).wants(t, 5)
					if n := src.running(); n != 2 {
						t.Errorf("%d loads, want two", n)
					}
				})
			})
		}
	}
}

func TestAnInvalidationBeatsLoadsBesideEachOther(t *testing.T) {
	everyChange(t, true, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		for last := range 2 {
			var src queue
			o := runtime.LockTimeout(time.Second)
			first := begin(t.Context(), c, &src, o)
			second := begin(t.Context(), c, &src, o)
			time.Sleep(time.Second)
			if n := src.running(); n != 2 {
				t.Fatalf("%d loads, want two", n)
			}
			if err := change(); err != nil {
				t.Fatal(err)
			}
			src.end(1-last, 1)
			src.end(last, 1)
			first.wants(t, 1)
			second.wants(t, 1)
			if _, ok, _ := c.Get(t.Context(), 7); ok {
				t.Error("what was loaded before the invalidation is kept")
			}
		}
	})
}

// Each who waits too long goes past the last one that began: one more load each time, as
// long as there are few.
func TestLoadsThatHangAreGonePastOneByOne(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src queue
		ctx, cancel := context.WithCancel(t.Context())
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.LockTimeout(time.Second))
		var callers []*caller
		for i := range 2 * flight.MaxLoads {
			for range 10 {
				callers = append(callers, begin(ctx, c, &src))
			}
			if n := src.running(); n != min(i+1, flight.MaxLoads) {
				t.Fatalf("%d loads after %d s", n, i)
			}
			time.Sleep(time.Second)
		}
		cancel()
		synctest.Wait()
		for _, call := range callers {
			if !call.done.Load() || !errors.Is(call.err, context.Canceled) {
				t.Fatalf("a caller got %v", call.err)
			}
		}
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, got, err, 1)
	})
}

// The lock timeout is not waited for once for each load that hangs.
func TestTheLockTimeoutBehindManyLoadsThatHang(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src queue
		ctx, cancel := context.WithCancel(t.Context())
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.LockTimeout(time.Second))
		for range flight.MaxLoads - 1 {
			begin(ctx, c, &src)
		}
		time.Sleep(20 * time.Second)
		if n := src.running(); n != flight.MaxLoads-1 {
			t.Fatalf("%d loads, want one for each caller", n)
		}
		start := time.Now()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, got, err, 1)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the lock timeout", took)
		}
		cancel()
		synctest.Wait()
	})
}

func TestTheLockTimeoutServesAGraceValue(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src queue
		c := newCache[int, int](t, newStore(t, in.tiers()),
			runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.Timeout(time.Minute), runtime.LockTimeout(time.Second))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		first := begin(t.Context(), c, &src)
		second := begin(t.Context(), c, &src)
		time.Sleep(time.Second)
		second.wants(t, 1)
		if n := src.running(); n != 1 || first.done.Load() {
			t.Errorf("%d loads, want the first caller's, which waits for it", n)
		}
		src.end(0, 2)
		first.wants(t, 2)
		begin(t.Context(), c, &src).wants(t, 2)
	})
}

// A load that was given up but does not return is another caller's load too.
func TestTheLockTimeoutGoesPastALoadThatWasGivenUp(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.LockTimeout(time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		go c.GetOrSet(ctx, 7, func(context.Context) (int, error) { <-release; return 1, nil })
		synctest.Wait()
		cancel()
		synctest.Wait()
		start := time.Now()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the lock timeout", took)
		}
		close(release)
		synctest.Wait()
		got, err = c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 3, nil })
		want(t, got, err, 2)
	})
}
