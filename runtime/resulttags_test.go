package runtime_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A load whose tag only its result tells reads the tag's stamp when it has ended.
// If that is the new stamp of an invalidation that is still under way, the value
// is older than the stamp.
func TestAResultTagReadWhileItChangesIsNotTrusted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		src.value.Store(1)
		s := newStore(t, memoryTier(), runtime.L2(&shared))
		c := openResultTagged(t, s)
		src.delay.Store(int64(time.Second))
		var wg sync.WaitGroup
		wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load) })
		synctest.Wait() // the row has been read
		src.value.Store(2)
		src.delay.Store(0)
		shared.After = func(op string, keys []string) {
			if op == "set" && keys[0] == "!d:t:team:1" {
				time.Sleep(5 * time.Second) // the load ends before this process knows
			}
		}
		if err := s.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}

// The number that changes with every tag of the store may be evicted. That a load
// finds it missing before and after tells nothing.
func TestAResultTagIsNotTrustedBecauseTheNumberOfAnyTagWasEvicted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		src.value.Store(1)
		here, there := newStore(t, memoryTier(), runtime.L2(&shared)), newStore(t, memoryTier(), runtime.L2(&shared))
		c := openResultTagged(t, here)
		src.delay.Store(int64(time.Second))
		var wg sync.WaitGroup
		wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load) })
		synctest.Wait() // the row has been read
		src.value.Store(2)
		src.delay.Store(0)
		if err := there.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		shared.Evict("!t")
		wg.Wait()
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}

// openResultTagged opens a cache whose values tell their tag.
func openResultTagged(t *testing.T, s *runtime.Store) *runtime.Cache[int, int] {
	t.Helper()
	stores, err := runtime.NewStores("test", s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := runtime.Open(stores, runtime.Definition[int, int]{ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"team:1"} }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
