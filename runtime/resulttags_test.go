package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
		shared.SetAfter(func(op string, keys []string) {
			if op == "set" && keys[0] == "!s:t:team:1" {
				time.Sleep(5 * time.Second) // the load ends before this process knows
			}
		})
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
	var shared faketier.Shared
	deletedElsewhereMeanwhile(t, &shared, func() { shared.Evict("!t") })
}

// That stamps were read after a load is worth nothing if whether they changed during it
// cannot be told.
func TestAResultTagIsNotTrustedWhileTheNumberOfAnyTagCannotBeRead(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	var shared faketier.Shared
	var lost atomic.Bool
	shared.SetBefore(func(_ context.Context, op string, keys []string) error {
		if lost.Load() && op == "get" && slices.Equal(keys, []string{"!t"}) {
			return errors.New("the connection was lost")
		}
		return nil
	})
	deletedElsewhereMeanwhile(t, &shared, func() { lost.Store(true) })
}

// deletedElsewhereMeanwhile checks that what is loaded while another process deletes its
// tag is not kept, whatever trouble comes before the load ends.
func deletedElsewhereMeanwhile(t *testing.T, shared *faketier.Shared, trouble func()) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		var src source
		src.value.Store(1)
		here, there := newStore(t, memoryTier(), runtime.L2(shared)), newStore(t, memoryTier(), runtime.L2(shared))
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
		trouble()
		wg.Wait()
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}

// Of two loads with one tag, the stamps that the later one has read are not those of
// the earlier one, which could not read them itself.
func TestAResultTagIsNotTrustedBecauseAnotherLoadHasReadItsStamp(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		src.value.Store(1)
		here, there := newStore(t, memoryTier(), runtime.L2(&shared)), newStore(t, memoryTier(), runtime.L2(&shared))
		c := openResultTagged(t, here)
		var again atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "add" && keys[0] == "!s:t:team:1" && !again.Swap(true) {
				time.Sleep(time.Second / 2)
				return errors.New("the connection was lost")
			}
			return nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load) })
		synctest.Wait() // it has been loaded, and is about to get its stamps
		src.value.Store(2)
		if err := there.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetOrSet(t.Context(), 8, src.load)
		want(t, got, err, 2)
		wg.Wait()
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}

// While the shared tier does not answer, memory keeps what its values tag.
func TestAValueWithAResultTagIsKeptWithoutTheSharedTier(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		shared.Down(errors.New("no shared tier"))
		s := newStore(t, memoryTier(), runtime.L2(&shared))
		c := openResultTagged(t, s)
		for range 3 {
			if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
				t.Fatal(err)
			}
		}
		if n := src.loads.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
		if err := s.DeleteByTag(t.Context(), "team:1"); err == nil {
			t.Error("no error, and the shared tier does not know")
		}
		if _, ok, err := c.Get(t.Context(), 7); ok || err != nil {
			t.Errorf("%v, %v after it was deleted", ok, err)
		}
		shared.Down(nil)
	})
}

// openResultTagged opens a cache whose values tell their tag.
func openResultTagged(t *testing.T, s *runtime.Store) *runtime.Cache[int, int] {
	t.Helper()
	stores, err := runtime.NewStores(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(stores, definition[int, int]{ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"team:1"} }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// taggedByResult is a function whose every value has the tag t.
func taggedByResult() definition[int, int] {
	return definition[int, int]{Name: "n", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"t"} }}
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
