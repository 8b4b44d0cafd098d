package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestAFailureIsRememberedForItsTime(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				c := newCache[int, int](t, newStore(t, append(options(), runtime.ErrorTTL(10*time.Second))...))
				src.fail.Store(true)
				for range 100 {
					if _, err := c.GetOrSet(t.Context(), 7, src.load); err != errSource {
						t.Fatalf("got %v, want the load's error", err)
					}
				}
				wantLoads(t, &src, 1)
				if _, ok, err := c.Get(t.Context(), 7); ok || err != nil {
					t.Errorf("Get: %v, %v, want nothing", ok, err)
				}
				got, err := c.GetOrSet(t.Context(), 8, func(context.Context) (int, error) { return 8, nil })
				want(t, got, err, 8)
				src.fail.Store(false)
				time.Sleep(10*time.Second - time.Nanosecond)
				if _, err := c.GetOrSet(t.Context(), 7, src.load); err != errSource {
					t.Fatalf("got %v, want the load's error", err)
				}
				time.Sleep(time.Nanosecond)
				got, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 0)
				wantLoads(t, &src, 2)
			})
		})
	}
}

func TestAFailureIsNotWrittenToTheSharedTier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		o := []runtime.StoreOption{runtime.L2(&shared), runtime.ErrorTTL(time.Minute)}
		a, b := newCache[int, int](t, newStore(t, o...)), newCache[int, int](t, newStore(t, o...))
		src.fail.Store(true)
		a.GetOrSet(t.Context(), 7, src.load)
		src.fail.Store(false)
		got, err := b.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 0)
	})
}

func TestAnInvalidationForgetsAFailure(t *testing.T) {
	everyChange(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		var src source
		src.fail.Store(true)
		c.GetOrSet(t.Context(), 7, src.load, runtime.ErrorTTL(time.Hour))
		src.fail.Store(false)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.ErrorTTL(time.Hour))
		want(t, got, err, 0)
	})
}

// A load that fails although its key was invalidated while it ran says nothing
// about what is there now.
func TestAnInvalidationBeatsAFailureInFlight(t *testing.T) {
	everyChange(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		var src source
		src.fail.Store(true)
		src.delay.Store(int64(time.Second))
		var wg sync.WaitGroup
		wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load, runtime.ErrorTTL(time.Hour)) })
		synctest.Wait()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		src.fail.Store(false)
		got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.ErrorTTL(time.Hour))
		want(t, got, err, 0)
	})
}

func TestSetForgetsAFailure(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				src.fail.Store(true)
				c := newCache[int, int](t, newStore(t, append(options(), runtime.ErrorTTL(time.Hour), runtime.TTL(time.Minute))...))
				c.GetOrSet(t.Context(), 7, src.load)
				if err := c.Set(t.Context(), 7, 5); err != nil {
					t.Fatal(err)
				}
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 5)
				time.Sleep(time.Minute)
				src.fail.Store(false)
				got, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 0)
			})
		})
	}
}

func TestAChangeInAnotherProcessForgetsAFailure(t *testing.T) {
	mayTell(t, theBusFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		o := func() []runtime.StoreOption {
			return []runtime.StoreOption{memoryTier(), runtime.L2(&shared), runtime.Bus(&bus), runtime.ErrorTTL(time.Hour)}
		}
		a, b := newCache[int, int](t, newStore(t, o()...)), newCache[int, int](t, newStore(t, o()...))
		var src source
		src.fail.Store(true)
		a.GetOrSet(t.Context(), 7, src.load)
		if err := b.Set(t.Context(), 7, 5); err != nil {
			t.Fatal(err)
		}
		got, err := a.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 5)
		a.GetOrSet(t.Context(), 8, src.load)
		src.fail.Store(false)
		bus.Cut(true)
		bus.Cut(false) // whatever was missed may have been about it
		got, err = a.GetOrSet(t.Context(), 8, src.load)
		want(t, got, err, 0)
	})
}

func TestWhatIsNoFailureOfTheSourceIsNotRemembered(t *testing.T) {
	for name, load := range map[string]func(context.Context) (int, error){
		"panic":     func(context.Context) (int, error) { panic("boom") },
		"cancelled": func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		"another's cancellation": func(context.Context) (int, error) {
			return 0, fmt.Errorf("query: %w", context.Canceled)
		},
		"closed": func(context.Context) (int, error) { return 0, fmt.Errorf("inner: %w", runtime.ErrClosed) },
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Hour)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				func() {
					defer func() { recover() }()
					if _, err := c.GetOrSet(ctx, 7, load); err == nil {
						t.Error("no error")
					}
				}()
				synctest.Wait()
				got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
				want(t, got, err, 1)
			})
		})
	}
}

// A source that hangs is one that fails: a caller each hard timeout is enough.
func TestAHardTimeoutIsRemembered(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Minute), runtime.HardTimeout(time.Second)))
		start := time.Now()
		late := make(chan int)
		hang := func(context.Context) (int, error) { return <-late, nil }
		for range 3 {
			if _, err := c.GetOrSet(t.Context(), 7, hang); !errors.Is(err, runtime.ErrTimeout) {
				t.Fatalf("got %v", err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("three callers took %v, want one hard timeout", took)
		}
		late <- 5 // it was the first one's
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, hang)
		want(t, got, err, 5)
	})
}

func TestAGraceValueIsServedBeforeAnErrorIsRemembered(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Minute), runtime.GraceBackoff(0), runtime.ErrorTTL(time.Hour)))
		src.value.Store(1)
		c.GetOrSet(t.Context(), 7, src.load)
		src.fail.Store(true)
		for range 3 {
			time.Sleep(10 * time.Second)
			got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Timeout(time.Second))
			want(t, got, err, 1)
		}
		wantLoads(t, &src, 4)
		time.Sleep(time.Minute)
		for range 2 {
			if _, err := c.GetOrSet(t.Context(), 7, src.load); err != errSource {
				t.Errorf("after the grace: %v", err)
			}
		}
		wantLoads(t, &src, 5)
	})
}

func TestACallMayPassByARememberedFailure(t *testing.T) {
	for name, o := range map[string]runtime.CallOption{"forced": runtime.ForceFresh(), "by its option": runtime.ErrorTTL(0)} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				var src source
				src.fail.Store(true)
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Hour)))
				c.GetOrSet(t.Context(), 7, src.load)
				src.fail.Store(false)
				got, err := c.GetOrSet(t.Context(), 7, src.load, o)
				want(t, got, err, 0)
				got, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 0)
			})
		})
	}
}

func TestRememberedFailuresAreBounded(t *testing.T) {
	for _, in := range shapes {
		if in.bus == in.l2 { // the tiers have no part in it
			t.Run(in.name, func(t *testing.T) { boundedFailures(t, in) })
		}
	}
}

func boundedFailures(t *testing.T, in shape) {
	c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Hour)))
	var src source
	src.fail.Store(true)
	const keys = 10_001
	for i := range keys {
		c.GetOrSet(t.Context(), i, src.load)
	}
	src.fail.Store(false)
	forgotten := 0
	for i := range keys {
		if _, err := c.GetOrSet(t.Context(), i, src.load); err == nil {
			forgotten++
		}
	}
	if forgotten == 0 || forgotten > keys/4 {
		t.Errorf("%d of %d failures are forgotten, want some", forgotten, keys)
	}
}

// A caller that found nothing remembered, and no load under way after that, comes
// just after a load that has failed.
func TestAFailureBetweenALookAndALoadIsRemembered(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Hour)))
		var src source
		src.fail.Store(true)
		src.delay.Store(int64(time.Second))
		go c.GetOrSet(context.Background(), 7, src.load)
		synctest.Wait()
		ctx := &countingCtx{Context: t.Context(), hook: func() { time.Sleep(time.Minute) }} // runs between the two
		if _, err := c.GetOrSet(ctx, 7, src.load); !errors.Is(err, errSource) {
			t.Fatalf("got %v", err)
		}
		wantLoads(t, &src, 1)
	})
}

// That the shared tier does not answer is no failure of the loader.
func TestTroubleWithTheSharedTierIsNotRemembered(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), runtime.ErrorTTL(time.Minute))
		shared.Down(errDown)
		var src source
		if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.SuppressL2Errors(false)); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		_, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, src.loads.Load(), err, 1)
	})
}

// A tag that the loader sets before it fails is one of the failure's, too.
func TestAFailureIsForgottenWithATagThatItsLoaderSet(t *testing.T) {
	for name, tier := range map[string][]runtime.StoreOption{"memory": nil, "shared": {runtime.L2(&faketier.Shared{})}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, append(tier, memoryTier())...)
				c := newCache[int, int](t, s, runtime.ErrorTTL(time.Hour))
				var src source
				src.fail.Store(true)
				load := func(ctx context.Context) (int, error) {
					runtime.EntryOf(ctx).SetTags("team:1")
					return src.load(ctx)
				}
				if _, err := c.GetOrSet(t.Context(), 7, load); err == nil {
					t.Error("no error")
				}
				if tier == nil { // what it is worth later, the shared tier does not say
					time.Sleep(59 * time.Minute)
				}
				_, _ = c.GetOrSet(t.Context(), 7, load)
				wantLoads(t, &src, 1)
				if err := s.DeleteByTag(t.Context(), "team:1"); err != nil {
					t.Fatal(err)
				}
				src.fail.Store(false)
				_, err := c.GetOrSet(t.Context(), 7, load)
				want(t, src.loads.Load(), err, 2)
			})
		})
	}
}

// A tag that is deleted while the loader that sets it is failing is no reason to
// remember that it failed.
func TestAFailureIsNotRememberedIfATagThatItsLoaderSetWasDeletedMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		here, there := newStore(t, memoryTier(), runtime.L2(&shared)), newStore(t, memoryTier(), runtime.L2(&shared))
		c := newCache[int, int](t, here, runtime.ErrorTTL(time.Hour))
		for who, s := range map[string]*runtime.Store{"here": here, "in another process": there} {
			var src source
			src.fail.Store(true)
			_, _ = c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
				runtime.EntryOf(ctx).SetTags("team:1")
				v, err := src.load(ctx)
				if err := s.DeleteByTag(ctx, "team:1"); err != nil {
					t.Error(err)
				}
				return v, err
			})
			src.fail.Store(false)
			if s != here { // which hears of it by looking
				time.Sleep(10 * time.Minute)
			}
			if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
				t.Errorf("deleted %s: %v", who, err)
			}
			if err := c.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A loader that ends at once when its hard timeout cancels it does not keep the
// timeout from being remembered.
func TestAHardTimeoutThatTheLoaderHeedsIsRemembered(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.ErrorTTL(time.Hour), runtime.HardTimeout(time.Second)))
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
