package runtime_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// tierWithSlow is a shared tier whose operations of a name take a while.
func tierWithSlow(op string, d time.Duration) *faketier.Shared {
	var shared faketier.Shared
	shared.Before = func(_ context.Context, o string, _ []string) error {
		if o == op {
			time.Sleep(d)
		}
		return nil
	}
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

// Who stores some keys does not wait for who stores others.
func TestFillsOfDifferentKeysDoNotWaitForEachOther(t *testing.T) {
	for _, size := range []int{1, 100} {
		bubble(t, func(t *testing.T) {
			c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(tierWithSlow("set", 50*time.Millisecond))))
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
			if _, ok := shared.Keys()[strconv.Itoa(k)]; ok {
				stored++
			}
		}
		if stored != 100 {
			t.Errorf("%d of 100 loaded values are in the shared tier", stored)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		shared.Before = func(_ context.Context, op string, keys []string) error {
			if op == "set" {
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		}
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
