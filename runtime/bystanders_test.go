package runtime_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// tierWithSlow is a shared tier whose operations of a name take a while.
func tierWithSlow(op string, d time.Duration) *faketier.Shared {
	var shared faketier.Shared
	shared.SetBefore(func(_ context.Context, o string, _ []string) error {
		if o == op {
			time.Sleep(d)
		}
		return nil
	})
	return &shared
}

// loadAll is a loader of many keys.
func loadAll(_ context.Context, missing []int) (map[int]int, error) {
	out := make(map[int]int)
	for _, k := range missing {
		out[k] = k
	}
	return out, nil
}

// race R53: who stores some keys does not wait for who stores others.
func TestFillsOfDifferentKeysDoNotWaitForEachOther(t *testing.T) {
	for _, size := range []int{1, 100} {
		bubble(t, func(t *testing.T) {
			c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(tierWithSlow("fill", 50*time.Millisecond))))
			start := time.Now()
			var callers sync.WaitGroup
			for i := range 3200 / size {
				callers.Go(func() {
					keys := make([]int, size)
					for j := range keys {
						keys[j] = i*size + j
					}
					if got, err := c.GetOrSetMany(t.Context(), keys, loadAll); len(got) != size || err != nil {
						t.Errorf("%d values, %v", len(got), err)
					}
				})
			}
			callers.Wait()
			if took := time.Since(start); took != 50*time.Millisecond {
				t.Errorf("batches of %d took %v, want the time of one write", size, took)
			}
		})
	}
}

// A deletion of so many keys that there is one on every stripe of the fence keeps nobody from
// storing others: loads store them in both tiers, and what is set stays in memory.
func TestAHugeDeletionDoesNotKeepOtherKeysFromBeingStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := tierWithSlow("delete", 900*time.Millisecond)
		var later atomic.Bool // deletions are fast, and writes slow
		before := shared.Before()
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if !later.Load() {
				return before(ctx, op, keys)
			}
			if op == "set" {
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		})
		s := newStore(t, memoryTier(), runtime.L2(shared))
		c := newCache[int, int](t, s)
		keys := make([]int, 50_000)
		for i := range keys {
			keys[i] = 1000 + i
		}
		deletions := func() {
			if err := c.DeleteMany(t.Context(), keys...); err != nil {
				t.Error(err)
			}
		}
		go deletions()
		synctest.Wait()
		start := time.Now()
		var src source
		for k := range 100 {
			if _, err := c.GetOrSet(t.Context(), k, src.load); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("loads waited %v", took)
		}
		stored := 0
		for k := range 100 {
			if _, ok := shared.Keys()[adHocKeys+strconv.Itoa(k)]; ok {
				stored++
			}
		}
		if stored != 100 {
			t.Errorf("%d of 100 loaded values are in the shared tier", stored)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		later.Store(true)
		go func() { time.Sleep(100 * time.Millisecond); deletions() }()
		for k := range 100 {
			go c.Set(t.Context(), 200+k, k)
		}
		time.Sleep(time.Second)
		reads := shared.Calls("get")
		for k := range 100 {
			got, ok, err := c.Get(t.Context(), 200+k)
			if !ok {
				t.Fatal("nothing is stored")
			}
			want(t, got, err, k)
		}
		if n := shared.Calls("get") - reads; n != 0 {
			t.Errorf("%d of 100 values that were set are not in memory", n)
		}
	})
}

// fill stores n values that are stale when it returns.
func fill(t *testing.T, c *runtime.Cache[int, int], n int) {
	t.Helper()
	for k := range n {
		if err := c.Set(t.Context(), k, 1); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second)
}

// race R53: a function whose loader hangs takes the places of the others neither while its loads run nor
// after they have exceeded their limit. What it leaves behind is bounded, however long it is
// asked for its values, and said. When its loads return it is refreshed again.
func TestAFunctionThatHangsDoesNotKeepOthersFromBeingRefreshed(t *testing.T) {
	mayTell(t, "load failed", "not loaded in the background", "not refreshed until")
	for name, limit := range map[string]runtime.StoreOption{
		"hard timeout": runtime.HardTimeout(10 * time.Second), "maximal load time": runtime.MaxLoadTime(10 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				s := newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(24*time.Hour), limit, runtime.GraceBackoff(time.Second))
				hangs, healthy := newCacheNamed[int, int](t, s, "hangs"), newCacheNamed[int, int](t, s, "healthy")
				release := make(chan struct{})
				var hung atomic.Int64
				hang := func(context.Context) (int, error) { // its context is ignored
					hung.Add(1)
					defer hung.Add(-1)
					<-release
					return 2, nil
				}
				fill(t, hangs, 300)
				for round := range 12 {
					for k := range 300 {
						got, err := hangs.GetOrSet(t.Context(), k, hang)
						want(t, got, err, 1)
					}
					synctest.Wait()
					if n := hung.Load(); n > runtime.DefaultMaxBackground {
						t.Fatalf("round %d: %d loads that hang", round, n)
					}
					fill(t, healthy, 5)
					var src source
					src.value.Store(2)
					for k := range 5 {
						if _, err := healthy.GetOrSet(t.Context(), k, src.load); err != nil {
							t.Fatal(err)
						}
					}
					synctest.Wait()
					if n := src.loads.Load(); n != 5 {
						t.Fatalf("round %d: %d of 5 values of another function were refreshed", round, n)
					}
					time.Sleep(10 * time.Second)
				}
				close(release)
				synctest.Wait()
				time.Sleep(time.Minute)
				var src source
				src.value.Store(3)
				for k := range 20 {
					_, _ = hangs.GetOrSet(t.Context(), k, src.load)
				}
				synctest.Wait()
				if n := src.loads.Load(); n != 20 {
					t.Errorf("%d of 20 values are refreshed after the loads have returned", n)
				}
			})
		})
	}
}

// race R53: tags that are hot have their stamps read again at the same moment, and values that are due
// are loaded all the same. The stamps are read many at a time.
func TestHotTagsDoNotKeepValuesFromBeingRefreshed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := tierWithSlow("get", 10*time.Millisecond)
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(shared), runtime.StampTrust(time.Minute)), runtime.TTL(time.Hour))
		const tags = 10_000
		var all sync.WaitGroup
		for i := range tags {
			all.Go(func() {
				if err := c.Set(t.Context(), i, 1, runtime.Tags(runtime.Tag(strconv.Itoa(i)))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := c.Set(t.Context(), -1, 1, runtime.TTL(time.Second), runtime.Grace(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		reads, start := shared.Calls("get"), time.Now()
		for i := range tags {
			got, err := c.GetOrSet(t.Context(), i, func(context.Context) (int, error) { return 2, nil })
			want(t, got, err, 1)
		}
		var src source
		src.value.Store(2)
		got, err := c.GetOrSet(t.Context(), -1, src.load)
		want(t, got, err, 1)
		if time.Since(start) != 0 {
			t.Error("hits have waited")
		}
		time.Sleep(time.Second)
		wantLoads(t, &src, 1)
		if n := shared.Calls("get") - reads; n > 60 {
			t.Errorf("%d round trips for %d stamps", n, tags)
		}
		time.Sleep(time.Minute) // beyond the time in which the old stamps would be used
		for i := range tags {
			got, err := c.GetOrSet(t.Context(), i, func(context.Context) (int, error) { return 2, nil })
			want(t, got, err, 1)
		}
		if time.Since(start) > 2*time.Minute {
			t.Error("stamps were not read in time")
		}
	})
}
