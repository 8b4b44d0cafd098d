package runtime_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// race R12: a refresh outlives the request that began it, and its key is free when it
// has ended, however it ends.
func TestARefreshDoesNotEndWithTheRequestThatBeganIt(t *testing.T) {
	mayTell(t, "load failed")
	for name, end := range map[string]func() (int, error){
		"value":  func() (int, error) { return 2, nil },
		"error":  func() (int, error) { return 0, errSource },
		"panic":  func() (int, error) { panic("refresh") },
		"goexit": func() (int, error) { goruntime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Minute), runtime.GraceBackoff(time.Second)))
				if err := c.Set(t.Context(), 7, 1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				ctx, cancel := context.WithCancel(t.Context())
				cancelled := make(chan bool, 1)
				got, err := c.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) {
					time.Sleep(time.Second)
					cancelled <- ctx.Err() != nil
					return end()
				})
				want(t, got, err, 1)
				cancel()
				if <-cancelled {
					t.Fatal("it was cancelled with the request")
				}
				synctest.Wait()
				time.Sleep(2 * time.Second) // the back-off
				var again atomic.Int64
				_, err = c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { again.Add(1); return 3, nil })
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if refreshed := name == "value"; refreshed == (again.Load() == 1) {
					t.Errorf("%d loads after a refresh that ended with %s", again.Load(), name)
				}
			})
		})
	}
}

// race R12: neither does a soft timeout's load.
func TestALoadLeftBehindDoesNotEndWithItsRequest(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Millisecond)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		got, err := c.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			return 2, ctx.Err()
		})
		want(t, got, err, 1)
		cancel()
		time.Sleep(2 * time.Second)
		got, ok, err := c.Get(t.Context(), 7)
		if !ok {
			t.Fatal("the load was lost")
		}
		want(t, got, err, 2)
	})
}

// race R14: what works behind a request has its values, for traces and the like, but
// neither its cancellation nor its deadline.
func TestABackgroundLoadHasTheValuesOfItsRequestOnly(t *testing.T) {
	type key struct{}
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Minute)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), time.Second)
		defer cancel()
		done := make(chan struct{})
		_, err := c.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) {
			defer close(done)
			if ctx.Value(key{}) != "trace" {
				t.Error("the values are lost")
			}
			if _, ok := ctx.Deadline(); ok {
				t.Error("it has the request's deadline")
			}
			return 2, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		<-done
	})
}

// race R17: a caller who has waited too long for another's load loads for itself, and
// what the first of them brings is kept.
func TestACallerWhoWaitsTooLongLoadsForItself(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.LockTimeout(time.Second)))
		hung := make(chan struct{})
		first := make(chan error, 1)
		go func() {
			_, err := c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { <-hung; return 1, nil })
			first <- err
		}()
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
		close(hung)
		if err := <-first; err != nil {
			t.Error(err)
		}
		got, ok, err := c.Get(t.Context(), 7)
		if !ok {
			t.Fatal("nothing was kept")
		}
		want(t, got, err, 2)
	})
}

// race R40: a refresh does not put back what has been deleted since it began, and it
// loads with the arguments of the call that asked for it.
func TestARefreshDoesNotBringBackWhatWasDeleted(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, memoryTier(), runtime.L2(&faketier.Shared{}), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Minute))
				c := newCache[int, int](t, s.Namespace("users"))
				if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				release := make(chan struct{})
				if _, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { <-release; return 1, nil }, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := change(t.Context(), s, c); err != nil {
					t.Fatal(err)
				}
				close(release)
				synctest.Wait()
				if v, ok, err := c.Get(t.Context(), 7); ok || err != nil {
					t.Errorf("there is %d, %v", v, err)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Minute)))
		for i := range 3 {
			if _, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return i, nil }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			got, _, err := c.Get(t.Context(), 7)
			want(t, got, err, i)
			time.Sleep(2 * time.Minute)
		}
	})
}

// race R40: no timer refreshes what nobody asks for.
func TestNothingIsRefreshedThatNobodyAsksFor(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.RefreshAfter(time.Minute)))
		var src source
		if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		wantLoads(t, &src, 1)
	})
}

// race R41: a call is one hit or one miss for each key, however often the cache looks.
func TestACallIsOneHitOrOneMiss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var hits, misses, loads atomic.Int64
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&faketier.Bus{}), runtime.TTL(time.Minute), runtime.Grace(time.Hour),
			runtime.Hooks(event.Hooks{
				Hit:    func(event.Hit) { hits.Add(1) },
				Miss:   func(event.Miss) { misses.Add(1) },
				Loaded: func(event.Load) { loads.Add(1) },
			}))
		c := newCache[int, int](t, s)
		var src source
		src.delay.Store(int64(time.Second))
		check := func(what string, h, m, l int64, f func()) {
			t.Helper()
			hits.Store(0)
			misses.Store(0)
			loads.Store(0)
			f()
			time.Sleep(2 * time.Second)
			if hits.Load() != h || misses.Load() != m || loads.Load() != l {
				t.Errorf("%s: %d hits, %d misses, %d loads, want %d, %d, %d", what, hits.Load(), misses.Load(), loads.Load(), h, m, l)
			}
		}
		read := func() { _, _ = c.GetOrSet(context.Background(), 7, src.load) }
		check("a miss that two wait for", 0, 2, 1, func() { go read(); go read() })
		check("memory", 1, 0, 0, read)
		check("get", 1, 1, 0, func() { _, _, _ = c.Get(t.Context(), 7); _, _, _ = c.Get(t.Context(), 8) })
		time.Sleep(2 * time.Minute)
		check("stale, and refreshed behind", 1, 0, 1, read)
		src.fail.Store(true)
		check("a failure", 0, 1, 1, func() {
			if _, err := c.GetOrSet(t.Context(), 9, src.load); !errors.Is(err, errSource) {
				t.Error(err)
			}
		})
	})
}

// A forced load whose result is not kept, because a tag of it has been deleted
// meanwhile, does not leave the value there that its caller did not want.
func TestAForcedLoadThatIsNotKeptLeavesNothingOld(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, append(options(), runtime.TTL(time.Hour))...)
				c := newCache[int, int](t, s)
				if err := c.Set(t.Context(), 7, 1); err != nil {
					t.Fatal(err)
				}
				load := func(ctx context.Context) (int, error) {
					runtime.EntryOf(ctx).SetTags("new")
					return 2, s.DeleteByTag(ctx, "new")
				}
				got, err := c.GetOrSet(t.Context(), 7, load, runtime.ForceFresh())
				want(t, got, err, 2)
				if v, ok, err := c.Get(t.Context(), 7); ok && v == 1 || err != nil {
					t.Error(v, ok, err)
				}
			})
		})
	}
}

// A stale value that is served in place of one caller's load must not be served to those who
// join that load after the value was deleted.
func TestWhatWasDeletedIsServedToNobodyWhoCameLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var slow atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "get" && slices.Contains(keys, "!s:t:u") && slow.CompareAndSwap(true, false) {
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.Grace(time.Hour)))
		ctx := t.Context()
		if err := c.Set(ctx, 7, 1, runtime.TTL(8*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, 8, 1, runtime.Tags("u")); err != nil {
			t.Fatal(err)
		}
		for range 9 { // the stamps of 7 stay trusted, that of u does not
			time.Sleep(time.Second)
			if _, _, err := c.Get(ctx, 7); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		slow.Store(true)
		go c.GetOrSetMany(ctx, []int{7, 8}, func(context.Context, []int) (map[int]int, error) {
			time.Sleep(time.Second)
			return nil, errSource
		}, runtime.Timeout(time.Minute))
		synctest.Wait() // 7 is stale, and the stamp of 8 is being read
		if err := c.Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond) // the load is under way
		if got, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 2, nil }); err == nil && got != 2 {
			t.Errorf("got %d after a Delete", got)
		}
	})
}
