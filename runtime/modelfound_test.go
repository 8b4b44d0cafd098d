package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// What the model of the runtime has found, reduced.

func taggedByResult() definition[int, int] {
	return definition[int, int]{Name: "n", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"t"} }}
}

// The result of a load that was invalidated on its way is due for a refresh when it
// arrives. Those who join the refresh must not be offered it.
func TestARefreshOffersNothingThatWasInvalidated(t *testing.T) {
	for name, change := range map[string]func(context.Context, *runtime.Cache[int, int]) error{
		"Delete":      func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Delete(ctx, 7) },
		"DeleteByTag": func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Store().DeleteByTag(ctx, "t") },
		"Clear":       func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Clear(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var slow atomic.Bool
				shared.Before = func(_ context.Context, op string, keys []string) error {
					if op == "get" && slices.Contains(keys, "!d:t:t") && slow.CompareAndSwap(true, false) {
						time.Sleep(2 * time.Second)
					}
					return nil
				}
				c := openIn(t, taggedByResult(), memoryTier(), runtime.L2(&shared), runtime.L2Timeout(10*time.Second), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Second))
				var src source
				src.value.Store(1)
				slow.Store(true)
				go c.GetOrSet(t.Context(), 7, src.load)
				synctest.Wait() // the load has ended, and its tag's stamp is being read
				src.value.Store(2)
				if err := change(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				src.delay.Store(int64(time.Minute))
				time.Sleep(3 * time.Second) // the result has arrived and is being refreshed
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 2)
			})
		})
	}
}

// A stale value that stands in for a caller's load must not stand in for those who
// join that load after the value was deleted.
func TestWhatWasDeletedStandsInForNobodyWhoCameLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var slow atomic.Bool
		shared.Before = func(_ context.Context, op string, keys []string) error {
			if op == "get" && slices.Contains(keys, "!d:t:u") && slow.CompareAndSwap(true, false) {
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		}
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.Grace(time.Hour)))
		ctx := t.Context()
		if err := c.Set(ctx, 7, 1, runtime.TTL(8*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, 8, 1, runtime.Tags("u")); err != nil {
			t.Fatal(err)
		}
		for range 9 { // the stamps of 7 stay trusted, that of u does not
			time.Sleep(time.Second)
			if _, _, err := c.Get(ctx, 7); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		slow.Store(true)
		go c.GetOrSetMany(ctx, []int{7, 8}, func(context.Context, []int) (map[int]int, error) {
			time.Sleep(time.Second)
			return nil, errSource
		}, runtime.Timeout(time.Minute))
		synctest.Wait() // 7 is stale, and the stamp of 8 is being read
		if err := c.Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond) // the load is under way
		if got, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 2, nil }); err == nil && got != 2 {
			t.Errorf("got %d after a Delete", got)
		}
	})
}

// The first load after an invalidation by a tag of the result is kept, whether or
// not there is an old entry under the tag.
func TestOneLoadAfterAnInvalidationByATagOfTheResult(t *testing.T) {
	for setup, options := range setups {
		for _, deleted := range []bool{false, true} {
			t.Run(fmt.Sprint(setup, "/deleted=", deleted), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var src source
					c := openIn(t, taggedByResult(), options()...)
					if err := c.Set(t.Context(), 8, 0); err != nil { // somebody knows the tag
						t.Fatal(err)
					}
					for n := range int64(3) {
						src.value.Store(n)
						for range 3 {
							got, err := c.GetOrSet(t.Context(), 7, src.load)
							want(t, got, err, int(n))
						}
						wantLoads(t, &src, n+1)
						if err := c.Store().DeleteByTag(t.Context(), "t"); err != nil {
							t.Fatal(err)
						}
						if !deleted {
							continue
						}
						if err := c.Delete(t.Context(), 7); err != nil {
							t.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// A loader that ends at once when its hard timeout cancels it does not keep the
// timeout from being remembered.
func TestAHardTimeoutThatTheLoaderHeedsIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.ErrorTTL(time.Hour), runtime.HardTimeout(time.Second)))
		var loads atomic.Int64
		heed := func(ctx context.Context) (int, error) { loads.Add(1); <-ctx.Done(); return 0, ctx.Err() }
		const keys = 300 // which of the two comes first is up to the scheduler
		for key := range keys {
			for range 2 {
				if _, err := c.GetOrSet(t.Context(), key, heed); !errors.Is(err, runtime.ErrTimeout) {
					t.Fatalf("got %v", err)
				}
			}
		}
		if n := loads.Load(); n != keys {
			t.Errorf("%d loads of %d keys", n, keys)
		}
	})
}

// A value that has just stood in for a load that failed is not loaded once more
// because it is due.
func TestOneLoadByACallerWhoseLoadFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L1TTL(3*time.Second), runtime.RefreshAfter(5*time.Second), runtime.GraceBackoff(0)))
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 0)
		shared.Evict("7")
		src.fail.Store(true)
		time.Sleep(6 * time.Second)
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 0)
		synctest.Wait()
		wantLoads(t, &src, 2)
	})
}
