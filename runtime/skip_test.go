package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestSkipL2WriteKeepsValuesInThisProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		var src source
		src.value.Store(1)
		if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.SkipL2Write(true)); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), 8, 1); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), 8, 2, runtime.SkipL2Write(true)); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{adHocKeys + "7", adHocKeys + "8"} { // not the new one, and not what it replaces
			if b, ok := shared.Keys()[key]; ok {
				t.Errorf("%s is in the shared tier: %q", key, b)
			}
		}
		for k, wanted := range map[int]int{7: 1, 8: 2} {
			got, ok, err := c.Get(t.Context(), k)
			if !ok {
				t.Errorf("%d is not in memory", k)
			}
			want(t, got, err, wanted)
		}
	})
}

func TestSkipBusNotifyTellsNobodyOfEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var messages atomic.Int64
		bus.Hold = func([]byte) bool { messages.Add(1); return false }
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus))
		c := newCache[int, int](t, s, runtime.SkipBusNotify(true))
		for _, err := range []error{c.Set(t.Context(), 7, 1), c.Expire(t.Context(), 7), c.Delete(t.Context(), 7)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := c.Pull(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if n := messages.Load(); n != 0 {
			t.Errorf("%d messages", n)
		}
		if err := c.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := messages.Load(); n != 1 {
			t.Errorf("%d messages of a clear", n)
		}
		if err := c.Set(t.Context(), 7, 1, runtime.SkipBusNotify(false)); err != nil {
			t.Fatal(err)
		}
		if n := messages.Load(); n != 2 {
			t.Error("the call's own option does not win")
		}
	})
}

func TestOnLoadErrorHearsOfEveryFailure(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		var heard []string
		var mu sync.Mutex
		on := runtime.OnLoadError(func(e *event.LoadError) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf("%s %v %v %v", e.Store, strings.TrimPrefix(e.Keys[0], adHocKeys), e.Background, errors.Is(e, errSource)))
		})
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), on))
		var src source
		src.fail.Store(true)
		if _, err := c.GetOrSet(t.Context(), 7, src.load); !errors.Is(err, errSource) {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil { // served the grace value
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := c.GetOrSet(t.Context(), 8, src.load, runtime.OnLoadError(nil)); err == nil {
			t.Fatal("no error")
		}
		if want := []string{"test 7 false true", "test 7 true true"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q", heard)
		}
		text := (&event.LoadError{Store: "main", Cache: "F", Keys: []string{"1", "2", "3", "4"}, Err: errSource}).Error()
		if text != "cachegen: load 1, 2, 3 and 1 more of F in store main: source is down" {
			t.Error(text)
		}
	})
}

// Two processes pull one value: one of them gets it.
func TestPullTakesAValueOnceAmongAllProcesses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 15 {
			var shared faketier.Shared
			var bus faketier.Bus
			var caches []*runtime.Cache[int, int]
			for range 4 {
				_, c := process(t, &shared, &bus)
				caches = append(caches, c)
			}
			if err := caches[0].Set(t.Context(), 7, 1); err != nil {
				t.Fatal(err)
			}
			for _, c := range caches { // all have it in memory
				if _, ok, err := c.Get(t.Context(), 7); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
			shared.SetBefore(func(context.Context, string, []string) error { time.Sleep(time.Millisecond); return nil })
			var taken atomic.Int64
			var all sync.WaitGroup
			for _, c := range caches {
				for range 3 {
					all.Go(func() {
						v, ok, err := c.Pull(context.Background(), 7)
						if err != nil {
							t.Error(err)
						}
						if ok {
							taken.Add(1)
							if v != 1 {
								t.Error(v)
							}
						}
					})
				}
			}
			all.Wait()
			if taken.Load() != 1 {
				t.Fatalf("taken %d times", taken.Load())
			}
			for _, c := range caches {
				if ok, err := c.Has(t.Context(), 7); ok || err != nil {
					t.Fatal("it is there still", err)
				}
			}
		}
	})
}

// An Expire that has read an entry does not write it back over what another process
// has stored meanwhile.
func TestExpireDoesNotOverwriteANewerValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		a := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.Grace(time.Hour)))
		b := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.Grace(time.Hour)))
		if err := a.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		once := true
		shared.SetAfter(func(op string, keys []string) {
			if op == "get" && once && keys[0] == adHocKeys+"7" {
				once = false
				if err := b.Set(t.Context(), 7, 2); err != nil {
					t.Error(err)
				}
			}
		})
		if err := a.Expire(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		got, ok, err := a.Get(t.Context(), 7, runtime.AllowStale())
		if !ok {
			t.Fatal("it is gone")
		}
		want(t, got, err, 2)
		if ok, _ := a.Has(t.Context(), 7); ok {
			t.Error("it is not expired") // an Expire that ends after the Set counts for it too
		}
	})
}

// A tier may refuse a value, such as one that is too large. That is no outage, and
// what the value replaces goes all the same.
func TestAValueThatTheSharedTierRefuses(t *testing.T) {
	mayTell(t, "refused")
	for _, memory := range []bool{true, false} {
		t.Run(fmt.Sprint("memory ", memory), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				options := []runtime.StoreOption{runtime.L2(&shared)}
				if memory {
					options = append(options, memoryTier())
				}
				c := newCache[int, int](t, newStore(t, options...))
				if err := c.Set(t.Context(), 7, 1); err != nil {
					t.Fatal(err)
				}
				shared.SetBefore(func(_ context.Context, op string, keys []string) error {
					if op == "set" && slices.Contains(keys, adHocKeys+"7") {
						return fmt.Errorf("%w: 500 KB are more than 400 KB", drivers.ErrRefused)
					}
					return nil
				})
				for range 5 {
					err := c.Set(t.Context(), 7, 2)
					if memory != (err == nil) || err != nil && !errors.Is(err, drivers.ErrRefused) {
						t.Fatal(err)
					}
				}
				if _, ok := shared.Keys()[adHocKeys+"7"]; ok {
					t.Error("the old value is there still")
				}
				got, ok, err := c.Get(t.Context(), 7)
				if ok != memory || err != nil || ok && got != 2 {
					t.Error(got, ok, err)
				}
				// Others of its batch are written all the same, and the circuit breaker stays closed.
				if memory {
					_ = c.Delete(t.Context(), 7)
				}
				var b manyRows
				found, err := c.GetOrSetMany(t.Context(), []int{6, 7, 8}, b.load)
				if err != nil {
					t.Fatal(err)
				}
				wantKeys(t, found, 6, 7, 8)
				for _, key := range []string{"6", "8"} {
					if _, ok := shared.Keys()[adHocKeys+key]; !ok {
						t.Errorf("%s is missing in the shared tier", key)
					}
				}
			})
		})
	}
}
