package runtime_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// left returns the keys that a tier has not forgotten yet.
func left(t *testing.T, shared *faketier.Shared) (keys []string) {
	t.Helper()
	for key := range shared.Keys() {
		values, err := shared.GetMany(t.Context(), []string{key})
		if err != nil {
			t.Fatal(err)
		}
		if values[0] != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// What is written beside entries is written by those who need it: a read that finds nothing
// leaves nothing, and neither does an invalidation of what nobody has.
func TestReadsAndInvalidationsOfWhatIsNotThereLeaveNothing(t *testing.T) {
	for setup, options := range map[string]func(*faketier.Shared) []runtime.StoreOption{
		"L2": func(shared *faketier.Shared) []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(shared)} },
		"L1+L2+bus": func(shared *faketier.Shared) []runtime.StoreOption {
			return []runtime.StoreOption{memoryTier(), runtime.L2(shared), runtime.Bus(&faketier.Bus{})}
		},
	} {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				s := newStore(t, options(&shared)...)
				for i := range 100 {
					ns := s.Namespace(fmt.Sprint("ns", i))
					c := newCache[int, int](t, ns)
					_, _, err := c.Get(t.Context(), 1)
					_, errHas := c.Has(t.Context(), 1)
					_, errMany := c.GetMany(t.Context(), []int{1, 2})
					_, _, errPull := c.Pull(t.Context(), 1)
					for _, err := range []error{err, errHas, errMany, errPull, c.Delete(t.Context(), 1), c.Expire(t.Context(), 1), ns.Clear(t.Context())} {
						if err != nil {
							t.Fatal(err)
						}
					}
					tag := runtime.Tag(fmt.Sprint("tag", i))
					if err := s.DeleteByTag(t.Context(), tag); err != nil {
						t.Fatal(err)
					}
					if err := s.ExpireByTag(t.Context(), tag); err != nil {
						t.Fatal(err)
					}
				}
				if keys := left(t, &shared); len(keys) != 0 {
					t.Errorf("%d keys are left, as %q", len(keys), keys[0])
				}
			})
		})
	}
}

// What is written beside an entry ends soon after it.
func TestStampsEndSoonAfterTheEntriesThatCarryThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Second))
		c := newCache[int, int](t, s.Namespace("users"))
		for i := range 100 {
			load := func(ctx context.Context) (int, error) {
				runtime.EntryOf(ctx).SetTags(runtime.Tag(fmt.Sprint("said", i)))
				return i, nil
			}
			for range 2 {
				if _, err := c.GetOrSet(t.Context(), i, load, runtime.Tags(runtime.Tag(fmt.Sprint("tag", i)))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(left(t, &shared)); n < 100 {
			t.Fatalf("%d keys", n)
		}
		time.Sleep(2 * time.Minute)
		keys := left(t, &shared)
		if len(keys) > 1 { // the number of tag changes, which is one for the store
			t.Errorf("%d keys are left, as %q", len(keys), keys[0])
		}
		time.Sleep(24 * time.Hour)
		if keys := left(t, &shared); len(keys) != 0 {
			t.Errorf("%q are left", keys)
		}
	})
}

// A stamp ends after what carries it, and not before: entries are served for all of their
// life, whatever the stamps were made for.
func TestEntriesAreNotLostBecauseTheirStampsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared))
		other := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		c := newCache[int, int](t, s)
		loads := 0
		load := func(ctx context.Context) (int, error) { loads++; return loads, nil }
		get := func(key int, ttl time.Duration, options ...runtime.CallOption) {
			t.Helper()
			if _, err := c.GetOrSet(t.Context(), key, load, append(options, runtime.TTL(ttl), runtime.Tags("tag"))...); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 200 { // the short ones make and extend the stamps
			get(i, time.Second)
			time.Sleep(time.Second)
		}
		get(1000, 3*time.Hour)
		get(1001, time.Minute, runtime.Grace(5*time.Hour))
		get(1002, runtime.Forever)
		if err := other.Set(t.Context(), 1003, 7, runtime.TTL(48*time.Hour), runtime.Tags("other")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, step := range []struct {
			after time.Duration
			there map[int]bool
		}{
			{3*time.Hour - time.Second, map[int]bool{1000: true, 1001: true, 1002: true, 1003: true}},
			{5 * time.Hour, map[int]bool{1000: false, 1001: true, 1002: true, 1003: true}},
			{48*time.Hour - time.Second, map[int]bool{1001: false, 1002: true, 1003: true}},
			{1000 * time.Hour, map[int]bool{1002: true, 1003: false}},
		} {
			time.Sleep(step.after - time.Since(began))
			for key, want := range step.there {
				if _, ok, err := other.Get(t.Context(), key, runtime.AllowStale()); err != nil || ok != want {
					t.Errorf("after %v: %d is there: %v, %v", step.after, key, ok, err)
				}
			}
		}
	})
}
