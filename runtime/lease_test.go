package runtime_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A leasing is several processes that share a tier, each with a connection and a memory of its own,
// and one source.
type leasing struct {
	tier  faketier.Shared
	bus   faketier.Bus
	conns []*faketier.Conn
	nodes []*runtime.Cache[int, int]
	row   atomic.Int64 // what the source holds
	loads atomic.Int64
	takes atomic.Int64 // how long a load takes
}

// newLeasing returns so many processes. Deaf ones have no bus: nobody tells them anything.
func newLeasing(t *testing.T, n int, deaf bool, options ...runtime.StoreOption) *leasing {
	t.Helper()
	f := &leasing{}
	for range n {
		f.join(t, deaf, options...)
	}
	return f
}

func (f *leasing) join(t *testing.T, deaf bool, options ...runtime.StoreOption) *runtime.Cache[int, int] {
	t.Helper()
	conn := &faketier.Conn{Tier: &f.tier}
	o := append([]runtime.StoreOption{memoryTier(), runtime.L2(conn), runtime.TTL(time.Hour)}, options...)
	if !deaf {
		o = append(o, runtime.Bus(&f.bus))
	}
	c := newCache[int, int](t, newStore(t, o...))
	f.conns, f.nodes = append(f.conns, conn), append(f.nodes, c)
	return c
}

// load is the loader of all of them.
func (f *leasing) load(ctx context.Context) (int, error) {
	f.loads.Add(1)
	v := int(f.row.Load())
	select {
	case <-time.After(time.Duration(f.takes.Load())):
		return v, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// get reads row 7, which has the tag x, in a process.
func (f *leasing) get(t *testing.T, node, want int) {
	t.Helper()
	if got, err := f.nodes[node].GetOrSet(t.Context(), 7, f.load, runtime.Tags("x")); err != nil || got != want {
		t.Errorf("process %d: got %d, %v, want %d", node, got, err, want)
	}
}

// row7 is the key of row 7 in the tier.
const row7 = adHocKeys + "7"

// idle checks that nobody has the lease of row 7.
func (f *leasing) idle(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if token, until := f.tier.Leased(row7); token != "" {
		t.Errorf("%s has the lease for %v", token, time.Until(until))
	}
}

// invalidations are the ways to change row 7 from one value to the next.
var invalidations = map[string]func(ctx context.Context, c *runtime.Cache[int, int], v int) error{
	"delete": func(ctx context.Context, c *runtime.Cache[int, int], _ int) error { return c.Delete(ctx, 7) },
	"delete many": func(ctx context.Context, c *runtime.Cache[int, int], _ int) error {
		return c.DeleteMany(ctx, 6, 7)
	},
	"expire": func(ctx context.Context, c *runtime.Cache[int, int], _ int) error { return c.Expire(ctx, 7) },
	"set":    func(ctx context.Context, c *runtime.Cache[int, int], v int) error { return c.Set(ctx, 7, v) },
	"clear":  func(ctx context.Context, c *runtime.Cache[int, int], _ int) error { return c.Clear(ctx) },
	"delete by tag": func(ctx context.Context, c *runtime.Cache[int, int], _ int) error {
		return c.Store().DeleteByTag(ctx, "x")
	},
	"expire by tag": func(ctx context.Context, c *runtime.Cache[int, int], _ int) error {
		return c.Store().ExpireByTag(ctx, "x")
	},
	"pull": func(ctx context.Context, c *runtime.Cache[int, int], v int) error {
		_, _, err := c.Pull(ctx, 7)
		return errors.Join(err, c.Delete(ctx, 7))
	},
}

// race R44: a load of another process has read the old row, the key is changed, and the load
// stores after that. Nobody reads the old row again: not where it was changed, and not in the
// process of the load, whether that hears of the change or not.
func TestALateFillOfAnotherProcessIsRefused(t *testing.T) {
	for name, invalidate := range invalidations {
		for _, deaf := range []bool{false, true} {
			for _, before := range []string{"nothing", "a value that is over", "a value that is invalid"} {
				t.Run(strings.Join([]string{name, map[bool]string{false: "heard", true: "deaf"}[deaf], before}, "/"), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						f := newLeasing(t, 2, deaf)
						switch before {
						case "a value that is over":
							_ = f.nodes[0].Set(t.Context(), 7, 99, runtime.TTL(time.Second), runtime.Grace(time.Second))
							time.Sleep(time.Minute)
						case "a value that is invalid":
							_ = f.nodes[0].Set(t.Context(), 7, 99, runtime.Tags("x"))
							_ = f.nodes[0].Store().DeleteByTag(t.Context(), "x")
						}
						f.row.Store(1)
						f.takes.Store(int64(10 * time.Second))
						done := make(chan struct{})
						go func() {
							defer close(done)
							f.get(t, 1, 1)
						}()
						time.Sleep(5 * time.Second)
						f.row.Store(2)
						if err := invalidate(t.Context(), f.nodes[0], 2); err != nil {
							t.Fatal(err)
						}
						<-done
						f.takes.Store(0)
						if strings.Contains(name, "tag") || name == "clear" {
							// What is stored is not valid. A process that hears nothing believes a stamp for a while.
							time.Sleep(7 * time.Second)
						}
						f.get(t, 0, 2)
						f.get(t, 1, 2)
						f.idle(t)
					})
				})
			}
		}
	}
}

// race R44: the change comes while the fill is on its way to the tier, and before it gets there.
func TestAFillThatIsOvertakenIsRefused(t *testing.T) {
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newLeasing(t, 2, false)
				f.row.Store(1)
				f.conns[1].SetBefore(func(_ context.Context, op string, _ []string) error {
					if op == "fill" {
						f.row.Store(2)
						if err := invalidate(t.Context(), f.nodes[0], 2); err != nil {
							t.Error(err)
						}
					}
					return nil
				})
				f.get(t, 1, 1)
				f.conns[1].SetBefore(nil)
				f.get(t, 0, 2)
				f.get(t, 1, 2)
			})
		})
	}
}

// race R44: a process stands still in its load, and goes on when its lease has ended, another has
// loaded the key, and that has been changed.
func TestAProcessThatStoodStillInItsLoadStoresNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mayTell(t, theSharedTierFails...)
		f := newLeasing(t, 2, true)
		f.row.Store(1)
		goOn := make(chan struct{})
		f.conns[1].SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "renew" || op == "fill" {
				<-goOn
			}
			return nil
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.get(t, 1, 1)
		}()
		time.Sleep(5 * time.Second)
		f.get(t, 0, 1) // it has taken the lease
		f.row.Store(2)
		if err := f.nodes[0].Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		<-done
		f.get(t, 1, 2)
		f.get(t, 0, 2)
		f.idle(t)
	})
}

// race R50: the answer to a request for a lease is lost. Who asked loads, and the others do
// not wait for a lease that nobody uses.
func TestALeaseWhoseAnswerIsLostIsGivenBack(t *testing.T) {
	for name, lose := range map[string]func(context.Context) error{
		"cut":   func(context.Context) error { return errors.New("connection reset") },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mayTell(t, theSharedTierFails...)
				f := newLeasing(t, 2, false)
				f.row.Store(1)
				f.conns[1].SetAfter(func(ctx context.Context, op string, _ []string) error {
					if op == "lease" {
						return lose(ctx)
					}
					return nil
				})
				f.get(t, 1, 1)
				f.idle(t)
				if _, ok := f.tier.Keys()[row7]; ok {
					t.Error("stored without a lease")
				}
				began := time.Now()
				f.get(t, 0, 1)
				if took := time.Since(began); took > 0 || f.loads.Load() != 2 {
					t.Errorf("after %v, %d loads", took, f.loads.Load())
				}
				if _, ok := f.tier.Keys()[row7]; !ok {
					t.Error("not stored")
				}
			})
		})
	}
}

// race R50: a request for a lease takes effect when nobody waits for it any more, also after
// the key was deleted. The key is not blocked for longer than it takes to give it back, and what
// was loaded without a lease is not stored.
func TestALeaseThatComesLateIsGivenBack(t *testing.T) {
	for _, late := range []time.Duration{1100 * time.Millisecond, 1500 * time.Millisecond, 1999 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mayTell(t, theSharedTierFails...)
				f := newLeasing(t, 2, false)
				f.row.Store(1)
				f.conns[1].Late = func(op string, _ []string) time.Duration {
					if op == "lease" {
						return late
					}
					return 0
				}
				f.get(t, 1, 1) // after a second, without a lease
				if token, _ := f.tier.Leased(row7); token != "" {
					t.Fatal("the lease is there already")
				}
				f.row.Store(2)
				if err := f.nodes[0].Delete(t.Context(), 7); err != nil {
					t.Fatal(err)
				}
				time.Sleep(late - time.Second)
				synctest.Wait() // it is there now
				began := time.Now()
				f.get(t, 0, 2)
				if took := time.Since(began); took > 300*time.Millisecond {
					t.Errorf("blocked for %v", took)
				}
				synctest.Wait()
				f.conns[1].Late = nil
				f.get(t, 1, 2)
				time.Sleep(3 * time.Second)
				f.idle(t)
				calls := f.tier.Calls("release")
				time.Sleep(time.Minute)
				if n := f.tier.Calls("release"); n != calls || n > 20 {
					t.Errorf("%d requests to give it back, %d after it was gone", n, n-calls)
				}
			})
		})
	}
}

// callers reads row 7 with so many callers in each process at once, and returns what they got.
func (f *leasing) callers(ctx context.Context, each int, load func(node int) func(context.Context) (int, error)) (values []int, errs []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for node := range f.nodes {
		for range each {
			all.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						mu.Lock()
						defer mu.Unlock()
						errs = append(errs, errors.New("panicked"))
					}
				}()
				v, err := f.nodes[node].GetOrSet(ctx, 7, load(node))
				mu.Lock()
				defer mu.Unlock()
				if values = append(values, v); err != nil {
					errs = append(errs, err)
				}
			})
		}
	}
	all.Wait()
	return values, errs
}

// One cold key, many callers in many processes: one load. So it is when the one who loads first
// fails in any way: the next takes over.
func TestAColdKeyIsLoadedOnceByAllProcesses(t *testing.T) {
	const leasing, each = 8, 50
	for name, test := range map[string]struct {
		first  func(ctx context.Context) (int, error) // what the first load does, in place of returning the row
		failed int                                    // callers who get an error: those of one process
		within time.Duration
	}{
		"loads":           {nil, 0, 1250 * time.Millisecond},
		"fails":           {func(context.Context) (int, error) { return 0, errSource }, each, 1400 * time.Millisecond},
		"panics":          {func(context.Context) (int, error) { panic("no") }, each, 1400 * time.Millisecond},
		"is gone":         {func(context.Context) (int, error) { goruntime.Goexit(); return 0, nil }, each, 1400 * time.Millisecond},
		"keeps nothing":   {func(ctx context.Context) (int, error) { runtime.EntryOf(ctx).Skip(); return 1, nil }, 0, 1400 * time.Millisecond},
		"hangs":           {func(context.Context) (int, error) { time.Sleep(5 * time.Minute); return 1, nil }, each, time.Minute + 1400*time.Millisecond},
		"hangs, and ends": {func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, each, time.Minute + 1400*time.Millisecond},
	} {
		for _, deaf := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newLeasing(t, leasing, deaf, runtime.MaxLoadTime(time.Minute))
					f.row.Store(1)
					f.takes.Store(int64(time.Second))
					var first atomic.Bool
					began := time.Now()
					values, errs := f.callers(t.Context(), each, func(int) func(context.Context) (int, error) {
						return func(ctx context.Context) (int, error) {
							if !first.Swap(true) && test.first != nil {
								time.Sleep(100 * time.Millisecond) // all callers are there
								return test.first(ctx)
							}
							return f.load(ctx)
						}
					})
					within := test.within
					if name == "loads" && !deaf { // they are woken
						within = time.Second
					}
					if took := time.Since(began); took > within {
						t.Errorf("after %v", took)
					}
					if n := f.loads.Load(); n != 1 {
						t.Errorf("%d loads after the first", n)
					}
					if len(errs) != test.failed {
						t.Errorf("%d callers have failed, want %d: %v", len(errs), test.failed, errs[:min(len(errs), 3)])
					}
					if ok := leasing*each - test.failed; len(slices.DeleteFunc(values, func(v int) bool { return v != 1 })) < ok {
						t.Errorf("not all others have got the row")
					}
					time.Sleep(10 * time.Minute)
					f.idle(t)
				})
			})
		}
	}
}

// A process dies in its load: nobody renews its lease, and the next takes over when that has ended.
func TestAProcessThatDiesInItsLoadBlocksItsKeyForAShortWhile(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, false)
		f.row.Store(1)
		dead := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _ = f.nodes[1].GetOrSet(ctx, 7, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
		}()
		time.Sleep(10 * time.Second) // it renews its lease
		synctest.Wait()
		f.conns[1].SetBefore(func(context.Context, string, []string) error { <-dead; return errors.New("dead") })
		began := time.Now()
		f.get(t, 0, 1)
		if took := time.Since(began); took > 1250*time.Millisecond || took < 600*time.Millisecond {
			t.Errorf("after %v", took)
		}
		cancel()
		close(dead)
	})
}

// While a load runs, its lease is renewed: at a third of its time, and at once if it took longer
// to get it.
func TestALeaseIsRenewedWhileItsLoadRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 1, false)
		f.takes.Store(int64(time.Minute))
		go f.get(t, 0, 0)
		for range 600 {
			time.Sleep(100*time.Millisecond - time.Nanosecond)
			if token, until := f.tier.Leased(row7); token == "" || time.Until(until) > time.Second {
				t.Fatalf("%q until %v", token, until)
			}
		}
		time.Sleep(time.Second)
		f.idle(t)
		if n := f.tier.Calls("renew"); n < 179 || n > 181 {
			t.Errorf("renewed %d times in a minute", n)
		}

		f.takes.Store(int64(50 * time.Millisecond))
		synctest.Wait()
		f.conns[0].SetAfter(func(_ context.Context, op string, _ []string) error {
			if op == "lease" {
				time.Sleep(960 * time.Millisecond)
			}
			return nil
		})
		if err := f.nodes[0].Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		f.get(t, 0, 0)
		if _, ok := f.tier.Keys()[row7]; !ok {
			t.Error("the lease has ended in a load of 50 ms")
		}
	})
}

// What another process loads is waited for, for as long as a LockTimeout says: then a stale value
// is served, or a load begins that stores nothing for others.
func TestALoadOfAnotherProcessIsWaitedForWithALimit(t *testing.T) {
	for name, o := range map[string][]runtime.StoreOption{
		"LockTimeout": {runtime.LockTimeout(3 * time.Second)},
		"HardTimeout": {runtime.HardTimeout(3 * time.Second)},
		"both":        {runtime.LockTimeout(3 * time.Second), runtime.HardTimeout(10 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newLeasing(t, 1, false)
				f.join(t, false, o...)
				f.row.Store(1)
				f.takes.Store(int64(time.Minute))
				done := make(chan struct{})
				go func() {
					defer close(done)
					f.get(t, 0, 1)
				}()
				synctest.Wait()
				f.row.Store(2)
				f.takes.Store(int64(time.Second))
				began := time.Now()
				var callers sync.WaitGroup
				for range 20 {
					callers.Go(func() { f.get(t, 1, 2) })
				}
				callers.Wait()
				if took := time.Since(began); took != 4*time.Second || f.loads.Load() != 2 {
					t.Errorf("after %v, %d loads", took, f.loads.Load())
				}
				if _, ok := f.tier.Keys()[row7]; ok {
					t.Error("stored without a lease")
				}
				f.get(t, 1, 2) // from memory
				if f.loads.Load() != 2 {
					t.Error("not kept in memory")
				}
				<-done
				if _, ok := f.tier.Keys()[row7]; !ok {
					t.Error("the one with the lease has not stored what it loaded")
				}
			})
		})
	}
}

// A caller who came with a stale value waits for another process as for its own: as long as its
// soft timeout.
func TestAStaleValueIsServedWhileAnotherProcessLoads(t *testing.T) {
	for _, soft := range []time.Duration{0, time.Second} {
		t.Run(soft.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newLeasing(t, 8, false, runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(soft))
				f.row.Store(1)
				for node := range f.nodes {
					f.get(t, node, 1)
				}
				time.Sleep(2 * time.Minute)
				f.row.Store(2)
				f.takes.Store(int64(10 * time.Second))
				f.loads.Store(0)
				gets := f.tier.Calls("get")
				for begun := time.Now(); time.Since(begun) < 8*time.Second; { // many read it all the time
					var all sync.WaitGroup
					for node := range f.nodes {
						all.Go(func() {
							began := time.Now()
							f.get(t, node, 1)
							if took := time.Since(began); took > soft {
								t.Errorf("waited for %v", took)
							}
						})
					}
					all.Wait()
					time.Sleep(10 * time.Millisecond)
				}
				if f.loads.Load() != 1 {
					t.Errorf("%d loads", f.loads.Load())
				}
				if n := f.tier.Calls("get") - gets; n > 300 {
					t.Errorf("the tier was asked %d times", n)
				}
				time.Sleep(10 * time.Second)
				for node := range f.nodes {
					_, _ = f.nodes[node].GetOrSet(t.Context(), 7, f.load) // begins to look
				}
				time.Sleep(time.Second)
				for node := range f.nodes {
					f.get(t, node, 2)
				}
				if f.loads.Load() != 1 {
					t.Errorf("%d loads", f.loads.Load())
				}
			})
		})
	}
}

// Of two processes that are asked for a new load at the same time, each has one, and what stays
// is what was loaded last, or nothing: never what was there before.
func TestTwoProcessesForceALoadAtOnce(t *testing.T) {
	for _, late := range []int{0, 1} { // whose load ends last
		bubble(t, func(t *testing.T) {
			f := newLeasing(t, 2, false)
			f.row.Store(1)
			f.get(t, 0, 1)
			f.get(t, 1, 1)
			f.row.Store(2)
			var all sync.WaitGroup
			for node := range 2 {
				all.Go(func() {
					v, err := f.nodes[node].GetOrSet(t.Context(), 7, func(context.Context) (int, error) {
						v := int(f.row.Load())
						time.Sleep(time.Second)
						if node == late {
							time.Sleep(time.Second)
						}
						return v, nil
					}, runtime.ForceFresh())
					want(t, v, err, 2)
				})
				synctest.Wait()
			}
			all.Wait()
			time.Sleep(time.Minute)
			f.get(t, 0, 2)
			f.get(t, 1, 2)
			f.idle(t)
		})
	}
}

// A forced load takes the lease from another process, whose load is older: what that stores is
// refused.
func TestAForcedLoadTakesTheLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, true)
		f.row.Store(1)
		f.takes.Store(int64(10 * time.Second))
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.get(t, 1, 1)
		}()
		time.Sleep(time.Second)
		f.row.Store(2)
		f.takes.Store(0)
		v, err := f.nodes[0].GetOrSet(t.Context(), 7, f.load, runtime.ForceFresh())
		want(t, v, err, 2)
		<-done
		f.get(t, 1, 2)
		f.get(t, 0, 2)
		if f.loads.Load() != 2 {
			t.Errorf("%d loads", f.loads.Load())
		}
	})
}

// Two builds whose values have other shapes do not wait for each other, and do not store over what
// the other is about to store.
func TestAnotherBuildIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mayTell(t, "shape", "unreadable")
		f := newLeasing(t, 1, false)
		other := newCache[int, string](t, newStore(t, runtime.L2(&faketier.Conn{Tier: &f.tier}), runtime.TTL(time.Hour)))
		f.takes.Store(int64(10 * time.Second))
		var all sync.WaitGroup
		all.Go(func() { f.get(t, 0, 0) })
		synctest.Wait()
		began := time.Now()
		v, err := other.GetOrSet(t.Context(), 7, func(context.Context) (string, error) { return "v", nil })
		want(t, v, err, "v")
		if took := time.Since(began); took != 0 {
			t.Errorf("waited for %v", took)
		}
		if _, ok := f.tier.Keys()[row7]; ok {
			t.Error("stored without a lease")
		}
		all.Wait()
	})
}

// Of many keys, those that nobody else loads are loaded in one call and stored. Only then are the
// others waited for, so that two processes that want the same keys never wait for each other.
func TestABatchWaitsOnlyWhenItHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, false)
		var calls [2][][]int
		var mu sync.Mutex
		loader := func(node int, takes time.Duration) func(context.Context, []int) (map[int]int, error) {
			return func(_ context.Context, keys []int) (map[int]int, error) {
				mu.Lock()
				calls[node] = append(calls[node], slices.Sorted(slices.Values(keys)))
				mu.Unlock()
				time.Sleep(takes)
				m := make(map[int]int)
				for _, k := range keys {
					m[k] = k
				}
				return m, nil
			}
		}
		f.row.Store(7)
		f.takes.Store(int64(5 * time.Second))
		var all sync.WaitGroup
		all.Go(func() { f.get(t, 0, 7) }) // holds 7 for 5 s
		synctest.Wait()
		all.Go(func() {
			m, err := f.nodes[0].GetOrSetMany(t.Context(), []int{1, 2, 3}, loader(0, time.Second))
			if len(m) != 3 || err != nil {
				t.Error(m, err)
			}
		})
		synctest.Wait()
		began := time.Now()
		m, err := f.nodes[1].GetOrSetMany(t.Context(), []int{9, 3, 7, 8}, loader(1, 2*time.Second))
		if len(m) != 4 || err != nil {
			t.Error(m, err)
		}
		if took := time.Since(began); took < 5*time.Second || took > 5250*time.Millisecond {
			t.Errorf("after %v", took)
		}
		all.Wait()
		if want := [2][][]int{{{1, 2, 3}}, {{8, 9}}}; !slices.EqualFunc(calls[:], want[:], func(a, b [][]int) bool {
			return slices.EqualFunc(a, b, slices.Equal)
		}) {
			t.Errorf("the loaders were asked for %v, want %v", calls, want)
		}
	})
}

// race: process 0 loads a key whose loader asks for another one, which process 1 loads, whose
// loader asks for the first. Neither waits for ever, whoever has begun the flights.
func TestLoadersThatWaitForEachOtherAcrossProcessesDoNotHang(t *testing.T) {
	for _, others := range []bool{false, true} { // callers outside of the loaders lead the flights that these join
		bubble(t, func(t *testing.T) {
			f := newLeasing(t, 2, false)
			var all sync.WaitGroup
			read := func(node, key, inner int) {
				_, _ = f.nodes[node].GetOrSet(t.Context(), key, func(ctx context.Context) (int, error) {
					time.Sleep(time.Second) // both have begun
					return f.nodes[node].GetOrSet(ctx, inner, func(ctx context.Context) (int, error) {
						return f.nodes[node].GetOrSet(ctx, key, f.load)
					})
				})
			}
			began := time.Now()
			all.Go(func() { read(0, 1, 2) })
			all.Go(func() { read(1, 2, 1) })
			if others {
				time.Sleep(time.Second / 2)
				all.Go(func() { _, _ = f.nodes[0].GetOrSet(t.Context(), 2, f.load) })
				all.Go(func() { _, _ = f.nodes[1].GetOrSet(t.Context(), 1, f.load) })
			}
			all.Wait()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("they waited for %v", took)
			}
		})
	}
}

// race R39: a caller waits for another process, and its store is closed: Close waits for it as for
// other work, and cuts it short when its own time is over. Nothing is left behind.
func TestCloseWhileAnotherProcessIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 1, false)
		s, err := runtime.NewStore("s", memoryTier(), runtime.L2(&f.tier), runtime.Bus(&f.bus), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		f.takes.Store(int64(time.Minute))
		go f.get(t, 0, 0)
		synctest.Wait()
		waits := make(chan error, 1)
		go func() {
			_, err := c.GetOrSet(t.Context(), 7, f.load)
			waits <- err
		}()
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 1100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := <-waits; !errors.Is(err, runtime.ErrClosed) {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		f.idle(t)
	})
}

// A store that closes gives back what its loads have not used, and does not wait for what may come
// late.
func TestCloseGivesLeasesBack(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var tier faketier.Shared
		conn := &faketier.Conn{Tier: &tier}
		s, err := runtime.NewStore("s", runtime.L2(conn), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		began := make(chan struct{})
		go func() {
			_, _ = c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
				close(began)
				time.Sleep(time.Second)
				return 0, errSource
			})
		}()
		<-began
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if token, _ := tier.Leased(row7); token != "" {
			t.Error("the lease is still there")
		}

		s, err = runtime.NewStore("s", runtime.L2(conn), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c = newCache[int, int](t, s)
		conn.SetAfter(func(_ context.Context, op string, _ []string) error {
			if op == "lease" {
				return errors.New("connection reset")
			}
			return nil
		})
		v, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, v, err, 1)
		at := time.Now()
		if err := s.Close(t.Context()); err != nil || time.Since(at) > 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(at), err)
		}
	})
}

// In one process few loads of a key run beside each other, and they share a lease: the first that
// ends stores.
func TestLoadsBesideEachOtherShareALease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, false, runtime.LockTimeout(time.Second))
		var running, most atomic.Int64
		hang := make(chan struct{})
		load := func(context.Context) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-hang
			return 1, nil
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { _, _ = f.nodes[0].GetOrSet(t.Context(), 7, load) })
			time.Sleep(500 * time.Millisecond)
		}
		if most.Load() != 4 {
			t.Errorf("%d loads at a time, want 4", most.Load())
		}
		if n := f.tier.Calls("lease"); n != 1 {
			t.Errorf("%d requests for the lease, want one", n)
		}
		v, err := f.nodes[1].GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, v, err, 2) // after its LockTimeout
		close(hang)
		all.Wait()
		if _, ok := f.tier.Keys()[row7]; !ok {
			t.Error("nothing is stored")
		}
		f.idle(t)
	})
}

// A key is invalidated again and again while it is loaded: who waits for another process gets a
// value all the same.
func TestWhoWaitsForAnotherProcessGetsAValueAlthoughTheKeyChangesAllTheTime(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			f := newLeasing(t, 4, deaf)
			f.takes.Store(int64(time.Second))
			ended := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				for i := range 100 {
					select {
					case <-ended:
						return
					case <-time.After(300 * time.Millisecond):
					}
					f.row.Store(int64(i))
					_ = f.nodes[0].Delete(t.Context(), 7)
				}
			})
			began := time.Now()
			f.callers(t.Context(), 5, func(int) func(context.Context) (int, error) { return f.load })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("after %v", took)
			}
			close(ended)
			all.Wait()
		})
	}
}

// race R44: a value that memory alone has is pulled while another process loads the key: what that
// stores would be pulled a second time.
func TestAPullEndsTheLeaseOfAKeyWithoutAValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, true)
		f.row.Store(1)
		if err := f.nodes[0].Set(t.Context(), 7, 1, runtime.SkipL2Write(true)); err != nil {
			t.Fatal(err)
		}
		f.takes.Store(int64(time.Second))
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.get(t, 1, 1)
		}()
		synctest.Wait()
		v, ok, err := f.nodes[0].Pull(t.Context(), 7)
		if want(t, v, err, 1); !ok {
			t.Error("nothing is pulled")
		}
		<-done
		if _, ok := f.tier.Keys()[row7]; ok {
			t.Error("stored after it was pulled")
		}
		f.idle(t)
	})
}

// A key is invalidated while many processes wait for one that loads it: they share one load more.
func TestAnInvalidationCostsAllWhoWaitOneLoadMore(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			f := newLeasing(t, 8, deaf)
			f.takes.Store(int64(time.Second))
			time.AfterFunc(500*time.Millisecond, func() { _ = f.nodes[0].Delete(t.Context(), 7) })
			f.callers(t.Context(), 10, func(int) func(context.Context) (int, error) { return f.load })
			if n := f.loads.Load(); n != 2 {
				t.Errorf("%d loads", n)
			}
		})
	}
}

// The callers of a load that waits for another process may have less patience than the one who has
// begun it: it waits no longer then, and they wait for it.
func TestAnImpatientCallerHurriesALoadThatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newLeasing(t, 2, false)
		f.takes.Store(int64(time.Minute))
		go f.get(t, 0, 0)
		synctest.Wait()
		f.takes.Store(int64(2 * time.Second))
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() { f.get(t, 1, 0) })
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				v, err := f.nodes[1].GetOrSet(t.Context(), 7, f.load, runtime.LockTimeout(3*time.Second))
				want(t, v, err, 0)
			})
		}
		all.Wait()
		if took := time.Since(began); took != 5*time.Second || f.loads.Load() != 2 {
			t.Errorf("after %v, %d loads", took, f.loads.Load())
		}
		time.Sleep(time.Minute)
	})
}
