package runtime_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestForceFreshDoesNotJoinAReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		hold := make(chan struct{})
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "get" && keys[0] == adHocKeys+"7" && armed.CompareAndSwap(true, false) {
				<-hold
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		c.Set(t.Context(), 7, 1)
		load := func(context.Context) (int, error) { return 2, nil }
		ctx := &countingCtx{Context: t.Context(), hook: func() { // runs between Poison and Join
			armed.Store(true)
			go c.GetOrSet(context.Background(), 7, load)
			synctest.Wait()
		}}
		var got int
		var err error
		done := make(chan struct{})
		go func() { got, err = c.GetOrSet(ctx, 7, load, runtime.ForceFresh()); close(done) }()
		time.Sleep(time.Millisecond)
		close(hold)
		<-done
		want(t, got, err, 2)
	})
}

func TestForceFreshIsNotOvertakenByAnOlderFill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		hold := make(chan struct{})
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "set" && keys[0] == adHocKeys+"7" && armed.CompareAndSwap(true, false) {
				<-hold
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		armed.Store(true)
		go c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { return 1, nil })
		synctest.Wait()
		var got int
		var err error
		done := make(chan struct{})
		go func() {
			got, err = c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { return 2, nil }, runtime.ForceFresh())
			close(done)
		}()
		synctest.Wait()
		close(hold)
		<-done
		want(t, got, err, 2)
		synctest.Wait()
		got, _, err = c.Get(t.Context(), 7)
		want(t, got, err, 2)
	})
}

func TestAFailingForceFreshDoesNotFailReaders(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.Grace(time.Hour)))
		c.Set(t.Context(), 7, 1)
		go c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { time.Sleep(time.Second); return 0, errSource }, runtime.ForceFresh())
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, errSource })
		want(t, got, err, 1)
	})
}

func TestAForcedLoadThatFailsLeavesTheLoaderAlone(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(),
			runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.GraceBackoff(time.Minute)))
		src.value.Store(1)
		c.GetOrSet(t.Context(), 7, src.load)
		time.Sleep(time.Second)
		src.fail.Store(true)
		got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.ForceFresh())
		want(t, got, err, 1)
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 1)
		synctest.Wait()
		wantLoads(t, &src, 2)
	})
}

// What memory has may have been loaded last, and be of no use any more.
func TestAnInvalidatedValueInMemoryHidesNoGraceValueOfTheSharedTier(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		store := newStore(t, memoryTier(), runtime.L2(&shared))
		here := newCache[int, int](t, store)
		there := newCache[int, int](t, newStore(t, runtime.L2(&shared)), runtime.Grace(time.Hour))
		give := func(v int) func(context.Context) (int, error) {
			return func(context.Context) (int, error) { return v, nil }
		}
		there.GetOrSet(t.Context(), 7, give(1), runtime.Tags("tag"))
		older := shared.Keys()[adHocKeys+"7"]
		time.Sleep(time.Second)
		here.GetOrSet(t.Context(), 7, give(2), runtime.ForceFresh(), runtime.Tags("tag"))
		shared.Put(adHocKeys+"7", older)
		store.ExpireByTag(t.Context(), "tag")
		got, err := here.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, errSource })
		want(t, got, err, 1)
	})
}

func TestWhatAForcedLoadReplacesDoesNotComeBack(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var l2 faketier.Shared
		s := newStore(t, memoryTier(), runtime.L2(&l2), runtime.L1TTL(time.Second))
		c := newCache[string, int](t, s, runtime.TTL(time.Hour))
		_ = c.Set(t.Context(), "k", 1)
		var fail atomic.Bool
		fail.Store(true)
		l2.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "set" && fail.Load() {
				return errSource
			}
			return nil
		})
		v, err := c.GetOrSet(t.Context(), "k", func(context.Context) (int, error) { return 2, nil }, runtime.ForceFresh())
		want(t, v, err, 2)
		fail.Store(false)
		time.Sleep(2 * time.Second)
		if v, _, _ := c.Get(t.Context(), "k"); v == 1 {
			t.Error("got what was there before")
		}
	})
}

// Nor when the new value could not even be written: the shared tier did not answer
// when it was asked, or the codec failed.
func TestWhatAForcedLoadCouldNotReplaceDoesNotComeBack(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "ncode")
	for _, name := range []string{"unread", "not encoded"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var l2 faketier.Shared
				c := newCache[int, maybe](t, newStore(t, memoryTier(), runtime.L2(&l2), runtime.L1TTL(time.Second)), runtime.TTL(time.Hour))
				_ = c.Set(t.Context(), 7, maybe{text: "old"})
				var busy atomic.Bool
				busy.Store(true)
				l2.SetBefore(func(_ context.Context, op string, _ []string) error {
					if busy.Load() && name == "unread" && op == "get" {
						return errSource
					}
					return nil
				})
				v, err := c.GetOrSet(t.Context(), 7, func(context.Context) (maybe, error) {
					return maybe{text: "new", broken: name == "not encoded"}, nil
				}, runtime.ForceFresh())
				if v.text == "old" || err != nil {
					t.Fatal(v, err)
				}
				busy.Store(false)
				time.Sleep(2 * time.Second)
				if v, _, err := c.Get(t.Context(), 7); v.text == "old" || err != nil {
					t.Error("got what was there before", err)
				}
			})
		})
	}
}
