package runtime_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A lateTier is a shared tier whose writes, while slow, are given up and take effect
// a little later all the same.
type lateTier struct {
	*faketier.Shared
	slow atomic.Bool
}

func (l *lateTier) SetMany(ctx context.Context, items []drivers.Item) error {
	if l.slow.Load() && !strings.HasPrefix(items[0].Key, "!") {
		<-ctx.Done()
		go func() {
			time.Sleep(300 * time.Millisecond)
			_ = l.Shared.SetMany(context.Background(), items)
		}()
		return ctx.Err()
	}
	return l.Shared.SetMany(ctx, items)
}

func TestWhatALoadWroteTooLateIsNotReadAfterADelete(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		l2 := &lateTier{Shared: &faketier.Shared{}}
		s := newStore(t, memoryTier(), runtime.L2(l2))
		c := newCache[string, int](t, s)
		ctx := t.Context()
		_, _ = c.GetOrSet(ctx, "other", func(context.Context) (int, error) { return 0, nil })
		l2.slow.Store(true)
		v, err := c.GetOrSet(ctx, "k", func(context.Context) (int, error) { return 1, nil })
		want(t, v, err, 1)
		l2.slow.Store(false)
		if err := c.Delete(ctx, "k"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		v, ok, err := c.Get(ctx, "k")
		if ok {
			t.Fatalf("after a nil Delete: got %v %v", v, err)
		}
	})
}

func TestWhatWasSetTooLateIsNotReadAfterASet(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		l2 := &lateTier{Shared: &faketier.Shared{}}
		s := newStore(t, runtime.L2(l2))
		c := newCache[string, int](t, s)
		ctx := t.Context()
		_ = c.Set(ctx, "other", 0)
		l2.slow.Store(true)
		if err := c.Set(ctx, "k", 1); err == nil {
			t.Fatal("no error")
		}
		l2.slow.Store(false)
		if err := c.Set(ctx, "k", 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for range 5 { // meanwhile it may be missing
			if v, ok, err := c.Get(ctx, "k"); ok && v != 2 {
				t.Fatalf("after a Set of 2: got %v %v", v, err)
			}
			time.Sleep(time.Second)
		}
		if n := len(l2.Keys()); n == 0 {
			t.Error("nothing is stored any more")
		}
	})
}

// Nor is it taken twice: once here, where it was loaded, and once elsewhere.
func TestWhatALoadWroteTooLateIsPulledOnce(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		l2 := &lateTier{Shared: &faketier.Shared{}}
		here, there := newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(l2))), newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(l2)))
		one := func(context.Context) (int, error) { return 1, nil }
		_, _ = here.GetOrSet(t.Context(), "other", one)
		l2.slow.Store(true)
		_, _ = here.GetOrSet(t.Context(), "k", one)
		l2.slow.Store(false)
		time.Sleep(time.Second)
		if _, ok, err := there.Pull(t.Context(), "k"); !ok || err != nil {
			t.Error(ok, err)
		}
		if _, ok, err := here.Pull(t.Context(), "k"); ok || err != nil {
			t.Error("it was pulled already:", ok, err)
		}
	})
}

// What a forced load has replaced does not land after it.
func TestWhatALoadWroteTooLateIsNotReadAfterAForcedOne(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		l2 := &lateTier{Shared: &faketier.Shared{}}
		c := newCache[string, int](t, newStore(t, runtime.L2(l2)))
		give := func(v int) func(context.Context) (int, error) {
			return func(context.Context) (int, error) { return v, nil }
		}
		_, _ = c.GetOrSet(t.Context(), "other", give(0))
		l2.slow.Store(true)
		_, _ = c.GetOrSet(t.Context(), "k", give(1))
		l2.slow.Store(false)
		got, err := c.GetOrSet(t.Context(), "k", give(2), runtime.ForceFresh())
		want(t, got, err, 2)
		for range 5 {
			time.Sleep(time.Second)
			if v, ok, err := c.Get(t.Context(), "k"); ok && v != 2 || err != nil {
				t.Fatal("got", v, err)
			}
		}
	})
}

// What one process wrote too late does not undo what another has deleted meanwhile.
func TestWhatALoadWroteTooLateIsNotReadAfterAnothersDelete(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		l2 := &lateTier{Shared: &faketier.Shared{}}
		var bus faketier.Bus
		process := func() *runtime.Cache[string, int] {
			return newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(l2), runtime.Bus(&bus)))
		}
		here, there := process(), process()
		one := func(context.Context) (int, error) { return 1, nil }
		_, _ = here.GetOrSet(t.Context(), "other", one)
		l2.slow.Store(true)
		_, _ = here.GetOrSet(t.Context(), "k", one)
		l2.slow.Store(false)
		if err := there.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		_, _, _ = there.Get(t.Context(), "k") // which has what has landed until it is told again
		for range 5 {
			if v, ok, err := here.Get(t.Context(), "k"); ok || err != nil {
				t.Error("here: ", v, err)
			}
			time.Sleep(2 * time.Second)
			if v, ok, err := there.Get(t.Context(), "k"); ok || err != nil {
				t.Error("there: ", v, err)
			}
		}
	})
}

// What is set while an earlier write may still land is there to be pulled, once.
func TestWhatWasSetAfterAWriteThatWasGivenUpIsPulledOnce(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, wait := range map[string]time.Duration{"at once": 0, "when that has landed": 500 * time.Millisecond, "when all is over": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l2 := &lateTier{Shared: &faketier.Shared{}}
				here, there := newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(l2))), newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(l2)))
				_ = here.Set(t.Context(), "other", 1)
				l2.slow.Store(true)
				if err := here.Set(t.Context(), "k", 1); err == nil {
					t.Fatal("no error")
				}
				l2.slow.Store(false)
				if err := here.Set(t.Context(), "k", 2); err != nil {
					t.Fatal(err)
				}
				time.Sleep(wait)
				v, ok, err := here.Pull(t.Context(), "k")
				if !ok {
					t.Error("nothing")
				}
				want(t, v, err, 2)
				for _, c := range []*runtime.Cache[string, int]{here, there} {
					if v, ok, err := c.Pull(t.Context(), "k"); v == 2 {
						t.Error("again:", v, ok, err)
					}
				}
			})
		})
	}
}

// The delete that makes sure of what a write in doubt may have stored must not take what
// has been set since nothing is in doubt any more.
func TestWhatIsSetWhenTheDoubtIsOverIsNotLost(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, tier := range map[string]bool{"with memory": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l2 := &lateTier{Shared: &faketier.Shared{}}
				l2.SetBefore(func(_ context.Context, op string, _ []string) error {
					if op == "delete" {
						time.Sleep(50 * time.Millisecond) // the outbox tries at other times than the doubt ends
					}
					return nil
				})
				options := []runtime.StoreOption{runtime.L2(l2)}
				if tier {
					options = append(options, memoryTier())
				}
				c := newCache[string, int](t, newStore(t, options...))
				_ = c.Set(t.Context(), "other", 0)
				l2.slow.Store(true)
				if err := c.Set(t.Context(), "k", 1); err == nil {
					t.Fatal("no error")
				}
				l2.slow.Store(false)
				time.Sleep(2*time.Second + 10*time.Millisecond)
				if err := c.Set(t.Context(), "k", 2); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				got, ok, err := c.Pull(t.Context(), "k")
				if want(t, got, err, 2); !ok {
					t.Error("nothing is there")
				}
			})
		})
	}
}
