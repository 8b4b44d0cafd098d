package runtime_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/flight"
)

// What makes another load of a key begin beside the one that runs. With a source that hangs,
// however often it happens, few loads run.
var reasonsToLoadBeside = map[string]func(t *testing.T, s *runtime.Store, c *runtime.Cache[int, int]) []runtime.CallOption{
	"waited too long": func(*testing.T, *runtime.Store, *runtime.Cache[int, int]) []runtime.CallOption {
		return []runtime.CallOption{runtime.LockTimeout(time.Second)}
	},
	"forced": func(*testing.T, *runtime.Store, *runtime.Cache[int, int]) []runtime.CallOption {
		return []runtime.CallOption{runtime.ForceFresh()}
	},
	"invalidated by key": func(t *testing.T, _ *runtime.Store, c *runtime.Cache[int, int]) []runtime.CallOption {
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Error(err)
		}
		return nil
	},
	"expired and forced": func(t *testing.T, _ *runtime.Store, c *runtime.Cache[int, int]) []runtime.CallOption {
		if err := c.Expire(t.Context(), 7); err != nil {
			t.Error(err)
		}
		return []runtime.CallOption{runtime.ForceFresh()}
	},
}

func forEachReasonToLoadBeside(t *testing.T, f func(t *testing.T, c *runtime.Cache[int, int], again func() []runtime.CallOption)) {
	for name, reason := range reasonsToLoadBeside {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				s := newStore(t, in.tiers(), runtime.MaxLoadTime(time.Hour))
				c := newCache[int, int](t, s)
				f(t, c, func() []runtime.CallOption { return reason(t, s, c) })
			})
		})
	}
}

// race R17: 300 callers one after another, each of whom may not share what was begun before him, do not
// begin 300 loads of a source that hangs.
func TestFewLoadsOfAKeyThatHangsRun(t *testing.T) {
	forEachReasonToLoadBeside(t, func(t *testing.T, c *runtime.Cache[int, int], again func() []runtime.CallOption) {
		src := queue{deaf: true}
		var callers []*caller
		for range 300 {
			callers = append(callers, begin(t.Context(), c, &src, again()...))
			time.Sleep(time.Second)
		}
		if n := src.running(); n != flight.MaxLoads {
			t.Errorf("%d loads, want %d", n, flight.MaxLoads)
		}
		// They end one after another, each with what the source holds by then. Those who waited
		// share what was loaded after they came.
		for n := 0; n < src.running() && n < 3*flight.MaxLoads; n++ {
			src.end(n, n+1)
			time.Sleep(time.Second)
		}
		for i, call := range callers {
			synctest.Wait()
			if !call.done.Load() {
				t.Fatalf("caller %d still waits", i)
			}
			if call.err != nil {
				t.Fatal(call.err)
			}
		}
		last := callers[len(callers)-1]
		if n := src.running(); n > 2*flight.MaxLoads {
			t.Errorf("%d loads", n)
		} else if got, err := c.GetOrSet(t.Context(), 7, src.load); got != last.got || err != nil {
			t.Errorf("got %d, %v after the last caller got %d", got, err, last.got)
		}
	})
}

// race R17: a caller who comes after an invalidation, or who asks for a new load, and has to wait
// because so many loads run, gets nothing that was loaded before.
func TestWhoWaitsForALoadToEndGetsNothingFromBefore(t *testing.T) {
	forEachReasonToLoadBeside(t, func(t *testing.T, c *runtime.Cache[int, int], again func() []runtime.CallOption) {
		src := queue{deaf: true}
		for range flight.MaxLoads {
			begin(t.Context(), c, &src, again()...)
			time.Sleep(time.Second)
		}
		late := begin(t.Context(), c, &src, again()...)
		time.Sleep(2 * time.Second)
		if n := src.running(); n != flight.MaxLoads {
			t.Fatalf("%d loads", n)
		}
		for n := range flight.MaxLoads {
			src.end(n, 1) // what they loaded is old
		}
		if late.done.Load() { // it was not asked for anything newer
			if len(again()) == 0 || late.got != 1 {
				t.Fatalf("got %d, %v", late.got, late.err)
			}
			return
		}
		if n := src.running(); n != flight.MaxLoads+1 {
			t.Fatalf("%d loads, want one more", n)
		}
		src.end(flight.MaxLoads, 2)
		late.wants(t, 2)
	})
}

// One load fails: there is room for one more, which those who waited share, and the others'
// wait goes on undisturbed.
func TestALoadThatFailsMakesRoomForOneMore(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.LockTimeout(time.Second))
		src := queue{deaf: true}
		var callers []*caller
		for range 50 {
			callers = append(callers, begin(t.Context(), c, &src))
			time.Sleep(time.Second)
		}
		src.end(1, -1)
		if n := src.running(); n != flight.MaxLoads+1 {
			t.Fatalf("%d loads, want one more", n)
		}
		src.end(flight.MaxLoads, 5)
		failed, waiting := 0, 0
		for _, call := range callers {
			synctest.Wait()
			switch {
			case !call.done.Load():
				waiting++
			case call.err != nil:
				failed++
			case call.got != 5:
				t.Errorf("got %d", call.got)
			}
		}
		if failed != 1 || waiting != flight.MaxLoads-1 { // who leads another load waits for that
			t.Errorf("of %d callers %d failed and %d still wait", len(callers), failed, waiting)
		}
		for n := range flight.MaxLoads {
			if n != 1 {
				src.end(n, 1)
			}
		}
		begin(t.Context(), c, &src).wants(t, 5)
	})
}

// Who waits because so many loads run does not wait longer than its hard timeout, its context,
// or its soft timeout if there is a value to serve.
func TestTheLimitsOfACallerWhoWaitsForALoadToEnd(t *testing.T) {
	mayTell(t, "the stale value is served")
	inEveryShapeWithMemory(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.TTL(time.Minute), runtime.Grace(time.Hour))
		src := queue{deaf: true}
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		for range flight.MaxLoads {
			begin(t.Context(), c, &src, runtime.ForceFresh())
		}
		if err := c.Expire(t.Context(), 7); err != nil { // nobody may join those loads any more
			t.Fatal(err)
		}
		late := begin(t.Context(), c, &src, runtime.Timeout(time.Second))
		time.Sleep(time.Second)
		late.wants(t, 1)
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		hard := begin(t.Context(), c, &src, runtime.HardTimeout(2*time.Second), runtime.LockTimeout(time.Second/2))
		gone := begin(ctx, c, &src)
		time.Sleep(time.Second)
		src.end(0, 3) // makes them look again, and somebody else is first
		cancel()
		synctest.Wait()
		if !gone.done.Load() || !errors.Is(gone.err, context.Canceled) {
			t.Error(gone.done.Load(), gone.err)
		}
		time.Sleep(3 * time.Second) // it may have begun a load of its own meanwhile, which has its limit, too
		if !hard.done.Load() || !errors.Is(hard.err, runtime.ErrTimeout) {
			t.Error(hard.done.Load(), hard.err)
		}
		for n := range src.running() {
			src.end(n, 4)
		}
	})
}

// A loader that invalidates its own key and asks for it would begin load after load, each
// inside the other.
func TestALoaderThatInvalidatesItsOwnKeyAndAsksForItIsToldSo(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		loads := 0
		var load func(ctx context.Context) (int, error)
		load = func(ctx context.Context) (int, error) {
			loads++
			if err := c.Delete(ctx, 7); err != nil {
				t.Error(err)
			}
			return c.GetOrSet(ctx, 7, load)
		}
		if _, err := c.GetOrSet(t.Context(), 7, load); !errors.Is(err, runtime.ErrRecursive) {
			t.Error(err)
		}
		if loads != flight.MaxLoads {
			t.Errorf("%d loads", loads)
		}
	})
}

// A batch whose loader hangs counts as one load of each of its keys.
func TestFewBatchesOfAKeyThatHangRun(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.LockTimeout(time.Second))
		release := make(chan struct{})
		var mu sync.Mutex
		loads := make(map[int]int)
		done := make(chan int)
		for i := range 100 {
			go func() {
				got, err := c.GetOrSetMany(t.Context(), []int{7, 100 + i}, func(_ context.Context, missing []int) (map[int]int, error) {
					mu.Lock()
					for _, k := range missing {
						loads[k]++
					}
					mu.Unlock()
					if missing[0] == 7 {
						<-release
					}
					return loadAll(t.Context(), missing)
				})
				if err != nil {
					t.Error(err)
				}
				done <- len(got)
			}()
			time.Sleep(time.Second)
		}
		mu.Lock()
		if loads[7] != flight.MaxLoads {
			t.Errorf("%d loads of a key that hangs", loads[7])
		}
		mu.Unlock()
		close(release)
		for range 100 {
			if n := <-done; n != 2 {
				t.Errorf("%d values", n)
			}
		}
		for k, n := range loads {
			if k != 7 && n != 1 {
				t.Errorf("%d loads of key %d", n, k)
			}
		}
	})
}
