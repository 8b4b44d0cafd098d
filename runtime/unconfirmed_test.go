package runtime_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// The kind of these tests: a disturbance that this process knows nothing more of than that
// it may have missed something. What memory has is asked about, and not thrown away.

// flap loses the bus for a while and gets it back.
func flap(bus *faketier.Bus) {
	bus.Cut(true)
	time.Sleep(time.Minute)
	bus.Cut(false)
}

const manyEntries = 1000

func fillMany(t *testing.T, c *runtime.Cache[int, int], src *source) {
	t.Helper()
	src.value.Store(1)
	for i := range manyEntries {
		got, err := c.GetOrSet(t.Context(), i, src.load)
		want(t, got, err, 1)
	}
}

// A store without a shared tier cannot ask whether its entries still hold: it loads, and
// they are what there is if that fails.
func TestABusThatComesBackLeavesEntriesForTheirGrace(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	for name, options := range map[string][]runtime.StoreOption{
		"with grace":             {runtime.Grace(time.Hour)},
		"with a soft timeout":    {runtime.Grace(time.Hour), runtime.Timeout(100 * time.Millisecond)},
		"loads that are delayed": {runtime.Grace(time.Hour), runtime.GraceBackoff(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var bus faketier.Bus
				var src source
				s := newStore(t, append([]runtime.StoreOption{memoryTier(), runtime.Bus(&bus), runtime.TTL(time.Hour)}, options...)...)
				c := newCache[int, int](t, s)
				fillMany(t, c, &src)
				flap(&bus)
				src.fail.Store(true)
				failed := 0
				for i := range manyEntries {
					if got, err := c.GetOrSet(t.Context(), i, src.load); err != nil || got != 1 {
						failed++
					}
				}
				if failed > 0 {
					t.Errorf("%d of %d reads have failed", failed, manyEntries)
				}
				time.Sleep(2 * time.Minute) // the back-off after a failure is over
				src.fail.Store(false)
				src.value.Store(2)
				loads := src.loads.Load()
				for range 2 { // and then they are fresh
					for i := range manyEntries {
						got, err := c.GetOrSet(t.Context(), i, src.load)
						want(t, got, err, 2)
					}
				}
				if n := src.loads.Load() - loads; n != manyEntries {
					t.Errorf("%d loads", n)
				}
			})
		})
	}
}

// Nobody asks the source for what the shared tier still has, and many entries are asked
// about in one round trip, whether their readers come one after another or at once.
func TestAfterABusCameBackEntriesAreConfirmedManyAtOnce(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	for name, read := range map[string]func(t *testing.T, c *runtime.Cache[int, int], get func(i int)){
		"one after another": func(_ *testing.T, _ *runtime.Cache[int, int], get func(i int)) {
			for i := range manyEntries {
				get(i)
			}
		},
		"at once": func(_ *testing.T, _ *runtime.Cache[int, int], get func(i int)) {
			var all sync.WaitGroup
			for i := range manyEntries {
				all.Go(func() { get(i) })
			}
			all.Wait()
		},
		"one, by many": func(_ *testing.T, _ *runtime.Cache[int, int], get func(i int)) {
			var all sync.WaitGroup
			for range manyEntries {
				all.Go(func() { get(7) })
			}
			all.Wait()
		},
		"in one call": func(t *testing.T, c *runtime.Cache[int, int], _ func(i int)) {
			keys := make([]int, manyEntries)
			for i := range keys {
				keys[i] = i
			}
			if got, err := c.GetMany(t.Context(), keys); err != nil || len(got) != manyEntries {
				t.Errorf("%d, %v", len(got), err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				_, c := process(t, &shared, &bus, runtime.Grace(time.Hour))
				fillMany(t, c, &src)
				shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
					time.Sleep(time.Millisecond) // a round trip
					return ctx.Err()
				})
				flap(&bus)
				src.fail.Store(true)
				reads := shared.Calls("get")
				read(t, c, func(i int) {
					if got, err := c.GetOrSet(t.Context(), i, src.load); err != nil || got != 1 {
						t.Error(got, err)
					}
				})
				if n := shared.Calls("get") - reads; n > 20 {
					t.Errorf("%d round trips for %d entries", n, manyEntries)
				}
				wantLoads(t, &src, manyEntries)
				synctest.Wait()
				reads = shared.Calls("get")
				for range 100 {
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 1)
				}
				if n := shared.Calls("get") - reads; n > 0 {
					t.Error("what was confirmed is asked about again:", n)
				}
			})
		})
	}
}

// What was changed elsewhere while this process heard nothing is not served, though memory
// still has it; only a load that fails brings back what nobody can deny.
func TestWhatChangedWhileTheBusWasAwayIsNotConfirmed(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	for name, change := range changes {
		for _, apart := range []time.Duration{0, time.Millisecond} { // also in the instant of the load
			t.Run(name+apart.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					var bus faketier.Bus
					var src source
					store, a := process(t, &shared, &bus)
					_, b := process(t, &shared, &bus)
					src.value.Store(1)
					for i := range 10 {
						if _, err := b.GetOrSet(t.Context(), i, src.load, runtime.Tags("team:1")); err != nil {
							t.Fatal(err)
						}
					}
					bus.Cut(true)
					time.Sleep(apart)
					src.value.Store(2)
					_ = change(t.Context(), store, a) // reports the bus
					bus.Cut(false)
					for range 2 {
						if got, ok, err := b.Get(t.Context(), 7); err != nil || ok && got != 2 {
							t.Errorf("Get: %v, %v, %v", got, ok, err)
						}
						got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
						want(t, got, err, 2)
					}
				})
			})
		}
	}
}

// Every way to read asks first.
func TestNoReadServesAnUnconfirmedEntryAsFresh(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		s := newStore(t, memoryTier(), runtime.Bus(&bus), runtime.TTL(time.Hour), runtime.Grace(time.Hour))
		c := newCache[int, int](t, s)
		ctx := t.Context()
		for i := range 3 {
			if err := c.Set(ctx, i, 1); err != nil {
				t.Fatal(err)
			}
		}
		flap(&bus)
		if _, ok, err := c.Get(ctx, 0); ok || err != nil {
			t.Error("Get:", ok, err)
		}
		if has, err := c.Has(ctx, 0); has || err != nil {
			t.Error("Has:", has, err)
		}
		if got, err := c.GetMany(ctx, []int{0, 1}); len(got) > 0 || err != nil {
			t.Error("GetMany:", got, err)
		}
		if _, ok, err := c.Pull(ctx, 0); ok || err != nil {
			t.Error("Pull:", ok, err)
		}
		if got, ok, err := c.Get(ctx, 0, runtime.AllowStale()); !ok || err != nil || got != 1 {
			t.Error("Get of a stale value:", got, ok, err)
		}
		if err := c.Expire(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(ctx, 1, runtime.AllowStale()); !ok || err != nil || got != 1 {
			t.Error("after Expire:", got, ok, err)
		}
		if err := c.Delete(ctx, 0); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(ctx, 0, runtime.AllowStale()); ok || err != nil {
			t.Error("after Delete:", got, ok, err)
		}
		if err := c.Set(ctx, 2, 2); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(ctx, 2); !ok || err != nil || got != 2 {
			t.Error("after Set:", got, ok, err)
		}
	})
}

// A failure is remembered after a gap as before it.
func TestFailuresAreRememberedAfterAGap(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		var src source
		s := newStore(t, memoryTier(), runtime.Bus(&bus), runtime.TTL(time.Hour), runtime.ErrorTTL(time.Hour))
		c := newCache[int, int](t, s)
		flap(&bus)
		src.fail.Store(true)
		for range 3 {
			if _, err := c.GetOrSet(t.Context(), 7, src.load); err == nil {
				t.Error("no error")
			}
		}
		wantLoads(t, &src, 1)
	})
}

// A driver that cannot list what it holds is asked about what its readers ask for.
func TestEntriesAreConfirmedInADriverThatCannotListThem(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), "load failed")...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var src source
		s := newStore(t, runtime.L1(plainL1{memory.New(memory.Options{MaxSize: "10mb"})}), runtime.L2(&shared), runtime.Bus(&bus), runtime.TTL(time.Hour))
		c := newCache[int, int](t, s)
		fillMany(t, c, &src)
		flap(&bus)
		for i := range manyEntries {
			got, err := c.GetOrSet(t.Context(), i, src.load)
			want(t, got, err, 1)
		}
		wantLoads(t, &src, manyEntries)
	})
}

// plainL1 has no capability.
type plainL1 struct{ drivers.L1 }

// While the shared tier does not answer, nothing can be confirmed: the source is asked, and
// the entries are what there is if that fails, too. When it answers again, they are fresh.
func TestUnconfirmedEntriesWaitForATierThatIsAway(t *testing.T) {
	mayTell(t, append(slices.Clone(theBusFails), append(slices.Clone(theSharedTierFails), "load failed")...)...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var src source
		_, c := process(t, &shared, &bus, runtime.Grace(time.Hour), runtime.GraceBackoff(time.Second))
		fillMany(t, c, &src)
		shared.Down(errDown)
		flap(&bus)
		src.fail.Store(true)
		for i := range manyEntries {
			got, err := c.GetOrSet(t.Context(), i, src.load)
			want(t, got, err, 1)
		}
		shared.Down(nil)
		time.Sleep(time.Minute)
		loads := src.loads.Load()
		for i := range manyEntries {
			got, err := c.GetOrSet(t.Context(), i, src.load)
			want(t, got, err, 1)
		}
		wantLoads(t, &src, loads)
	})
}

// race R49: a connection that is lost in silence is noticed late. The time for which entries
// are served then has begun before.
func TestTheBoundCountsFromWhenTheBusWasHeardLast(t *testing.T) {
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				trust := 500 * time.Millisecond
				store, a := process(t, &shared, &bus, runtime.StampTrust(trust))
				_, b := process(t, &shared, &bus, runtime.StampTrust(trust))
				src.value.Store(1)
				if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				bus.Mute()
				src.value.Store(2)
				if err := change(t.Context(), store, a); err != nil {
					t.Fatal(err) // it does not know either
				}
				stale := time.Now()
				for range 100 {
					if time.Since(stale) == trust {
						bus.Cut(true) // as late as a driver may notice
					}
					got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
					if err != nil {
						t.Fatal(err)
					}
					if got == 2 {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				most := 2 * trust
				if name == "Delete" || name == "Expire" {
					most = trust
				}
				if took := time.Since(stale); took > most {
					t.Errorf("stale for %v", took)
				}
				bus.Cut(false)
			})
		})
	}
}
