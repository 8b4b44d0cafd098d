package runtime_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestAValueThatIsDueIsServedAndLoadedBehind(t *testing.T) {
	for form, option := range map[string]runtime.Option{"after": runtime.RefreshAfter(45 * time.Second), "percent": runtime.RefreshPercent(75)} {
		for setup, options := range setups {
			t.Run(form+"/"+setup, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var src source
					c := newCache[int, int](t, newStore(t, append(options(), runtime.TTL(time.Minute))...), option)
					src.value.Store(1)
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 1)
					src.value.Store(2)
					time.Sleep(45*time.Second - time.Nanosecond)
					got, err = c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 1)
					synctest.Wait()
					wantLoads(t, &src, 1)
					time.Sleep(time.Nanosecond)
					src.delay.Store(int64(time.Second))
					start := time.Now()
					for range 50 {
						got, err = c.GetOrSet(t.Context(), 7, src.load)
						want(t, got, err, 1)
					}
					if time.Since(start) != 0 {
						t.Error("waited for the refresh")
					}
					time.Sleep(2 * time.Second)
					got, err = c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 2)
					time.Sleep(42 * time.Second) // beyond the first value's TTL
					got, err = c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 2)
					synctest.Wait()
					wantLoads(t, &src, 2)
				})
			})
		}
	}
}

func TestTheFastPathLeavesAValueThatIsDueToGetOrSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := openIn(t, definition[int64, int]{Name: "n", IntPrefix: ""}, memoryTier(), runtime.TTL(time.Minute), runtime.RefreshPercent(50))
		load := func(context.Context) (int, error) { return 1, nil }
		if _, err := c.GetOrSet(t.Context(), 7, load); err != nil {
			t.Fatal(err)
		}
		hits := func(wanted bool) {
			t.Helper()
			if _, ok := gen.Hit(t.Context(), c, []byte("7")); ok != wanted {
				t.Errorf("after %v: a hit is %v, want %v", time.Now(), ok, wanted)
			}
		}
		for range 2 {
			hits(true)
			time.Sleep(30*time.Second - time.Nanosecond)
			hits(true)
			time.Sleep(time.Nanosecond)
			hits(false)
			if _, err := c.GetOrSet(t.Context(), 7, load); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		hits(true)
	})
}

func TestOnlyGetOrSetRefreshes(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, append(options(), runtime.TTL(time.Minute), runtime.RefreshAfter(time.Second))...))
				var src source
				if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Second)
				if _, ok, err := c.Get(t.Context(), 7); !ok || err != nil {
					t.Errorf("Get of a value that is due: %v, %v", ok, err)
				}
				if ok, err := c.Has(t.Context(), 7); !ok || err != nil {
					t.Errorf("Has of a value that is due: %v, %v", ok, err)
				}
				if found, err := c.GetMany(t.Context(), []int{7}); len(found) != 1 || err != nil {
					t.Errorf("GetMany of a value that is due: %v, %v", found, err)
				}
				synctest.Wait()
				wantLoads(t, &src, 1)
			})
		})
	}
}

func TestARefreshThatFailsBacksOffAndTheValueStays(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.RefreshAfter(30*time.Second), runtime.GraceBackoff(10*time.Second)))
		src.value.Store(1)
		get := func(wanted int, loads int64) {
			t.Helper()
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, wanted)
			synctest.Wait()
			wantLoads(t, &src, loads)
		}
		get(1, 1)
		src.fail.Store(true)
		time.Sleep(30 * time.Second)
		get(1, 2)
		get(1, 2)
		if _, ok := gen.Hit(t.Context(), c, []byte("7")); ok != in.l1 {
			t.Error("no fast hit while the refresh backs off")
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		get(1, 2)
		time.Sleep(time.Nanosecond)
		get(1, 3)
		time.Sleep(20 * time.Second) // the end of the TTL
		if _, err := c.GetOrSet(t.Context(), 7, src.load); err != errSource {
			t.Errorf("after the TTL: %v, want the load's error", err)
		}
		src.fail.Store(false)
		src.value.Store(2)
		get(2, 5)
	})
}

// Races R3 and R4 for a refresh of a value that is still fresh.
func TestAnInvalidationBeatsARefreshOfAFreshValue(t *testing.T) {
	for _, result := range []bool{false, true} {
		everyChange(t, result, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
			var src source
			src.value.Store(1)
			o := []runtime.CallOption{runtime.TTL(time.Hour), runtime.RefreshAfter(time.Second)}
			if _, err := c.GetOrSet(t.Context(), 7, src.load, o...); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			src.delay.Store(int64(time.Second))
			// The second call finds it due by its own option where the first one's is not
			// written down: in a store without memory.
			got, err := c.GetOrSet(t.Context(), 7, src.load, o...)
			want(t, got, err, 1)
			synctest.Wait() // the refresh has read its value
			wantLoads(t, &src, 2)
			src.value.Store(2)
			src.delay.Store(0)
			if err := change(); err != nil {
				t.Fatal(err)
			}
			got, err = c.GetOrSet(t.Context(), 7, src.load, o...)
			want(t, got, err, 2)
			time.Sleep(5 * time.Second) // the refresh is over
			got, err = c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 2)
		})
	}
}

func TestSetBeatsARefresh(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				c := newCache[int, int](t, newStore(t, append(options(), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Second))...))
				src.value.Store(1)
				c.GetOrSet(t.Context(), 7, src.load)
				time.Sleep(2 * time.Second)
				src.delay.Store(int64(time.Second))
				c.GetOrSet(t.Context(), 7, src.load)
				synctest.Wait()
				if err := c.Set(t.Context(), 7, 5); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1500 * time.Millisecond)
				got, ok, err := c.Get(t.Context(), 7)
				if want(t, got, err, 5); !ok {
					t.Error("the value that was set is gone")
				}
			})
		})
	}
}

func TestARefreshTakesWhatAnotherProcessHasLoaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var here, there source
		open := func() *runtime.Cache[int, int] {
			return newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Minute), runtime.RefreshAfter(30*time.Second)))
		}
		a, b := open(), open()
		here.value.Store(1)
		a.GetOrSet(t.Context(), 7, here.load)
		b.GetOrSet(t.Context(), 7, there.load)
		wantLoads(t, &there, 0)
		time.Sleep(31 * time.Second)
		here.value.Store(2)
		a.GetOrSet(t.Context(), 7, here.load)
		synctest.Wait()
		got, err := b.GetOrSet(t.Context(), 7, there.load) // due here too
		want(t, got, err, 1)
		synctest.Wait()
		got, err = b.GetOrSet(t.Context(), 7, there.load)
		want(t, got, err, 2)
		wantLoads(t, &here, 2)
		wantLoads(t, &there, 0)
	})
}

func TestACopyFromTheSharedTierIsDueAsTheOriginal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var here, there source
		o := []runtime.StoreOption{runtime.L2(&shared), runtime.TTL(time.Minute), runtime.RefreshPercent(50)}
		a, b := newCache[int, int](t, newStore(t, o...)), newCache[int, int](t, newStore(t, append(o, memoryTier())...))
		here.value.Store(1)
		here.delay.Store(int64(10 * time.Second)) // the end of the load counts
		a.GetOrSet(t.Context(), 7, here.load)
		time.Sleep(30*time.Second - time.Nanosecond)
		got, err := b.GetOrSet(t.Context(), 7, there.load)
		want(t, got, err, 1)
		synctest.Wait()
		wantLoads(t, &there, 0)
		time.Sleep(time.Nanosecond)
		there.value.Store(2)
		got, err = b.GetOrSet(t.Context(), 7, there.load)
		want(t, got, err, 1)
		synctest.Wait()
		got, err = a.GetOrSet(t.Context(), 7, here.load)
		want(t, got, err, 2)
		wantLoads(t, &there, 1)
		wantLoads(t, &here, 1)
	})
}

func TestTheLastFormOfRefreshGivenHolds(t *testing.T) {
	for name, o := range map[string]struct {
		store, cache, call runtime.Option
		due                time.Duration // 0: never
	}{
		"percent over duration":  {runtime.RefreshAfter(10 * time.Second), runtime.RefreshPercent(50), nil, 30 * time.Second},
		"duration over percent":  {runtime.RefreshPercent(50), runtime.RefreshAfter(10 * time.Second), nil, 10 * time.Second},
		"switched off":           {runtime.RefreshAfter(10 * time.Second), runtime.RefreshPercent(0), nil, 0},
		"switched off by a call": {runtime.RefreshPercent(10), nil, runtime.RefreshAfter(0), 0},
		"the store's":            {runtime.RefreshAfter(10 * time.Second), nil, nil, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				var src source
				var ofCache []runtime.Option
				if o.cache != nil {
					ofCache = append(ofCache, o.cache)
				}
				var ofCall []runtime.CallOption
				if o.call != nil {
					ofCall = append(ofCall, o.call)
				}
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), o.store), ofCache...)
				c.GetOrSet(t.Context(), 7, src.load, ofCall...)
				for at := time.Duration(0); at < time.Minute; at += time.Second {
					c.GetOrSet(t.Context(), 7, src.load, ofCall...)
					synctest.Wait()
					if due := o.due > 0 && at >= o.due; due != (src.loads.Load() > 1) {
						t.Fatalf("after %v: %d loads, want a refresh after %v", at, src.loads.Load(), o.due)
					}
					if src.loads.Load() > 1 {
						return
					}
					time.Sleep(time.Second)
				}
			})
		})
	}
}

func TestWhatIsFreshForEverIsRefreshedAfterADurationOnly(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var timed, part source
		s := newStore(t, in.tiers())
		c := newCache[int, int](t, s, runtime.TTL(runtime.Forever))
		for range 2 {
			c.GetOrSet(t.Context(), 1, timed.load, runtime.RefreshAfter(time.Hour))
			c.GetOrSet(t.Context(), 2, part.load, runtime.RefreshPercent(1))
			synctest.Wait()
			time.Sleep(in.years(10))
		}
		wantLoads(t, &timed, 2)
		wantLoads(t, &part, 1)
	})
}

func TestACallerOfAValueThatEndsDuringItsRefreshWaitsForIt(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.RefreshAfter(59*time.Second)))
		c.GetOrSet(t.Context(), 7, src.load)
		time.Sleep(59 * time.Second)
		src.value.Store(2)
		src.delay.Store(int64(10 * time.Second))
		c.GetOrSet(t.Context(), 7, src.load)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				if err != nil || got != 2 {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		wg.Wait()
		wantLoads(t, &src, 2)
	})
}

func TestNoRefreshOfAFreshValueWhereNoneIsAllowed(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.RefreshAfter(time.Second), runtime.MaxBackground(0)))
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 0)
			synctest.Wait()
			time.Sleep(30 * time.Second)
		}
		wantLoads(t, &src, 1)
	})
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
				shared.SetBefore(func(_ context.Context, op string, keys []string) error {
					if op == "get" && slices.Contains(keys, "!s:t:t") && slow.CompareAndSwap(true, false) {
						time.Sleep(2 * time.Second)
					}
					return nil
				})
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

// A value that has just stood in for a load that failed is not loaded once more
// because it is due.
func TestOneLoadByACallerWhoseLoadFails(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L1TTL(3*time.Second), runtime.RefreshAfter(5*time.Second), runtime.GraceBackoff(0)))
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 0)
		shared.Evict(adHocKeys + "7")
		src.fail.Store(true)
		time.Sleep(6 * time.Second)
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 0)
		synctest.Wait()
		wantLoads(t, &src, 2)
	})
}
