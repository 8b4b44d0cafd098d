package runtime_test

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestManyCallersOfAColdKeyShareOneLoad(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		src.value.Store(9)
		src.delay.Store(int64(time.Second))
		c := newCache[int, int](t, newStore(t, in.tiers()))
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got, err := c.GetOrSet(t.Context(), 7, src.load); err != nil || got != 9 {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		wg.Wait()
		wantLoads(t, &src, 1)
	})
}

// race R10: handles made anew for every call share their flights.
func TestFreshHandlesOfANamespaceShareOneLoad(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		src.delay.Store(int64(time.Second))
		s := newStore(t, in.tiers())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				c, err := runtime.NewCache[string, int](s.Namespace("users"), "values")
				if err != nil {
					t.Error(err)
				}
				if _, err := c.GetOrSet(t.Context(), "k", src.load); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantLoads(t, &src, 1)
	})
}

// race R8, R16: callers of a failing load share its error and do not queue up.
func TestWaitersShareTheError(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		src.fail.Store(true)
		src.delay.Store(int64(time.Second))
		c := newCache[int, int](t, newStore(t, in.tiers()))
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := c.GetOrSet(t.Context(), 7, src.load); !errors.Is(err, errSource) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		wantLoads(t, &src, 1)
		if took := time.Since(start); took != time.Second {
			t.Fatalf("took %v, want one load's time", took)
		}
	})
}

// race R11: a cancelled leader does not fail its followers.
func TestFollowersSurviveACancelledLeader(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		src.value.Store(3)
		src.delay.Store(int64(time.Second))
		c := newCache[int, int](t, newStore(t, in.tiers()))
		leader, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.GetOrSet(leader, 7, src.load); !errors.Is(err, context.Canceled) {
				t.Errorf("leader got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got, err := c.GetOrSet(t.Context(), 7, src.load); err != nil || got != 3 {
				t.Errorf("follower got %v, %v", got, err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		wantLoads(t, &src, 1)
	})
}

// race R11: the last waiter's leaving cancels the load, and the next caller's load
// does not overlap with it.
func TestTheLastWaiterToLeaveCancelsTheLoad(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		ended := make(chan error, 1)
		var running atomic.Int64
		slow := func(ctx context.Context) (int, error) {
			if running.Add(1) > 1 {
				t.Error("loads overlap")
			}
			defer running.Add(-1)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			time.Sleep(time.Second) // winding down
			return 0, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.GetOrSet(ctx, 7, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) {
			if running.Load() != 0 {
				t.Error("loads overlap")
			}
			return 5, nil
		})
		want(t, got, err, 5)
		if cause := <-ended; cause == nil || cause == context.Canceled {
			t.Errorf("the load's context ended with %v, want a cause that says why", cause)
		}
	})
}

type traceKey struct{}

func TestTheLoaderSeesTheLeadersValues(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, string](t, newStore(t, in.tiers()))
		ctx := context.WithValue(t.Context(), traceKey{}, "trace-1")
		got, err := c.GetOrSet(ctx, 7, func(ctx context.Context) (string, error) { return ctx.Value(traceKey{}).(string), nil })
		want(t, got, err, "trace-1")
	})
}

// race R15: a panic is the leader's panic and the followers' error, and frees the key.
func TestPanicInTheLoader(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		boom := func(context.Context) (int, error) {
			time.Sleep(time.Second)
			panic("boom")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				p, ok := recover().(*runtime.PanicError)
				if !ok || p.Value != "boom" || !strings.Contains(string(p.Stack), "TestPanicInTheLoader") {
					t.Errorf("leader panicked with %v", p)
				}
			}()
			c.GetOrSet(t.Context(), 7, boom)
			t.Error("leader did not panic")
		})
		synctest.Wait()
		wg.Go(func() {
			var p *runtime.PanicError
			if _, err := c.GetOrSet(t.Context(), 7, boom); !errors.As(err, &p) {
				t.Errorf("follower got %v", err)
			}
		})
		wg.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, got, err, 1)
	})
}

// race R15: the same for runtime.Goexit.
func TestGoexitInTheLoader(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		_, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { goruntime.Goexit(); return 0, nil })
		if !errors.Is(err, runtime.ErrGoexit) {
			t.Fatalf("got %v", err)
		}
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, got, err, 1)
	})
}

func TestPanicBehindAGraceValueIsAFailedLoad(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Hour)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { panic("boom") })
		want(t, got, err, 1)
	})
}

func TestForceFreshLoadsAlthoughThereIsAValue(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers()))
		src.value.Store(1)
		if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
			t.Fatal(err)
		}
		src.value.Store(2)
		got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.ForceFresh())
		want(t, got, err, 2)
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
		wantLoads(t, &src, 2)
	})
}

// One function has half of the places, and another one half of what is left.
func TestBackgroundLoadsAreBounded(t *testing.T) {
	mayTell(t, "not loaded in the background")
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Hour))
		const keys = 2 * runtime.DefaultMaxBackground
		release := make(chan struct{})
		for i, wanted := range []int64{runtime.DefaultMaxBackground / 2, runtime.DefaultMaxBackground / 4} {
			c := newCacheNamed[int, int](t, s, fmt.Sprint(i))
			for k := range keys {
				if err := c.Set(t.Context(), k, k); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second)
			var running atomic.Int64
			for k := range keys {
				got, err := c.GetOrSet(t.Context(), k, func(context.Context) (int, error) { running.Add(1); <-release; return k, nil })
				want(t, got, err, k)
			}
			synctest.Wait()
			if n := running.Load(); n != wanted {
				t.Errorf("%d loads at a time in the background, want %d", n, wanted)
			}
		}
		close(release)
	})
}

// race R39: Close waits for loads and lets them store what they loaded.
func TestCloseDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s, err := runtime.NewStore("s", memoryTier(), runtime.L2(&shared), runtime.TTL(time.Second), runtime.Grace(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[string, int](t, s)
		if err := c.Set(t.Context(), "k", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got, err := c.GetOrSet(t.Context(), "k", func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil })
		want(t, got, err, 1)
		synctest.Wait()
		fills := shared.Calls("fill")
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if shared.Calls("fill") != fills+1 {
			t.Error("the load under way was not stored")
		}
		if _, err := c.GetOrSet(t.Context(), "k", func(context.Context) (int, error) { return 3, nil }); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("GetOrSet after Close: %v, want ErrClosed", err)
		}
		if err := c.Delete(t.Context(), "k"); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("Delete after Close: %v, want ErrClosed", err)
		}
	})
}

// race R39: Close ends at its deadline, cancels what runs, and says so.
func TestCloseReportsWhatItCutShort(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s, err := runtime.NewStore("s", in.tiers(), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[string, int](t, s)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.GetOrSet(t.Context(), "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }); !errors.Is(err, runtime.ErrClosed) {
				t.Errorf("caller got %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v, want the deadline", err)
		}
		wg.Wait()
	})
}

// What a loader says of another cache's shared tier is its error as any other, which
// those who wait share.
func TestWaitersShareTheErrorOfALoaderWhoseOwnCacheIsDown(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		inner := newCache[int, int](t, newStore(t, runtime.L2(&shared)), runtime.SuppressL2Errors(false))
		outer := newCache[int, int](t, newNamed(t, "outer", memoryTier()))
		shared.Down(errDown)
		var src source
		load := func(ctx context.Context) (int, error) {
			src.loads.Add(1)
			time.Sleep(time.Second)
			return inner.GetOrSet(ctx, 1, src.load)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := outer.GetOrSet(t.Context(), 7, load); !errors.Is(err, errDown) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		wantLoads(t, &src, 1)
	})
}

// Who waits for a load that was given up to end, before another begins, need not after an
// invalidation: another may begin then.
func TestAnInvalidationFreesThoseWhoWaitForRelease(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		c := newCache[int, int](t, s)
		release := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go c.GetOrSet(ctx, 7, func(context.Context) (int, error) { <-release; return 1, nil })
		synctest.Wait()
		cancel()
		synctest.Wait() // the load is given up, and does not return
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			_ = c.Delete(context.Background(), 7)
		}()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		close(release)
		want(t, got, err, 2)
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Nor need he when a load that went past has brought the value.
func TestALoadThatWentPastFreesThoseWhoWaitForRelease(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		release := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go c.GetOrSet(ctx, 7, func(context.Context) (int, error) { <-release; return 1, nil })
		synctest.Wait()
		cancel()
		synctest.Wait() // the load is given up, and does not return
		began := time.Now()
		load := func(context.Context) (int, error) { return 2, nil }
		go c.GetOrSet(context.Background(), 7, load, runtime.LockTimeout(time.Second))
		got, err := c.GetOrSet(t.Context(), 7, load)
		close(release)
		want(t, got, err, 2)
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}
