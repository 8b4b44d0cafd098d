package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// says returns a loader that counts, and tells its entry something.
func says(n *int, v int, say func(*runtime.Entry)) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		*n++
		say(runtime.EntryOf(ctx))
		return v, nil
	}
}

func TestALoaderSetsTheTTL(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour)))
		var loads int
		short := says(&loads, 1, func(e *runtime.Entry) { e.SetTTL(time.Minute) })
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 7, short, runtime.TTL(2*time.Hour)) // the loader knows best
			want(t, got, err, 1)
		}
		time.Sleep(time.Minute)
		if _, err := c.GetOrSet(t.Context(), 7, short); err != nil || loads != 2 {
			t.Fatal(loads, err)
		}
		// Nothing of it leaks into another call.
		var other int
		plain := says(&other, 2, func(*runtime.Entry) {})
		_, _ = c.GetOrSet(t.Context(), 8, plain)
		time.Sleep(30 * time.Minute)
		_, _ = c.GetOrSet(t.Context(), 8, plain)
		if other != 1 {
			t.Fatalf("%d loads of the other key", other)
		}
	})
}

func TestALoaderThatSetsNoTTLStoresNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		var loads int
		for range 3 {
			got, err := c.GetOrSet(t.Context(), 7, says(&loads, 1, func(e *runtime.Entry) { e.SetTTL(0) }))
			want(t, got, err, 1)
		}
		if loads != 3 || shared.Calls("set") != 0 {
			t.Fatal(loads, shared.Calls("set"))
		}
	})
}

func TestALoaderSetsGraceAndOtherOptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Minute)))
		var loads int
		_, err := c.GetOrSet(t.Context(), 7, says(&loads, 1, func(e *runtime.Entry) {
			e.SetOptions(runtime.Grace(time.Hour), runtime.SkipL2Write(true))
		}))
		if err != nil {
			t.Fatal(err)
		}
		if shared.Calls("set") != 0 {
			t.Error("it was written to the shared tier")
		}
		time.Sleep(30 * time.Minute)
		got, ok, err := c.Get(t.Context(), 7, runtime.AllowStale())
		if !ok {
			t.Fatal("it has no grace")
		}
		want(t, got, err, 1)
	})
}

// Tags that only the loader knows are as good as others.
func TestALoaderSetsTags(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, options()...)
				c := newCache[int, int](t, s)
				var loads int
				load := says(&loads, 1, func(e *runtime.Entry) { e.SetTags("team:1"); e.SetTags("team:2") })
				for _, tag := range []runtime.Tag{"", "team:1", "team:2"} {
					if tag != "" {
						if err := s.DeleteByTag(t.Context(), tag); err != nil {
							t.Fatal(err)
						}
					}
					before := loads
					for range 3 {
						if _, err := c.GetOrSet(t.Context(), 7, load); err != nil {
							t.Fatal(err)
						}
					}
					if n := loads - before; n != 1 {
						t.Errorf("after deleting %q: %d loads", tag, n)
					}
				}
			})
		})
	}
}

// What is new to a process costs no second load: the first tags that a function's loader sets,
// however it sets them and whatever else has changed before, and the first tag of a result.
func TestTheFirstTagsOfAFunctionCostNoSecondLoad(t *testing.T) {
	byCall := func(set func(e *runtime.Entry)) func(t *testing.T, s *runtime.Store, in func() *runtime.Store) int {
		return func(t *testing.T, s *runtime.Store, _ func() *runtime.Store) (loads int) {
			c := newCache[int, int](t, s.Namespace("new"))
			for range 3 {
				if _, err := c.GetOrSet(t.Context(), 7, says(&loads, 1, set)); err != nil {
					t.Fatal(err)
				}
			}
			return loads
		}
	}
	for name, first := range map[string]func(t *testing.T, s *runtime.Store, in func() *runtime.Store) (loads int){
		"SetTags":     byCall(func(e *runtime.Entry) { e.SetTags("new") }),
		"SetOptions":  byCall(func(e *runtime.Entry) { e.SetOptions(runtime.Tags("new"), runtime.TTL(time.Hour)) }),
		"SetTTL":      byCall(func(e *runtime.Entry) { e.SetTTL(time.Hour) }),
		"a known tag": byCall(func(e *runtime.Entry) { e.SetTags("old") }),
		"tag of result": func(t *testing.T, _ *runtime.Store, in func() *runtime.Store) (loads int) {
			stores, err := runtime.NewStores(in())
			if err != nil {
				t.Fatal(err)
			}
			c, err := open(stores, definition[int, int]{Name: "n", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"new"} }})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := c.GetOrSet(t.Context(), 7, says(&loads, 1, func(*runtime.Entry) {})); err != nil {
					t.Fatal(err)
				}
			}
			return loads
		},
		"a batch": func(t *testing.T, s *runtime.Store, _ func() *runtime.Store) (loads int) {
			c := newCache[int, int](t, s.Namespace("new"))
			for range 3 {
				if _, err := c.GetOrSetMany(t.Context(), []int{1, 2}, func(ctx context.Context, missing []int) (map[int]int, error) {
					loads++
					runtime.EntryOf(ctx).SetTags("new")
					return loadAll(ctx, missing)
				}); err != nil {
					t.Fatal(err)
				}
			}
			return loads
		},
		"after many loads without": func(t *testing.T, s *runtime.Store, _ func() *runtime.Store) (loads int) {
			c := newCache[int, int](t, s.Namespace("new"))
			var src source
			for k := range 1000 {
				if _, err := c.GetOrSet(t.Context(), 1000+k, src.load); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				if _, err := c.GetOrSet(t.Context(), 7, says(&loads, 1, func(e *runtime.Entry) { e.SetTags("new") })); err != nil {
					t.Fatal(err)
				}
			}
			return loads
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				team := in.team()
				process := func() *runtime.Store { return newStore(t, team()) }
				s, other := process(), process()
				for i := range 5 { // others are at work in the same store
					c := newCache[int, int](t, other.Namespace("others"))
					if _, err := c.GetOrSet(t.Context(), i, func(ctx context.Context) (int, error) {
						runtime.EntryOf(ctx).SetTags("old")
						return 1, nil
					}); err != nil {
						t.Fatal(err)
					}
					if err := other.DeleteByTag(t.Context(), "old"); err != nil {
						t.Fatal(err)
					}
				}
				if n := first(t, s, process); n != 1 {
					t.Errorf("%d loads, want one", n)
				}
			})
		})
	}
}

// race R2: the tag that the loader will set is deleted while it runs.
func TestATagThatALoaderSetsIsDeletedDuringTheLoad(t *testing.T) {
	for _, where := range []string{"here", "in another process"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				a := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus))
				b := a
				if where != "here" {
					b = newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus))
				}
				c := newCache[int, int](t, a)
				// The first load of the cache, and one that comes when it is known to set tags.
				for k := range 2 {
					release := make(chan struct{})
					v := 1
					load := func(ctx context.Context) (int, error) {
						got := v
						<-release
						runtime.EntryOf(ctx).SetTags("team:1")
						return got, nil
					}
					go func() { _, _ = c.GetOrSet(context.Background(), k, load) }()
					synctest.Wait()
					v = 2
					if err := b.DeleteByTag(t.Context(), "team:1"); err != nil {
						t.Fatal(err)
					}
					close(release)
					synctest.Wait()
					got, err := c.GetOrSet(t.Context(), k, load)
					want(t, got, err, 2)
				}
			})
		})
	}
}

func TestALoaderSkips(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		var loads int
		for i := range 3 {
			got, err := c.GetOrSet(t.Context(), 7, says(&loads, i+10, (*runtime.Entry).Skip))
			want(t, got, err, i+10)
		}
		if loads != 3 {
			t.Errorf("%d loads", loads)
		}
		got, ok, err := c.Get(t.Context(), 7, runtime.AllowStale())
		if !ok {
			t.Fatal("what was there is gone")
		}
		want(t, got, err, 1)
	})
}

func TestALoaderFails(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		var loads int
		fail := says(&loads, 5, func(e *runtime.Entry) { e.Fail(nil); e.Fail(errSource) })
		if v, err := c.GetOrSet(t.Context(), 7, fail); !errors.Is(err, errSource) || v != 0 {
			t.Fatal(v, err)
		}
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		got, err := c.GetOrSet(t.Context(), 7, fail)
		want(t, got, err, 1)
		got, err = c.GetOrSet(t.Context(), 7, fail) // within the back-off
		want(t, got, err, 1)
		if loads != 2 {
			t.Errorf("%d loads", loads)
		}
	})
}

func TestALoaderSeesTheStaleValueAndWhyItIsStale(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, append(options(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.RefreshAfter(30*time.Second))...)
				c := newCache[int, []int](t, s)
				var value []int
				var why, typedWhy event.Reason
				var ok bool
				load := func(ctx context.Context) ([]int, error) {
					runtime.EntryOf(ctx).SetTags("team:1")
					var v any
					v, why = runtime.EntryOf(ctx).Stale()
					value, typedWhy, ok = runtime.StaleValue[[]int](ctx)
					if ok {
						if !slices.Equal(v.([]int), value) {
							t.Errorf("%v and %v", v, value)
						}
						value[0] = 99 // is the loader's own
					}
					if _, _, other := runtime.StaleValue[string](ctx); other {
						t.Error("a value of another type")
					}
					return []int{1}, nil
				}
				read := func() {
					if _, err := c.GetOrSet(t.Context(), 7, load, runtime.Tags("team:1")); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				check := func(wanted event.Reason) {
					t.Helper()
					if why != wanted || typedWhy != wanted || ok != (wanted != event.NoValue) || ok && value[0] != 99 {
						t.Errorf("got %v, %v, %v", why, typedWhy, ok)
					}
				}
				read()
				check(event.NoValue)
				time.Sleep(40 * time.Second)
				read()
				check(event.Due)
				time.Sleep(2 * time.Minute)
				read()
				check(event.Elapsed)
				if err := c.Expire(t.Context(), 7); err != nil {
					t.Fatal(err)
				}
				read()
				check(event.Invalidated)
				if err := s.ExpireByTag(t.Context(), "team:1"); err != nil {
					t.Fatal(err)
				}
				read()
				check(event.Invalidated)
				if err := s.DeleteByTag(t.Context(), "team:1"); err != nil {
					t.Fatal(err)
				}
				read()
				check(event.NoValue)
			})
		})
	}
}

func TestNotModifiedMakesTheValueFreshAgain(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, append(options(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))...)
				c := newCache[int, int](t, s)
				if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				var loads int
				same := func(ctx context.Context) (int, error) {
					loads++
					if runtime.EntryOf(ctx).NotModified() {
						return 0, nil
					}
					return 2, nil
				}
				for range 3 {
					got, err := c.GetOrSet(t.Context(), 7, same)
					want(t, got, err, 1)
					time.Sleep(20 * time.Second)
				}
				if loads != 1 {
					t.Fatalf("%d loads", loads)
				}
				// It has kept its tags.
				if err := s.DeleteByTag(t.Context(), "team:1"); err != nil {
					t.Fatal(err)
				}
				got, err := c.GetOrSet(t.Context(), 7, same)
				want(t, got, err, 2)
			})
		})
	}
}

// An invalidation is not undone by a source that says that nothing has changed,
// whenever it comes.
func TestNotModifiedDoesNotUndoAnInvalidation(t *testing.T) {
	for setup, options := range setups {
		for name, change := range changes {
			for _, when := range []string{"before", "during", "after"} {
				t.Run(fmt.Sprint(setup, name, when), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						s := newStore(t, append(options(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))...)
						c := newCache[int, int](t, s.Namespace("users"))
						if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
							t.Fatal(err)
						}
						time.Sleep(2 * time.Minute)
						do := func(at string) {
							if at == when {
								if err := change(t.Context(), s, c); err != nil {
									t.Error(err)
								}
							}
						}
						do("before")
						accepted := false
						first := true
						load := func(ctx context.Context) (int, error) {
							if !first {
								return 2, nil
							}
							first = false
							if when == "after" {
								accepted = runtime.EntryOf(ctx).NotModified()
							}
							do("during")
							do("after")
							if when != "after" {
								accepted = runtime.EntryOf(ctx).NotModified()
							}
							return 2, nil
						}
						_, _ = c.GetOrSet(t.Context(), 7, load)
						if accepted && when == "before" {
							t.Error("accepted although it was invalidated before")
						}
						got, err := c.GetOrSet(t.Context(), 7, load)
						want(t, got, err, 2)
					})
				})
			}
		}
	}
}

func TestOutsideOfACacheAnEntryDoesNothing(t *testing.T) {
	e := runtime.EntryOf(t.Context())
	e.SetTTL(time.Second)
	e.SetTags("x")
	e.SetOptions(runtime.TTL(1))
	e.Skip()
	e.Fail(errSource)
	if v, why := e.Stale(); v != nil || why != event.NoValue {
		t.Error(v, why)
	}
	if e.NotModified() {
		t.Error("not modified")
	}
	if _, _, ok := runtime.StaleValue[int](t.Context()); ok {
		t.Error("a stale value")
	}
}

// What a loader says later, it says to nobody.
func TestAnEntryThatOutlivesItsLoadTakesNothing(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour)))
		var kept *runtime.Entry
		var loads int
		load := says(&loads, 1, func(e *runtime.Entry) { kept = e })
		if _, err := c.GetOrSet(t.Context(), 7, load); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				kept.SetTTL(time.Second)
				kept.Skip()
				kept.Fail(errSource)
				kept.SetTags("x")
				_, _ = kept.Stale()
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		got, err := c.GetOrSet(t.Context(), 7, load)
		want(t, got, err, 1)
		if loads != 1 {
			t.Errorf("%d loads", loads)
		}
	})
}

// A loader that reads another key through the cache has nothing to do with its entry.
func TestAnEntryIsThatOfTheInnermostLoad(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour)))
		var inner, outer int
		load := func(ctx context.Context) (int, error) {
			outer++
			return c.GetOrSet(ctx, "inner", says(&inner, 1, func(e *runtime.Entry) { e.SetTTL(time.Minute) }))
		}
		for range 2 {
			if _, err := c.GetOrSet(t.Context(), "outer", load); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Minute)
		}
		if outer != 1 || inner != 1 {
			t.Errorf("%d outer, %d inner loads", outer, inner)
		}
		if ok, _ := c.Has(t.Context(), "inner"); ok {
			t.Error("the inner one is fresh still")
		}
	})
}

func TestALoaderOfManyHasOneEntryForAll(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers(), runtime.TTL(time.Hour))
		c := newCache[int, int](t, s)
		var asked int
		load := func(ctx context.Context, keys []int) (map[int]int, error) {
			asked += len(keys)
			e := runtime.EntryOf(ctx)
			e.SetTTL(time.Minute)
			e.SetTags("all")
			if _, why := e.Stale(); why != event.NoValue || e.NotModified() {
				t.Error("one stale value for many keys")
			}
			out := map[int]int{}
			for _, k := range keys {
				out[k] = k
			}
			return out, nil
		}
		keys := []int{1, 2, 3}
		for _, f := range []func(){func() {}, func() { time.Sleep(time.Minute) }, func() { _ = s.DeleteByTag(t.Context(), "all") }} {
			f()
			for range 2 {
				if got, err := c.GetOrSetMany(t.Context(), keys, load); len(got) != 3 || err != nil {
					t.Fatal(got, err)
				}
			}
		}
		if asked != 9 {
			t.Errorf("asked for %d keys", asked)
		}
	})
}

func TestTheReasonsHaveNames(t *testing.T) {
	for r, wanted := range []string{"no value", "elapsed", "due", "invalidated", "unconfirmed", "unconfirmed"} {
		if got := event.Reason(r).String(); got != wanted {
			t.Errorf("%d is %q", r, got)
		}
	}
}

// What had elapsed when another process expired it is expired all the same.
func TestNotModifiedDoesNotUndoTheExpiryOfAnElapsedValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		here := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))
		there := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		_ = here.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Minute)
		if err := there.Expire(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		got, err := here.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
			if runtime.EntryOf(ctx).NotModified() {
				t.Error("accepted")
			}
			if _, why, _ := runtime.StaleValue[int](ctx); why != event.Invalidated {
				t.Error(why)
			}
			return 2, nil
		})
		want(t, got, err, 2)
	})
}

func TestAnEmptyStaleValueIsAValue(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, []int](t, newStore(t, in.tiers()), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))
		_ = c.Set(t.Context(), 7, nil)
		time.Sleep(2 * time.Minute)
		_, _ = c.GetOrSet(t.Context(), 7, func(ctx context.Context) ([]int, error) {
			if v, why, ok := runtime.StaleValue[[]int](ctx); v != nil || why != event.Elapsed || !ok {
				t.Error(v, why, ok)
			}
			return []int{1}, nil
		})
	})
}
