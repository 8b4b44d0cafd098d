package runtime_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// Whoever begins to pull after a value was stored does not take the outcome of a pull
// that had taken the one before.
func TestPullFindsWhatWasSetBeforeIt(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				release := make(chan struct{})
				var slow atomic.Bool
				c := newCache[int, int](t, newStore(t, append(options(), runtime.Hooks(event.Hooks{Deleted: func(event.Invalidation) {
					if slow.CompareAndSwap(true, false) {
						<-release
					}
				}}))...))
				_ = c.Set(t.Context(), 7, 1)
				slow.Store(true)
				go c.Pull(t.Context(), 7)
				synctest.Wait() // it has taken 1, and has not returned
				_ = c.Set(t.Context(), 7, 2)
				go func() { synctest.Wait(); close(release) }()
				got, ok, err := c.Pull(t.Context(), 7)
				if !ok {
					t.Error("nothing")
				}
				want(t, got, err, 2)
			})
		})
	}
}

// An observedL1 calls hook, once, after it has looked something up.
type observedL1 struct {
	drivers.L1
	hook func()
}

func (l *observedL1) Get(hash uint64) any {
	it := l.L1.Get(hash)
	if f := l.hook; f != nil {
		l.hook = nil
		f()
	}
	return it
}

// What is stored between a pull's look and its grip is neither returned nor removed.
func TestPullRemovesNothingButWhatItReturns(t *testing.T) {
	var l1 *observedL1
	var shared *faketier.Shared
	fromMemory := func(f func()) { l1.hook = f }
	fromShared := func(f func()) {
		shared.SetAfter(func(op string, keys []string) {
			if op == "get" && keys[0] == adHocKeys+"7" {
				shared.SetAfter(nil)
				f()
			}
		})
	}
	for name, test := range map[string]struct {
		options func() []runtime.StoreOption
		private bool
		between func(func())
	}{
		"memory":                {func() []runtime.StoreOption { return nil }, false, fromMemory},
		"memory of two tiers":   {func() []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(shared)} }, true, fromMemory},
		"swapping tier":         {func() []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(shared)} }, false, fromShared},
		"swapping tier, memory": {func() []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(shared)} }, true, fromShared},
		"plain tier":            {func() []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(plainTier{shared})} }, false, fromShared},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l1, shared = &observedL1{L1: memory.New(memory.Options{MaxSize: "1mb"})}, &faketier.Shared{}
				c := newCache[int, int](t, newStore(t, append(test.options(), runtime.L1(l1))...))
				private := runtime.SkipL2Write(test.private)
				_ = c.Set(t.Context(), 7, 1, private)
				test.between(func() { _ = c.Set(t.Context(), 7, 2, private) })
				got, ok, err := c.Pull(t.Context(), 7)
				if !ok {
					t.Error("nothing")
				}
				want(t, got, err, 2)
				_ = c.Set(t.Context(), 7, 3, private)
				got, ok, err = c.Pull(t.Context(), 7)
				if !ok {
					t.Error("nothing")
				}
				want(t, got, err, 3)
				if ok, _ := c.Has(t.Context(), 7); ok {
					t.Error("it is there still")
				}
			})
		})
	}
}

// A grace value of this process alone is no value to pull, and is left to stand in.
func TestPullLeavesAGraceValue(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, options()...), runtime.TTL(time.Second), runtime.Grace(time.Hour))
				_ = c.Set(t.Context(), 7, 1)
				time.Sleep(2 * time.Second)
				if _, ok, err := c.Pull(t.Context(), 7); ok || err != nil {
					t.Error(ok, err)
				}
				got, ok, err := c.Get(t.Context(), 7, runtime.AllowStale())
				if !ok {
					t.Error("the grace value is gone")
				}
				want(t, got, err, 1)
			})
		})
	}
}

// What the shared tier refuses is in memory alone. A pull takes it from there, then.
func TestPullTakesWhatWasNotWritten(t *testing.T) {
	mayTell(t, "refused")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "fill" && keys[0] == adHocKeys+"7" {
				return drivers.ErrRefused
			}
			return nil
		})
		if _, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }); err != nil {
			t.Fatal(err)
		}
		if _, ok := shared.Keys()[adHocKeys+"7"]; ok {
			t.Fatal(fmt.Sprint("it was written: ", shared.Keys()))
		}
		got, ok, err := c.Pull(t.Context(), 7)
		if !ok {
			t.Error("nothing")
		}
		want(t, got, err, 1)
	})
}

// What this process has kept for itself goes with what the shared tier has.
func TestAPullLeavesNothing(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		var src source
		for _, o := range [][]runtime.CallOption{nil, {runtime.ForceFresh(), runtime.SkipL2Write(true)}} {
			if _, err := c.GetOrSet(t.Context(), 7, src.load, o...); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok, err := c.Pull(t.Context(), 7); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := c.Has(t.Context(), 7); ok || err != nil {
			t.Error(ok, err)
		}
	})
}
