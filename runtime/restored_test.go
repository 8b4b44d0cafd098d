package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A past is a shared tier that goes back in time, and how soon a process that is in use has to
// have noticed it.
type past struct {
	*faketier.Shared
	driver drivers.L2
	within time.Duration
	before faketier.Snapshot
}

// remember is the state to which the tier goes back.
func (p *past) remember() { p.before = p.Snapshot() }

// goBack restores what was remembered. From then on, once the time is over in which it has to be
// noticed, nothing from before is served.
func (p *past) goBack(name string) {
	p.Restore(p.before, name)
	time.Sleep(p.within)
}

const trust = time.Second

// inEveryPast runs a test with a driver that tells its history, and with one that does not.
func inEveryPast(t *testing.T, f func(t *testing.T, p *past)) {
	t.Helper()
	mayTell(t, "gone back", "nothing from before", "change of the stamp is pending")
	t.Run("told", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &past{Shared: new(faketier.Shared)}
			p.driver = p.Shared
			f(t, p)
		})
	})
	t.Run("counted", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &past{Shared: new(faketier.Shared), within: 2 * trust}
			p.driver = faketier.Untold(p.Shared)
			f(t, p)
		})
	})
}

// process makes a store over the tier, as another process would.
func (p *past) process(t testing.TB, options ...runtime.StoreOption) *runtime.Store {
	t.Helper()
	return newStore(t, append([]runtime.StoreOption{
		runtime.L2(p.driver), runtime.StampTrust(trust), runtime.TTL(time.Hour), runtime.Grace(time.Hour), runtime.NotFoundTTL(time.Hour),
	}, options...)...)
}

// use reads a key of each store for some seconds.
func use(t *testing.T, seconds int, stores ...*runtime.Store) {
	t.Helper()
	for range seconds * 4 {
		for _, s := range stores {
			if _, err := newCacheNamed[int, int](t, s, "use").GetOrSet(t.Context(), 0, func(context.Context) (int, error) { return 0, nil }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second / 4)
	}
	synctest.Wait()
}

// race R46: what was deleted comes back together with the stamps under which it was valid. It is
// served to nobody, however it was invalidated, and whatever else comes back.
func TestNothingIsServedFromBeforeTheTierWentBack(t *testing.T) {
	const key = 7
	for name, invalidate := range map[string]func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int]) error{
		"delete": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.Delete(ctx, key)
		},
		"expire": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.Expire(ctx, key)
		},
		"set": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.Set(ctx, key, 2)
		},
		"tag": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error {
			return s.DeleteByTag(ctx, "t")
		},
		"tag, expire": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error {
			return s.ExpireByTag(ctx, "t")
		},
		"clear of the store": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int]) error { return s.Clear(ctx) },
		"clear of the cache": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Clear(ctx) },
		"pull": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			_, _, err := c.Pull(ctx, key)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryPast(t, func(t *testing.T, p *past) {
				ctx := t.Context()
				var bus faketier.Bus
				var src source
				src.value.Store(1)
				var stores []*runtime.Store
				for _, options := range [][]runtime.StoreOption{
					{memoryTier(), runtime.Bus(&bus)}, {runtime.Bus(&bus)}, {memoryTier(), runtime.Bus(&bus)}, {},
				} {
					stores = append(stores, p.process(t, options...))
				}
				read := func(s *runtime.Store) int {
					t.Helper()
					got, err := newCache[int, int](t, s).GetOrSet(ctx, key, src.load, runtime.Tags("t"))
					if err != nil {
						t.Fatal(err)
					}
					if v, ok, err := newCache[int, int](t, s).Get(ctx, key); ok && v != got || err != nil {
						t.Fatalf("read %d, then got %d, %v, %v", got, v, ok, err)
					}
					return got
				}
				for _, s := range stores {
					want(t, read(s), nil, 1)
				}
				wantLoads(t, &src, 1)
				use(t, 3, stores...)
				p.remember()
				use(t, 3, stores...)
				src.value.Store(2)
				if err := invalidate(ctx, stores[0], newCache[int, int](t, stores[0])); err != nil {
					t.Fatal(err)
				}
				p.goBack("second")
				for range 20 {
					for i, s := range stores {
						if got := read(s); got != 2 {
							t.Fatalf("process %d serves %d", i, got)
						}
					}
					time.Sleep(time.Second)
				}
				most := int64(3)  // one is of a process that notices while it reads
				if p.within > 0 { // each process clears the store when it notices
					most += int64(len(stores))
				}
				if n := src.loads.Load(); n > most {
					t.Errorf("%d loads", n)
				}
			})
		})
	}
}

// race R46: a process that begins after the tier went back knows from the store's stamp that it
// is from before, although nobody else was there to see it.
func TestAProcessThatBeginsInATierThatWentBackServesNothingFromBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		p := &past{Shared: new(faketier.Shared)}
		p.driver = p.Shared
		var src source
		begin := func(wanted int) {
			t.Helper()
			s := p.process(t, memoryTier())
			got, err := newCache[int, int](t, s).GetOrSet(ctx, 7, src.load)
			want(t, got, err, wanted)
			if err := s.Close(ctx); err != nil {
				t.Fatal(err)
			}
		}
		src.value.Store(1)
		begin(1)
		p.remember()
		begin(1) // and a process that begins where nothing has happened loads nothing
		wantLoads(t, &src, 1)
		s := p.process(t)
		if err := newCache[int, int](t, s).Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(ctx); err != nil {
			t.Fatal(err)
		}
		src.value.Store(2)
		p.goBack("second")
		begin(2)
		begin(2)
		begin(2)
		wantLoads(t, &src, 2)
	})
}

// race R46: a tier that is empty again costs loads, of each key one, and no more later.
func TestATierThatLosesEverythingCostsALoadOfEachKey(t *testing.T) {
	inEveryPast(t, func(t *testing.T, p *past) {
		var src source
		s, other := p.process(t, memoryTier()), p.process(t)
		c, co := newCache[int, int](t, s), newCache[int, int](t, other)
		read := func() {
			t.Helper()
			for i := range 10 {
				for _, c := range []*runtime.Cache[int, int]{c, co} {
					got, err := c.GetOrSet(t.Context(), i, src.load)
					want(t, got, err, int(src.value.Load()))
				}
			}
		}
		use(t, 3, s, other)
		read()
		wantLoads(t, &src, 10)
		p.goBack("second")
		use(t, 3, s, other)
		read()
		n := src.loads.Load() - 10
		if n != 10 {
			t.Errorf("%d loads of 10 keys", n)
		}
		use(t, 5, s, other)
		read()
		wantLoads(t, &src, 10+n)
	})
}

// race R46: many operations notice it at once, in two processes. They agree on the new
// stamp, and few loads are enough.
func TestManyWhoNoticeThatTheTierWentBackLoadLittle(t *testing.T) {
	inEveryPast(t, func(t *testing.T, p *past) {
		var src source
		src.value.Store(1)
		src.delay.Store(int64(10 * time.Millisecond))
		var stores []*runtime.Store
		for range 2 {
			stores = append(stores, p.process(t, memoryTier()))
		}
		use(t, 3, stores...)
		p.remember()
		for _, s := range stores {
			got, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 1)
		}
		use(t, 3, stores...)
		if err := newCache[int, int](t, stores[0]).Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		src.value.Store(2)
		before := src.loads.Load()
		p.Restore(p.before, "second")
		time.Sleep(p.within)
		var wg sync.WaitGroup
		for range 50 {
			for _, s := range stores {
				wg.Go(func() {
					got, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, src.load)
					if got != 2 || err != nil {
						t.Error(got, err)
					}
				})
			}
		}
		wg.Wait()
		use(t, 5, stores...)
		for _, s := range stores {
			got, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 2)
		}
		if n := src.loads.Load() - before; n > 4 || p.within == 0 && n > 2 {
			t.Errorf("%d loads", n)
		}
	})
}

// race R46: the tier is away, or goes back once more, while a process makes up for it.
func TestATierThatIsInTroubleWhileItIsMadeUpFor(t *testing.T) {
	mayTell(t, "away", "breaker")
	for name, trouble := range map[string]func(p *past){
		"away for a while": func(p *past) {
			p.Down(errors.New("away"))
			time.AfterFunc(10*time.Second, func() { p.Down(nil) })
		},
		"goes back again": func(p *past) { p.Restore(p.before, "third") },
	} {
		for after := range 10 { // operations
			t.Run(fmt.Sprintf("%s after %d operations", name, after), func(t *testing.T) {
				inEveryPast(t, func(t *testing.T, p *past) {
					var src source
					src.value.Store(1)
					s, other := p.process(t, memoryTier()), p.process(t)
					read := func(s *runtime.Store, key int) (int, error) {
						return newCache[int, int](t, s).GetOrSet(t.Context(), key, src.load)
					}
					for _, key := range []int{7, 8} {
						got, err := read(s, key)
						want(t, got, err, 1)
					}
					use(t, 3, s, other)
					p.remember()
					use(t, 3, s, other)
					src.value.Store(2)
					if err := newCache[int, int](t, s).Delete(t.Context(), 7); err != nil {
						t.Fatal(err)
					}
					var n atomic.Int64
					p.SetAfter(func(string, []string) {
						if n.Add(1) == int64(after)+1 {
							trouble(p)
						}
					})
					p.Restore(p.before, "second")
					for i := range 100 {
						for _, s := range []*runtime.Store{s, other} {
							got, err := read(s, 7)
							if p.within == 0 || i > 60 { // it has to be noticed, and may have gone back a second time
								want(t, got, err, 2)
							}
							if _, err := read(s, 8); err != nil {
								t.Fatal(err)
							}
						}
						time.Sleep(time.Second / 4)
					}
					if n.Load() <= int64(after) {
						t.Error("there was no trouble")
					}
				})
			})
		}
	}
}

// race R46: the tier is away as soon as a process has noticed. What the process knows is trusted for
// longer then, since a cache must not be the outage; but nothing that the tier has is valid by it.
func TestStampsFromBeforeTheTierWentBackMakeNothingValidThatItHolds(t *testing.T) {
	mayTell(t, "gone back", "nothing from before", "away", "breaker", "load failed")
	bubble(t, func(t *testing.T) {
		p := &past{Shared: new(faketier.Shared)}
		p.driver = p.Shared
		var src source
		src.value.Store(1)
		s := p.process(t, memoryTier(), runtime.L2CircuitBreakerDuration(time.Millisecond))
		c := newCache[int, int](t, s)
		for key := range 3 {
			got, err := c.GetOrSet(t.Context(), key, src.load)
			want(t, got, err, 1)
		}
		p.remember()
		src.value.Store(2)
		if err := c.DeleteMany(t.Context(), 1, 2); err != nil {
			t.Fatal(err)
		}
		p.Restore(p.before, "second")
		var n atomic.Int64
		p.SetBefore(func(context.Context, string, []string) error {
			if n.Add(1) == 2 { // the first has noticed it
				p.Down(errors.New("away"))
			}
			return nil
		})
		got, err := c.GetOrSet(t.Context(), 1, src.load)
		want(t, got, err, 2)
		src.fail.Store(true)
		got, err = c.GetOrSet(t.Context(), 0, src.load) // there is nothing better
		want(t, got, err, 1)
		src.fail.Store(false)
		p.Down(nil)
		time.Sleep(10 * time.Millisecond) // the circuit breaker is over, and trust is not
		got, err = c.GetOrSet(t.Context(), 2, src.load)
		want(t, got, err, 2)
	})
}

// race R46: a load that began before the tier went back stores what was deleted meanwhile. The
// deletion was lost, and with it what would have kept the load from storing: its stamps do.
func TestALoadFromBeforeTheTierWentBackStoresNothingThatIsServed(t *testing.T) {
	for name, restore := range map[string]func(p *past){
		"before the deletion": func(p *past) { p.Restore(p.before, "second") },
		"to nothing":          func(p *past) { p.Restore(faketier.Snapshot{}, "second") },
	} {
		t.Run(name, func(t *testing.T) {
			inEveryPast(t, func(t *testing.T, p *past) {
				s, deleter, reader := p.process(t), p.process(t), p.process(t, memoryTier())
				use(t, 3, s, deleter, reader)
				loading, deleted := make(chan struct{}), make(chan struct{})
				done := make(chan struct{})
				go func() {
					defer close(done)
					got, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, func(context.Context) (int, error) {
						close(loading)
						<-deleted
						return 1, nil
					})
					if got != 1 || err != nil {
						t.Error(got, err)
					}
				}()
				<-loading
				p.remember()
				use(t, 3, deleter, reader)
				if err := newCache[int, int](t, deleter).Delete(t.Context(), 7); err != nil {
					t.Fatal(err)
				}
				restore(p)
				close(deleted)
				<-done
				use(t, int(p.within/time.Second), deleter, reader)
				for range 10 {
					for _, s := range []*runtime.Store{deleter, reader, s, p.process(t)} {
						got, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
						want(t, got, err, 2)
					}
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// A driver that tells each process another history costs loads at the begin of a process. The
// processes do not go on to replace each other's stamps.
func TestProcessesThatAreToldDifferentHistoriesShareTheTier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		begin := func(history string) *runtime.Store {
			return newStore(t, runtime.L2(toldOtherwise{&shared, history}), runtime.StampTrust(trust), runtime.TTL(time.Hour))
		}
		one, two := begin("one"), begin("two")
		for range 100 {
			for _, s := range []*runtime.Store{one, two} {
				_, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, src.load)
				want(t, 0, err, 0)
			}
			time.Sleep(time.Second)
		}
		wantLoads(t, &src, 2)
	})
}

// toldOtherwise is a tier that tells a history of its own.
type toldOtherwise struct {
	*faketier.Shared
	history string
}

func (d toldOtherwise) History(context.Context) (string, error) { return d.history, nil }

// Losing data costs loads: that of the record by which a process notices it, too. A process that
// was idle for longer than the tier keeps that record has lost nothing.
func TestARecordOfAProcessThatIsLostCostsLoads(t *testing.T) {
	for name, test := range map[string]struct {
		idle  time.Duration
		loads int64
	}{"evicted": {0, 2}, "evicted while the process was idle": {time.Hour, 2}, "past its time": {25 * time.Hour, 1}} {
		t.Run(name, func(t *testing.T) {
			mayTell(t, "nothing from before", "gone back")
			bubble(t, func(t *testing.T) {
				var src source
				p := &past{Shared: new(faketier.Shared)}
				p.driver = faketier.Untold(p.Shared)
				s := p.process(t, runtime.TTL(runtime.Forever))
				read := func() {
					t.Helper()
					_, err := newCache[int, int](t, s).GetOrSet(t.Context(), 7, src.load)
					want(t, 0, err, 0)
				}
				read()
				use(t, 3, s)
				wantLoads(t, &src, 1)
				records := counters(p.Shared)
				if len(records) != 1 {
					t.Fatalf("%q", records)
				}
				if test.idle < 24*time.Hour {
					p.Evict(records[0])
				}
				time.Sleep(test.idle)
				use(t, 3, s)
				read()
				wantLoads(t, &src, test.loads)
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(25 * time.Hour)
				if got, err := p.GetMany(t.Context(), counters(p.Shared)); err != nil || got[0] != nil {
					t.Error("a process that has ended leaves its record", err)
				}
			})
		})
	}
}

// counters returns the keys of the records of processes.
func counters(shared *faketier.Shared) (keys []string) {
	for key := range shared.Keys() {
		if strings.HasPrefix(key, "!h:") {
			keys = append(keys, key)
		}
	}
	return keys
}

// What a tier that does not tell its history costs: an operation for each StampTrust, and none
// while nobody uses the store.
func TestWhatATierThatDoesNotTellItsHistoryCosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		operations := func(l2 func(*faketier.Shared) drivers.L2) (inUse, idle int) {
			var shared faketier.Shared
			count := func() int {
				return shared.Calls("get") + shared.Calls("add") + shared.Calls("swap") + shared.Calls("set")
			}
			s := newStore(t, memoryTier(), runtime.L2(l2(&shared)), runtime.StampTrust(trust), runtime.TTL(time.Hour))
			use(t, 100, s)
			inUse = count()
			time.Sleep(time.Hour)
			return inUse, count() - inUse
		}
		told, idle := operations(func(shared *faketier.Shared) drivers.L2 { return shared })
		counted, idleCounted := operations(faketier.Untold)
		t.Logf("in 100 s: %d operations if it tells, %d if not", told, counted)
		if counted-told > 105 || idle != 0 || idleCounted != 0 {
			t.Errorf("%d and %d operations, idle %d and %d", told, counted, idle, idleCounted)
		}
	})
}
