package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// ends returns how long the entry of key stays fresh, to a second.
func ends(t *testing.T, c *runtime.Cache[int, int], key int) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		ok, err := c.Has(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return time.Since(start)
		}
		time.Sleep(time.Second)
	}
}

func TestJitterShortensTheTTL(t *testing.T) {
	for name, o := range map[string]runtime.Option{"duration": runtime.Jitter(20 * time.Second), "percent": runtime.JitterPercent(20)} {
		for setup, options := range setups {
			t.Run(name+"/"+setup, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newCache[int, int](t, newStore(t, options()...), runtime.TTL(100*time.Second), o)
					seen := map[time.Duration]bool{}
					for key := range 40 {
						var err error
						if key%2 == 0 {
							err = c.Set(t.Context(), key, 1)
						} else {
							_, err = c.GetOrSet(t.Context(), key, func(context.Context) (int, error) { return 1, nil })
						}
						if err != nil {
							t.Fatal(err)
						}
						d := ends(t, c, key)
						if d < 80*time.Second || d > 100*time.Second {
							t.Errorf("fresh for %v, want 80 s to 100 s", d)
						}
						seen[d] = true
					}
					if len(seen) < 5 {
						t.Errorf("40 entries end after only %d different times", len(seen))
					}
				})
			})
		}
	}
}

func TestJitterLeavesTheGraceItsLength(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.TTL(100*time.Second), runtime.Jitter(90*time.Second),
			runtime.Grace(10*time.Second), runtime.GraceBackoff(0), runtime.Timeout(time.Second))
		for key := range 20 {
			if err := c.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
			ends(t, c, key) // at most a second ago
			time.Sleep(8 * time.Second)
			fail := func(context.Context) (int, error) { return 0, errSource }
			got, err := c.GetOrSet(t.Context(), key, fail)
			want(t, got, err, 1)
			time.Sleep(2 * time.Second)
			if _, err := c.GetOrSet(t.Context(), key, fail); err != errSource {
				t.Fatalf("after the grace: %v", err)
			}
		}
	})
}

func TestJitterOfAShortOrEndlessTTL(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.TTL(time.Hour), runtime.Jitter(time.Minute))
		for key, ttl := range []time.Duration{1, 2, time.Second, 30 * time.Second, time.Minute, runtime.Forever} {
			for range 20 {
				if err := c.Set(t.Context(), key, 1, runtime.TTL(ttl)); err != nil {
					t.Fatal(err)
				}
				if time.Sleep(min(ttl/2-1, 5*time.Minute)); ttl < 2 {
					continue
				}
				if ok, _ := c.Has(t.Context(), key); !ok {
					t.Errorf("gone before half of %v", ttl)
				}
			}
		}
		if _, err := c.GetOrSet(t.Context(), 1, func(context.Context) (int, error) { return 1, nil }, runtime.TTL(0)); err != nil {
			t.Error(err)
		}
	})
}

// Without a bus, L1TTL bounds how long a process does not see what another has set.
func TestL1TTLLooksAtTheSharedTierAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		o := func() []runtime.StoreOption {
			return []runtime.StoreOption{memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.L1TTL(10 * time.Second), runtime.StampTrust(time.Hour)}
		}
		a, b := newCache[int, int](t, newStore(t, o()...)), newCache[int, int](t, newStore(t, o()...))
		var src source
		if err := a.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		read := func(wanted int) {
			t.Helper()
			got, err := b.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, wanted)
			got, ok, err := b.Get(t.Context(), 7)
			if want(t, got, err, wanted); !ok {
				t.Error("Get found nothing")
			}
		}
		read(1)
		if err := a.Set(t.Context(), 7, 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		read(1)
		gets := shared.Calls("get")
		if _, ok := gen.Hit(t.Context(), b, []byte("7")); !ok || shared.Calls("get") != gets {
			t.Error("no hit in memory within the L1TTL")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := gen.Hit(t.Context(), b, []byte("7")); ok {
			t.Error("a hit in memory after the L1TTL")
		}
		read(2)
		gets = shared.Calls("get")
		time.Sleep(9 * time.Second)
		read(2)
		if shared.Calls("get") != gets {
			t.Error("the copy was not kept for another L1TTL")
		}
		if err := a.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		src.value.Store(3)
		read(3)
		wantLoads(t, &src, 1)
	})
}

func TestAValuePastItsL1TTLStandsInWhenNothingElseDoes(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.L1TTL(time.Second), runtime.GraceBackoff(time.Minute)))
		src.value.Store(1)
		c.GetOrSet(t.Context(), 7, src.load)
		shared.Down(errors.New("away"))
		src.fail.Store(true)
		time.Sleep(2 * time.Second)
		for range 5 {
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 1)
		}
		wantLoads(t, &src, 2) // then it backs off
		src.fail.Store(false)
		src.value.Store(2)
		time.Sleep(time.Minute)
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
	})
}

// What the shared tier has for a grace value may end before the load fails. The value
// past its L1TTL stands in then as it would have without.
func TestAValuePastItsL1TTLStandsInAfterAGraceValueThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		options := func() []runtime.StoreOption {
			return []runtime.StoreOption{memoryTier(), runtime.L2(&shared), runtime.L1TTL(time.Second), runtime.Timeout(time.Minute)}
		}
		here := newCache[int, int](t, newStore(t, options()...), runtime.TTL(time.Hour))
		there := newCache[int, int](t, newStore(t, options()...), runtime.TTL(2*time.Second), runtime.Grace(time.Second))
		var src source
		src.value.Store(1)
		got, err := here.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 1)
		src.value.Store(2)
		got, err = there.GetOrSet(t.Context(), 7, src.load, runtime.ForceFresh())
		want(t, got, err, 2)
		time.Sleep(3*time.Second - time.Millisecond)
		src.fail.Store(true)
		src.delay.Store(int64(2 * time.Millisecond))
		got, err = here.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 1)
	})
}

func TestL1TTLBoundsTheTTLWhereThereIsNoSharedTier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.TTL(time.Hour), runtime.L1TTL(10*time.Second)))
		c.GetOrSet(t.Context(), 1, func(context.Context) (int, error) { return 1, nil })
		c.Set(t.Context(), 2, 1)
		c.SetForever(t.Context(), 3, 1)
		time.Sleep(10*time.Second - time.Nanosecond)
		for _, after := range []bool{false, true} {
			for key := 1; key <= 3; key++ {
				if ok, _ := c.Has(t.Context(), key); ok == after {
					t.Errorf("key %d: after the L1TTL %v, there %v", key, after, ok)
				}
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

func TestL1TTLDoesNotOutliveTheTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(15*time.Second), runtime.L1TTL(10*time.Second)))
		for range 3 {
			c.GetOrSet(t.Context(), 7, src.load)
			synctest.Wait()
			time.Sleep(7500 * time.Millisecond)
		}
		wantLoads(t, &src, 2)
	})
}

// The most specific level holds, for each option by itself.
func TestOptionsOfTheNearestLevelHold(t *testing.T) {
	ttl := func(s int) runtime.Option { return runtime.NotFoundTTL(time.Duration(s) * time.Second) }
	none := func(context.Context) (int, error) { return 0, errNoRow }
	for level := range 4 { // where the nearest is given: call, directive, store, Stores
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				storeOptions := []runtime.StoreOption{in.tiers()}
				d := definition[int, int]{NotFound: errNoRow}
				var call []runtime.CallOption
				if level <= 2 {
					storeOptions = append(storeOptions, ttl(30))
				}
				if level <= 1 {
					d.Options = append(d.Options, ttl(20))
				}
				if level == 0 {
					call = append(call, ttl(10))
				}
				stores, err := runtime.NewStores(newStore(t, storeOptions...))
				if err != nil {
					t.Fatal(err)
				}
				if err := stores.SetDefaults(ttl(40)); err != nil {
					t.Fatal(err)
				}
				c, err := open(stores, d)
				if err != nil {
					t.Fatal(err)
				}
				loads := 0
				start := time.Now()
				for loads < 2 {
					c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) { loads++; return none(ctx) }, call...)
					time.Sleep(time.Second)
				}
				if took := time.Since(start) - time.Second; took != time.Duration(level+1)*10*time.Second {
					t.Errorf("remembered for %v", took)
				}
			})
		})
	}
}
