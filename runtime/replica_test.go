package runtime_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

const (
	replicaLag = 5 * time.Second         // the option
	isBehind   = 3200 * time.Millisecond // how long it takes until the replica has a change
)

// A replica is row 7 as loaders read it.
type replica struct {
	row   atomic.Int64
	loads atomic.Int64
}

// change changes the row in the database. The replica has the change a while later.
func (r *replica) change(v int) { time.AfterFunc(isBehind, func() { r.row.Store(int64(v)) }) }

func (r *replica) load(ctx context.Context) (int, error) {
	r.loads.Add(1)
	runtime.EntryOf(ctx).SetTags("late") // is known when the row was loaded
	return int(r.row.Load()), nil
}

func (r *replica) get(t *testing.T, c *runtime.Cache[int, int], want int, options ...runtime.CallOption) {
	t.Helper()
	if got, err := c.GetOrSet(t.Context(), 7, r.load, append(options, runtime.Tags("x"))...); err != nil || got != want {
		t.Errorf("got %d, %v, want %d", got, err, want)
	}
}

// changesOfRow7 are the ways to change row 7: those of invalidations, and others that name the tag
// which is known when the row was loaded, the namespace and the store.
func changesOfRow7(f func(name string, change func(ctx context.Context, c *runtime.Cache[int, int], v int) error)) {
	for name, change := range invalidations {
		f(name, change)
	}
	store := func(name string, change func(ctx context.Context, s *runtime.Store) error) {
		f(name, func(ctx context.Context, c *runtime.Cache[int, int], _ int) error { return change(ctx, c.Store()) })
	}
	store("delete by late tag", func(ctx context.Context, s *runtime.Store) error { return s.DeleteByTag(ctx, "late") })
	store("expire by late tag", func(ctx context.Context, s *runtime.Store) error { return s.ExpireByTag(ctx, "late") })
	store("clear the store", func(ctx context.Context, s *runtime.Store) error { return s.Clear(ctx) })
	f("key and tag", func(ctx context.Context, c *runtime.Cache[int, int], _ int) error {
		return c.Invalidate(ctx, []int{7}, []runtime.Tag{"other"})
	})
	f("after a commit", func(ctx context.Context, c *runtime.Cache[int, int], _ int) error {
		ctx, collected := runtime.Collect(ctx)
		return errors.Join(c.Delete(ctx, 7), collected.Commit(ctx))
	})
}

// race R59: loaders read from a replica. What they load right after a change is from before it, and
// would stay. It is not kept, wherever the row was changed and whoever loads it.
func TestWhatIsLoadedWhileAReplicaLagsIsNotKept(t *testing.T) {
	changesOfRow7(func(name string, change func(context.Context, *runtime.Cache[int, int], int) error) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				var r replica
				r.row.Store(1)
				join := in.team()
				here, there := newLagging(t, join()), newLagging(t, join())
				time.Sleep(time.Minute) // what a process may have missed before it began is over
				// Whether a process that has changed nothing is to know.
				told := in.bus || in.l2 && !in.l1 && in.leases
				r.get(t, here, 1)
				r.get(t, there, 1)
				r.change(2)
				if err := change(t.Context(), here, 2); err != nil {
					t.Fatal(err)
				}
				for range 9 { // until the lag is nearly over
					time.Sleep(500 * time.Millisecond)
					if name == "set" {
						r.get(t, here, 2)
						continue
					}
					r.get(t, here, int(r.row.Load()))
					switch {
					case in.bus:
						r.get(t, there, int(r.row.Load()))
					case !in.l2 || in.leases: // or it stores what it should not
						_, _ = there.GetOrSet(t.Context(), 7, r.load, runtime.Tags("x"))
					}
				}
				time.Sleep(time.Minute)
				for range 2 {
					r.get(t, here, 2)
					if told {
						r.get(t, there, 2)
					}
				}
				before := r.loads.Load()
				r.get(t, here, 2)
				if n := r.loads.Load() - before; n > 0 {
					t.Errorf("%d loads when the lag is over", n)
				}
			})
		})
	})
}

func newLagging(t *testing.T, options ...runtime.StoreOption) *runtime.Cache[int, int] {
	t.Helper()
	return newCache[int, int](t, newStore(t, append([]runtime.StoreOption{runtime.ReplicaLag(replicaLag), runtime.TTL(time.Hour)}, options...)...))
}

// race R59: a process that hears nothing, and begins when the row has just been changed by one that
// is gone, keeps nothing either, and stores nothing.
func TestAProcessThatBeginsWhileAReplicaLagsKeepsNothing(t *testing.T) {
	changesOfRow7(func(name string, change func(context.Context, *runtime.Cache[int, int], int) error) {
		for _, forced := range []bool{false, true} {
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var r replica
					var tier faketier.Shared
					r.row.Store(1)
					here := newLagging(t, runtime.L2(&tier))
					r.get(t, here, 1)
					r.change(2)
					if err := change(t.Context(), here, 2); err != nil {
						t.Fatal(err)
					}
					if err := here.Store().Close(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					deaf := newLagging(t, memoryTier(), runtime.L2(&faketier.Conn{Tier: &tier}))
					var options []runtime.CallOption
					if forced {
						options = append(options, runtime.ForceFresh())
					}
					if name != "set" || forced {
						r.get(t, deaf, 1, options...)
						r.get(t, deaf, 1, options...)
					}
					time.Sleep(time.Minute)
					r.get(t, deaf, 2)
					r.get(t, newLagging(t, runtime.L2(&faketier.Conn{Tier: &tier})), 2)
				})
			})
		}
	})
}

// race R59: another process loads and stores between the change of the key and the lease that
// keeps it back.
func TestWhatIsStoredBeforeTheKeyIsHeldBackIsRemoved(t *testing.T) {
	for _, name := range []string{"delete", "expire"} {
		bubble(t, func(t *testing.T) {
			var r replica
			var tier faketier.Shared
			r.row.Store(1)
			conn := &faketier.Conn{Tier: &tier}
			here := newLagging(t, runtime.L2(conn), runtime.Grace(time.Hour))
			deaf := newLagging(t, runtime.L2(&faketier.Conn{Tier: &tier}), runtime.Grace(time.Hour))
			r.get(t, here, 1)
			r.get(t, deaf, 1)
			between := 0
			conn.SetBefore(func(_ context.Context, op string, keys []string) error {
				if op == "lease" && between < 2 {
					between++
					r.get(t, deaf, 1)
					synctest.Wait() // what is stale is loaded in the background
				}
				return nil
			})
			r.change(2)
			if err := invalidations[name](t.Context(), here, 2); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			_, _ = here.GetOrSet(t.Context(), 7, r.load, runtime.Tags("x")) // what has expired is stale
			time.Sleep(time.Second)
			r.get(t, here, 2)
			r.get(t, deaf, 2)
			if between != 2 {
				t.Errorf("%s: stored %d times in between", name, between)
			}
		})
	}
}

// While a replica lags, each process loads a key once at a time.
func TestWhileAReplicaLagsAProcessLoadsOnceAtATime(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var running, most atomic.Int64
		c := newLagging(t, in.tiers())
		if err := c.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				for range 3 {
					_, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) {
						n := running.Add(1)
						most.Store(max(most.Load(), n))
						time.Sleep(time.Second)
						running.Add(-1)
						return 1, nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if most.Load() != 1 {
			t.Errorf("%d loads at a time", most.Load())
		}
	})
}

// Neither a failure nor that there is nothing is remembered while a replica lags, and a value that
// was set is neither replaced nor removed by what a load has found.
func TestWhatALaggingReplicaDoesNotHaveIsNotRemembered(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newLagging(t, in.tiers(), runtime.NotFoundTTL(time.Hour), runtime.ErrorTTL(time.Hour))
		time.Sleep(time.Minute)
		fails := errors.New("no such row")
		for _, err := range []error{runtime.ErrNotFound, fails} {
			if err := c.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			if _, got := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, err }); !errors.Is(got, err) {
				t.Error(got)
			}
			v, got := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
			want(t, v, got, 1)
			time.Sleep(time.Minute)
		}
		if err := c.Set(t.Context(), 7, 2); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			v, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
			want(t, v, err, 2)
		}
	})
}

// race R59: a value that is stale for its grace is not replaced by one that is as old.
func TestARefreshFromALaggingReplicaIsNotKept(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var r replica
		r.row.Store(1)
		c := newLagging(t, in.tiers(), runtime.Grace(time.Hour))
		time.Sleep(time.Minute)
		r.get(t, c, 1)
		r.change(2)
		if err := c.Expire(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r.get(t, c, 1)
			synctest.Wait()
			_, _ = c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, runtime.ErrNotFound })
			synctest.Wait()
			if v, ok, err := c.Get(t.Context(), 7, runtime.AllowStale()); err != nil || !ok || v != 1 {
				t.Errorf("the stale value: %d, %v, %v", v, ok, err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		_, _ = c.GetOrSet(t.Context(), 7, r.load, runtime.Tags("x")) // is loaded, whether somebody waits for it or not
		synctest.Wait()
		r.get(t, c, 2)
	})
}

// A process that has not heard of a change, because the bus was away, keeps nothing for a while when
// it is back, unless the shared tier tells it what is held back.
func TestAfterAGapNothingIsKeptThatMayBeFromBefore(t *testing.T) {
	mayTell(t, theBusFails...)
	mayTell(t, "invalidation", "pending", "message")
	inEveryShape(t, func(t *testing.T, in shape) {
		if !in.bus {
			return
		}
		var r replica
		var tier faketier.Shared
		var bus faketier.Bus
		r.row.Store(1)
		tiers := func() runtime.StoreOption {
			options := []runtime.StoreOption{runtime.Bus(&bus)}
			if in.l1 {
				options = append(options, memoryTier())
			}
			if in.leases {
				options = append(options, runtime.L2(&faketier.Conn{Tier: &tier}))
			} else if in.l2 {
				options = append(options, runtime.L2(faketier.Unleased(&tier)))
			}
			return runtime.All(options...)
		}
		here, there := newLagging(t, tiers()), newLagging(t, tiers())
		time.Sleep(time.Minute)
		r.get(t, there, 1)
		bus.Cut(true)
		r.change(2)
		if err := here.Delete(t.Context(), 7); err == nil {
			t.Error("the others were told")
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		_ = here.Store().Close(gone) // which tells nobody
		bus.Cut(false)
		synctest.Wait()
		r.get(t, there, 1)
		time.Sleep(time.Minute)
		r.get(t, there, 2)
	})
}

// A pull, which changes nothing in the database, leaves what was held back so.
func TestAPullLeavesWhatIsHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r replica
		var tier faketier.Shared
		r.row.Store(1)
		here, there := newLagging(t, memoryTier(), runtime.L2(&tier)), newLagging(t, memoryTier(), runtime.L2(&faketier.Conn{Tier: &tier}))
		r.change(2)
		if err := errors.Join(here.Delete(t.Context(), 7), here.Set(t.Context(), 7, 2)); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := there.Pull(t.Context(), 7); err != nil || !ok || v != 2 {
			t.Error(v, ok, err)
		}
		r.get(t, there, 1)
		time.Sleep(time.Minute)
		r.get(t, there, 2)
	})
}

func TestWithoutALagNothingIsHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r replica
		var tier faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&tier), runtime.TTL(time.Hour), runtime.ReplicaLag(0)))
		for range 3 {
			if err := c.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			r.get(t, c, 0)
			r.get(t, c, 0)
		}
		if r.loads.Load() != 3 {
			t.Errorf("%d loads", r.loads.Load())
		}
	})
	if _, err := runtime.NewStore("s", memoryTier(), runtime.ReplicaLag(-1)); err == nil || !strings.Contains(err.Error(), "ReplicaLag -1ns is negative") {
		t.Error(err)
	}
}

// race R59: the tags of a value are known when its loader has returned. One of them was changed
// before the loader has begun, and other changes come since.
func TestWhatLagsIsRememberedWhileALoadRuns(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var r replica
		r.row.Store(1)
		c := newLagging(t, in.tiers())
		r.change(2)
		if err := c.Store().DeleteByTag(t.Context(), "late"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(replicaLag * 3 / 5)
		time.AfterFunc(replicaLag/2, func() { // the first change is over
			if err := c.Delete(context.Background(), 8); err != nil {
				t.Error(err)
			}
		})
		_, err := c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
			runtime.EntryOf(ctx).SetTags("late")
			time.Sleep(replicaLag * 3 / 5)
			return 1, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.get(t, c, 2)
	})
}

// race R59: somebody who has heard of nothing stores what he has read between a set and its hold.
func TestASetThatIsOverwrittenBeforeItIsHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r replica
		var tier faketier.Shared
		r.row.Store(1)
		conn := &faketier.Conn{Tier: &tier}
		here, deaf := newLagging(t, runtime.L2(conn)), newLagging(t, runtime.L2(&faketier.Conn{Tier: &tier}))
		var once sync.Once
		conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "lease" {
				once.Do(func() { r.get(t, deaf, 1, runtime.ForceFresh()) })
			}
			return nil
		})
		r.change(2)
		if err := here.Set(t.Context(), 7, 2, runtime.Tags("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.get(t, here, 2)
		r.get(t, deaf, 2)
	})
}
