package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// changes are all the ways to invalidate the entry of key 7, which is tagged team:1.
var changes = map[string]func(context.Context, *runtime.Store, *runtime.Cache[int, int]) error{
	"Delete": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Delete(ctx, 7) },
	"Expire": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Expire(ctx, 7) },
	"DeleteByTag": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error {
		return s.DeleteByTag(ctx, "team:1")
	},
	"ExpireByTag": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error {
		return s.ExpireByTag(ctx, "team:1")
	},
	"Cache.Clear": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Clear(ctx) },
	"Namespace.Clear": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error {
		return s.Namespace("users").Clear(ctx)
	},
	"Store.Clear": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error { return s.Clear(ctx) },
}

// setups are the tiers that a store may have.
var setups = map[string]func() []runtime.StoreOption{
	"L1": func() []runtime.StoreOption { return []runtime.StoreOption{memoryTier()} },
	"L2": func() []runtime.StoreOption { return []runtime.StoreOption{runtime.L2(&faketier.Shared{})} },
	"L2 without leases": func() []runtime.StoreOption {
		return []runtime.StoreOption{runtime.L2(faketier.Unleased(&faketier.Shared{}))}
	},
	"L1+L2": func() []runtime.StoreOption {
		return []runtime.StoreOption{memoryTier(), runtime.L2(&faketier.Shared{})}
	},
	"L1+bus": func() []runtime.StoreOption {
		return []runtime.StoreOption{memoryTier(), runtime.Bus(&faketier.Bus{})}
	},
	"all without leases": func() []runtime.StoreOption {
		return []runtime.StoreOption{memoryTier(), runtime.L2(faketier.Unleased(&faketier.Shared{})), runtime.Bus(&faketier.Bus{})}
	},
	"all": func() []runtime.StoreOption {
		return []runtime.StoreOption{memoryTier(), runtime.L2(&faketier.Shared{}), runtime.Bus(&faketier.Bus{}), runtime.Prefix("app")}
	},
}

// everyChange runs f for each way to invalidate on each setup. The tag of the
// cache's entries is told by the key or, with result, by the value.
func everyChange(t *testing.T, result bool, f func(t *testing.T, c *runtime.Cache[int, int], change func() error)) {
	everyChangeWith(t, result, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
		f(t, c, func() error { return change(t.Context()) })
	})
}

// everyChangeWith is everyChange for a test that has a context of its own for the change.
func everyChangeWith(t *testing.T, result bool, f func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error)) {
	for setup, options := range setups {
		for name, change := range changes {
			t.Run(setup+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newStore(t, options()...)
					stores, err := runtime.NewStores(s)
					if err != nil {
						t.Fatal(err)
					}
					d := definition[int, int]{Name: "pkg.Find", Namespace: "users"}
					if result {
						d.ResultTags = func(int) []runtime.Tag { return []runtime.Tag{"team:1"} }
					} else {
						d.Tags = func(int) []runtime.Tag { return []runtime.Tag{"team:1"} }
					}
					c, err := open(stores, d)
					if err != nil {
						t.Fatal(err)
					}
					f(t, c, func(ctx context.Context) error { return change(ctx, s, c) })
				})
			})
		}
	}
}

func TestNothingStaleAfterAnInvalidation(t *testing.T) {
	everyChange(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		var src source
		for i := range 3 {
			src.value.Store(int64(i))
			if err := change(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, i)
			}
			wantLoads(t, &src, int64(i+1))
		}
	})
}

// race R1, R2, R4: a load that was in flight when its key was invalidated neither
// fills a tier nor serves a caller that came after. Its own waiters get it.
func TestAnInvalidationBeatsALoadInFlight(t *testing.T) {
	for _, result := range []bool{false, true} {
		everyChange(t, result, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
			var src source
			src.value.Store(1)
			src.delay.Store(int64(time.Second))
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if got, err := c.GetOrSet(t.Context(), 7, src.load); err != nil || got != 1 {
						t.Errorf("a caller from before got %v, %v, want the old value", got, err)
					}
				})
			}
			synctest.Wait()
			src.value.Store(2)
			if err := change(); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { // while the old load runs
				if got, err := c.GetOrSet(t.Context(), 7, src.load); err != nil || got != 2 {
					t.Errorf("a caller from after got %v, %v, want the new value", got, err)
				}
			})
			wg.Wait()
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 2)
		})
	}
}

// race R3: the same for a refresh in the background.
func TestAnInvalidationBeatsARefreshInFlight(t *testing.T) {
	everyChange(t, true, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		var src source
		src.value.Store(1)
		grace := []runtime.CallOption{runtime.TTL(time.Second), runtime.Grace(time.Hour)}
		if _, err := c.GetOrSet(t.Context(), 7, src.load, grace...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		src.delay.Store(int64(time.Second))
		got, err := c.GetOrSet(t.Context(), 7, src.load, grace...)
		want(t, got, err, 1)
		synctest.Wait() // the refresh has read its value
		src.value.Store(2)
		src.delay.Store(0)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // the refresh is over
		got, err = c.GetOrSet(t.Context(), 7, src.load, runtime.Timeout(time.Minute))
		want(t, got, err, 2)
	})
}

// race R4: Set during a load.
func TestSetBeatsALoadInFlight(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				src.value.Store(1)
				src.delay.Store(int64(time.Second))
				c := newCache[int, int](t, newStore(t, options()...))
				var wg sync.WaitGroup
				wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load) })
				synctest.Wait()
				if err := c.Set(t.Context(), 7, 2); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 2)
				wantLoads(t, &src, 1)
			})
		})
	}
}

// race R5: while Delete is on its way to the shared tier, readers take the old
// value from there. They may return it; they must not keep it.
func TestAReaderBetweenTheTiersKeepsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		other := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		if err := other.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		read := make(chan struct{})
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "delete" {
				shared.SetBefore(nil)
				close(read) // the delete is under way
				synctest.Wait()
			}
			return nil
		})
		shared.SetAfter(func(op string, keys []string) {
			if op == "get" && keys[0] == adHocKeys+"7" {
				time.Sleep(time.Second) // the old value has been read and is on its way back
			}
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			<-read
			c.Get(t.Context(), 7)
		})
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		shared.SetAfter(nil)
		if v, ok, err := c.Get(t.Context(), 7); ok || err != nil {
			t.Fatalf("after Delete: %v, %v, %v, want nothing", v, ok, err)
		}
	})
}

// A fill of the shared tier that has begun is not overtaken by a delete.
func TestDeleteWaitsForAFillUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var src source
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		if _, err := c.GetOrSet(t.Context(), 1, src.load); err != nil { // makes the stamps
			t.Fatal(err)
		}
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "set" {
				time.Sleep(500 * time.Millisecond) // on the wire
			}
			return nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { c.GetOrSet(t.Context(), 7, src.load) })
		synctest.Wait()
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, ok := shared.Keys()[adHocKeys+"7"]; ok {
			t.Fatal("the fill landed after the delete")
		}
	})
}

// race R32: an invalidation that the shared tier did not take is reported.
func TestAFailedInvalidationIsReported(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	everyChange(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func() error) {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	})
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				s := newStore(t, memoryTier(), runtime.L2(&shared))
				c := newCache[int, int](t, s.Namespace("users"))
				if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				shared.Down(errors.New("connection refused"))
				err := change(t.Context(), s, c)
				var failed *runtime.InvalidationError
				if !errors.As(err, &failed) || failed.Store != "test" || len(failed.Targets) != 1 {
					t.Fatalf("got %v, want an InvalidationError", err)
				}
				shared.Down(nil) // what is pending gets through before the end
			})
		})
	}
}

func TestACancelledCallerStillInvalidates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := c.Get(t.Context(), 7); ok {
			t.Fatal("the entry is still there")
		}
	})
}

// race R33: what a user has expired stays as a grace value in both tiers; what
// was deleted does not.
func TestExpireKeepsTheGraceValueAndDeleteDoesNot(t *testing.T) {
	mayTell(t, "load failed")
	for name, change := range changes {
		for setup, options := range setups {
			t.Run(setup+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var src source
					s := newStore(t, append(options(), runtime.Grace(time.Hour))...)
					c := newCache[int, int](t, s.Namespace("users"))
					if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
						t.Fatal(err)
					}
					src.fail.Store(true)
					if err := change(t.Context(), s, c); err != nil {
						t.Fatal(err)
					}
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					if name == "Expire" || name == "ExpireByTag" {
						want(t, got, err, 1)
						synctest.Wait()
						wantLoads(t, &src, 1)
					} else if !errors.Is(err, errSource) {
						t.Fatalf("got %v, %v, want the load's error", got, err)
					}
				})
			})
		}
	}
}

// race R22: a stamp that the shared tier has lost makes entries misses.
func TestALostStampCostsALoadAndBringsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		open := func() (*runtime.Store, *runtime.Cache[int, int]) {
			s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Hour))
			return s, newCache[int, int](t, s)
		}
		s, c := open()
		src.value.Store(1)
		if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
			t.Fatal(err)
		}
		src.value.Store(2)
		if err := s.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		for key := range shared.Keys() {
			if key != adHocKeys+"7" {
				shared.Evict(key)
			}
		}
		_, c = open() // another process
		got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
		want(t, got, err, 2)
	})
}

// race R19: clearing a namespace leaves its neighbours alone, however alike the names.
func TestNamespacesDoNotTouchEachOther(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers(), runtime.Prefix("app"))
		spaces := map[string]any{
			"store":    s,
			"users":    s.Namespace("users"),
			"usersAbc": s.Namespace("usersAbc"),
			"users/eu": s.Namespace("users").Namespace("eu"),
			"users:eu": s.Namespace("users:eu"),
			"users@eu": s.Namespace("users@eu"),
			"empty":    s.Namespace(""),
		}
		fill := func() {
			for name, in := range spaces {
				if err := newCache[string, string](t, in).Set(t.Context(), "eu:1", name); err != nil {
					t.Fatal(err)
				}
			}
		}
		left := func() map[string]bool {
			out := map[string]bool{}
			for name, in := range spaces {
				v, ok, err := newCache[string, string](t, in).Get(t.Context(), "eu:1")
				if err != nil || ok && v != name {
					t.Fatalf("%s holds %q, %v", name, v, err)
				}
				out[name] = ok
			}
			return out
		}
		fill()
		for name, ok := range left() {
			if !ok {
				t.Errorf("%s lost its entry", name)
			}
		}
		if err := s.Namespace("users").Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, ok := range left() {
			if gone := name == "users" || name == "users/eu"; ok == gone {
				t.Errorf("after clearing users, %s: there %v", name, ok)
			}
		}
	})
}

// race R37: keys that a user writes cannot reach reserved ones.
func TestKeysAndTagsStayOutOfTheReservedSpace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, memoryTier(), runtime.L2(&shared))
		c := newCache[string, int](t, s)
		if err := c.Set(t.Context(), "warm", 0, runtime.Tags("x")); err != nil {
			t.Fatal(err)
		}
		reserved := shared.Keys()
		for key := range reserved {
			if key == "warm" {
				continue
			}
			if err := c.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Set(t.Context(), key, 1, runtime.Tags(runtime.Tag(key))); err != nil {
				t.Fatal(err)
			}
		}
		now := shared.Keys()
		for key, value := range reserved {
			if string(now[key]) != string(value) && key != "warm" {
				t.Errorf("a user's key overwrote %s", key)
			}
		}
	})
}

// race R21, R42: reads publish nothing and write nothing but what they load.
func TestFillsPublishNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		published := 0
		bus.Hold = func([]byte) bool { published++; return true }
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&faketier.Shared{}), runtime.Bus(&bus)))
		for i := range 10 {
			if _, err := c.GetOrSet(t.Context(), i, src.load); err != nil {
				t.Fatal(err)
			}
		}
		if published != 0 {
			t.Fatalf("%d messages for fills", published)
		}
	})
}

func TestDeleteManyIsOneRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		for i := range 10 {
			if err := c.Set(t.Context(), i, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.DeleteMany(t.Context(), 0, 1, 2, 3, 4); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			has, err := c.Has(t.Context(), i)
			want(t, has, err, i > 4)
			missing, err := c.Missing(t.Context(), i)
			want(t, missing, err, i <= 4)
		}
		if n := shared.Calls("delete"); n != 1 {
			t.Fatalf("%d deletes, want 1", n)
		}
	})
}

func TestPullGivesAValueToOneOfMany(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[string, string](t, newStore(t, options()...))
				if err := c.Set(t.Context(), "token", "secret"); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var got []string
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						v, ok, err := c.Pull(t.Context(), "token")
						if err != nil {
							t.Error(err)
						}
						if ok {
							mu.Lock()
							got = append(got, v)
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				if fmt.Sprint(got) != "[secret]" {
					t.Fatalf("pulled %v, want it once", got)
				}
			})
		})
	}
}

// A flight that began while Delete was on its way may bring the old value from the
// shared tier. Who comes after Delete has returned must not join it.
func TestNobodyJoinsAFlightFromBeforeTheDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		src.value.Store(2)
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		other := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		if err := other.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		var slow atomic.Bool
		under, readers := make(chan struct{}), sync.WaitGroup{}
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "delete" {
				close(under)
				synctest.Wait()
			}
			return nil
		})
		shared.SetAfter(func(op string, keys []string) {
			if op == "get" && keys[0] == adHocKeys+"7" {
				if slow.CompareAndSwap(false, true) {
					time.Sleep(time.Second) // the old value is on its way back
				}
			}
		})
		readers.Go(func() {
			<-under
			c.GetOrSet(t.Context(), 7, src.load)
		})
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
		readers.Wait()
		got, err = c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}
