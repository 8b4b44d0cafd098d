package runtime_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestFreshUntilTheEndOfTheTTLAndNotLonger(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute)))
		ctx := context.Background()
		src.value.Store(1)
		got, err := c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		src.value.Store(2)
		time.Sleep(time.Minute - time.Nanosecond)
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		wantLoads(t, &src, 1)
		time.Sleep(time.Nanosecond)
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 2)
		wantLoads(t, &src, 2)
	})
}

func TestForeverDoesNotEnd(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[string, int](t, newStore(t, in.tiers()))
		ctx := context.Background()
		if _, err := c.GetOrSetForever(ctx, "k", src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(in.years(20))
		if _, err := c.GetOrSet(ctx, "k", src.load); err != nil {
			t.Fatal(err)
		}
		wantLoads(t, &src, 1)
	})
}

// race R30: a copy from L2 to L1 keeps the deadlines it had.
func TestDeadlinesSurviveTheCopyBetweenTiers(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var src source
		var shared faketier.Shared
		ctx := context.Background()
		options := []runtime.StoreOption{runtime.L2(&shared), runtime.TTL(time.Minute), runtime.Grace(time.Minute), runtime.GraceBackoff(0)}
		a := newCache[int, int](t, newStore(t, append(options, memoryTier())...))
		b := newCache[int, int](t, newStore(t, append(options, memoryTier())...))
		src.value.Store(1)
		if _, err := a.GetOrSet(ctx, 7, src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		got, err := b.GetOrSet(ctx, 7, src.load) // copied with 10 s to go
		want(t, got, err, 1)
		wantLoads(t, &src, 1)
		time.Sleep(10 * time.Second)
		src.fail.Store(true)
		got, err = b.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1) // grace
		time.Sleep(59 * time.Second)
		got, err = b.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		synctest.Wait()
		time.Sleep(time.Second)
		if _, err = b.GetOrSet(ctx, 7, src.load); !errors.Is(err, errSource) {
			t.Fatalf("after the grace: %v, want the load's error", err)
		}
	})
}

// race R31: a load longer than the TTL still fills both tiers for a whole TTL.
func TestTTLCountsFromTheEndOfTheLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var src source
		var shared faketier.Shared
		ctx := context.Background()
		a := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Second)))
		b := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Second)))
		src.delay.Store(int64(3 * time.Second))
		for range 2 {
			if _, err := a.GetOrSet(ctx, 1, src.load); err != nil {
				t.Fatal(err)
			}
			if _, err := b.GetOrSet(ctx, 1, src.load); err != nil {
				t.Fatal(err)
			}
		}
		wantLoads(t, &src, 1)
	})
}

func TestStaleAtOnceAndRefreshedBehind(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour)))
		ctx := context.Background()
		src.value.Store(1)
		got, err := c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		time.Sleep(2 * time.Minute)
		src.value.Store(2)
		src.delay.Store(int64(10 * time.Second))
		start := time.Now()
		for range 5 {
			got, err = c.GetOrSet(ctx, 7, src.load)
			want(t, got, err, 1)
		}
		if took := time.Since(start); took != 0 {
			t.Fatalf("the stale value took %v, want at once", took)
		}
		time.Sleep(11 * time.Second)
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 2)
		wantLoads(t, &src, 2)
	})
}

func TestGetReturnsNoStaleValue(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour)))
		ctx := context.Background()
		if err := c.Set(ctx, 1, 5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if v, ok, err := c.Get(ctx, 1); ok || err != nil {
			t.Fatalf("got %v, %v, %v, want nothing", v, ok, err)
		}
	})
}

// race R9: the back-off counts from the failure, so it bites at the first one.
func TestGraceBackoffCountsFromTheFailure(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(),
			runtime.TTL(time.Second), runtime.Grace(24*time.Hour), runtime.GraceBackoff(10*time.Second)))
		ctx := context.Background()
		src.value.Store(1)
		got, err := c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		time.Sleep(time.Hour) // stale for much longer than the back-off
		src.fail.Store(true)
		for range 100 {
			got, err = c.GetOrSet(ctx, 7, src.load)
			want(t, got, err, 1)
			synctest.Wait()
		}
		wantLoads(t, &src, 2)
		time.Sleep(10 * time.Second)
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		synctest.Wait()
		wantLoads(t, &src, 3)
	})
}

// race R9, R30: grace does not grow by being used.
func TestGraceEndsAlthoughTheLoaderKeepsFailing(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(),
			runtime.TTL(time.Second), runtime.Grace(10*time.Second), runtime.GraceBackoff(time.Second)))
		ctx := context.Background()
		if _, err := c.GetOrSet(ctx, 7, src.load); err != nil {
			t.Fatal(err)
		}
		src.fail.Store(true)
		time.Sleep(time.Second)
		for range 10 {
			if _, err := c.GetOrSet(ctx, 7, src.load); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if _, err := c.GetOrSet(ctx, 7, src.load); !errors.Is(err, errSource) {
			t.Fatalf("after TTL and grace: %v, want the load's error", err)
		}
	})
}

func TestSoftTimeoutServesGraceAndLetsTheLoadFinish(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(),
			runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(200*time.Millisecond)))
		ctx := context.Background()
		src.value.Store(1)
		got, err := c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		time.Sleep(time.Minute)
		src.value.Store(2)
		src.delay.Store(int64(time.Second))
		start := time.Now()
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Fatalf("took %v, want the soft timeout", took)
		}
		time.Sleep(time.Second)
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 2)
		wantLoads(t, &src, 2)

		time.Sleep(time.Minute) // a load within the soft timeout is waited for
		src.value.Store(3)
		src.delay.Store(int64(100 * time.Millisecond))
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 3)
	})
}

func TestSoftTimeoutWithoutGraceWaits(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.Timeout(time.Millisecond)))
		src.value.Store(4)
		src.delay.Store(int64(time.Minute))
		got, err := c.GetOrSet(context.Background(), 7, src.load)
		want(t, got, err, 4)
	})
}

func TestHardTimeoutCancelsTheLoader(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.HardTimeout(time.Second)))
		cause := make(chan error, 1)
		start := time.Now()
		_, err := c.GetOrSet(context.Background(), 7, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return 0, ctx.Err()
		})
		if !errors.Is(err, runtime.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Fatalf("took %v, want the hard timeout", took)
		}
		if cause := <-cause; cause != runtime.ErrTimeout {
			t.Fatalf("the loader's context ended with %v, want ErrTimeout", cause)
		}
	})
}

func TestHardTimeoutServesGrace(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour),
			runtime.Timeout(900*time.Millisecond), runtime.HardTimeout(time.Second)))
		ctx := context.Background()
		src.value.Store(1)
		got, err := c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		time.Sleep(time.Minute)
		src.delay.Store(int64(time.Hour))
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		time.Sleep(time.Second) // the hard timeout has struck behind, and the back-off begun
		loads := src.loads.Load()
		got, err = c.GetOrSet(ctx, 7, src.load)
		want(t, got, err, 1)
		wantLoads(t, &src, loads)
	})
}

// race R7: five callers after a hard timeout do not run five overlapping loads.
func TestLoadsDoNotOverlapAfterAHardTimeout(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.HardTimeout(time.Second)))
		var running, most, loads atomic.Int64
		deaf := func(context.Context) (int, error) { // ignores its context
			loads.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(10 * time.Second)
			running.Add(-1)
			return 1, nil
		}
		for range 5 {
			if _, err := c.GetOrSet(context.Background(), 7, deaf); !errors.Is(err, runtime.ErrTimeout) {
				t.Fatalf("got %v, want ErrTimeout", err)
			}
		}
		if most.Load() != 1 || loads.Load() != 1 {
			t.Fatalf("%d loads, %d at a time, want 1 and 1", loads.Load(), most.Load())
		}
		time.Sleep(10 * time.Second)
		got, err := c.GetOrSet(context.Background(), 7, deaf) // what came late was worth keeping
		want(t, got, err, 1)
	})
}

// race R13: a hung loader does not hold its key for ever.
func TestAHungLoadGivesItsKeyBack(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.MaxLoadTime(time.Minute)))
		ctx := context.Background()
		hang := make(chan struct{})
		if _, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { <-hang; return 1, nil }); !errors.Is(err, runtime.ErrTimeout) {
			t.Fatalf("got %v, want ErrTimeout", err)
		}
		got, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
		close(hang)
		synctest.Wait()
		got, ok, err := c.Get(ctx, 7)
		if !ok {
			t.Fatal("the value is gone")
		}
		want(t, got, err, 2) // the late result was not stored
	})
}

func TestOptionsOfACallWin(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		s := newStore(t, in.tiers(), runtime.TTL(time.Hour))
		stores, err := runtime.NewStores(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := stores.SetDefaults(runtime.TTL(time.Minute), runtime.Grace(time.Hour)); err != nil {
			t.Fatal(err)
		}
		c, err := open(stores, definition[int, int]{Options: []runtime.Option{runtime.TTL(10 * time.Second)}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		fresh := func(key int) bool {
			_, ok, err := c.Get(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if _, err := c.GetOrSet(ctx, 1, src.load, runtime.TTL(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetOrSet(ctx, 2, src.load); err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetOrSet(ctx, 3, src.load, runtime.TTL(0)); err != nil {
			t.Fatal(err)
		}
		if fresh(3) {
			t.Error("TTL(0) stored the result")
		}
		time.Sleep(time.Second)
		if fresh(1) || !fresh(2) {
			t.Error("the call's TTL did not win over the directive's")
		}
		time.Sleep(9 * time.Second)
		if fresh(2) {
			t.Error("the directive's TTL did not win over the store's")
		}
		src.fail.Store(true) // Grace comes from Stores
		if _, err := c.GetOrSet(ctx, 2, src.load); err != nil {
			t.Errorf("grace of Stores: %v", err)
		}
	})
}

// A result that takes longer to store than it is fresh is not for those who come
// in the meantime.
func TestNobodyJoinsALoadWhoseResultIsOverWhileItIsStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "set" {
				time.Sleep(10 * time.Second)
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.L2Timeout(time.Minute), runtime.TTL(time.Second)))
		var src source
		go c.GetOrSet(context.Background(), 7, src.load)
		time.Sleep(5 * time.Second)
		src.value.Store(1)
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 1)
	})
}
