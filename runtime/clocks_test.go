package runtime_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// race R52. The kind of these tests: the clock of a machine is wrong, or is set while the program
// runs. No value lives longer because of that, in any tier.

// setClock sets the machine's clock beside the true time, for this test.
func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	t.Cleanup(clock.Set(by))
}

// The writer's clock is wrong. Memory of another process keeps the entry for no longer than
// the writer has given it, in its grace, too.
func TestNoCopyLivesLongerThanItsWriterHasGivenIt(t *testing.T) {
	for name, by := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "right": 0} {
		for state, test := range map[string]struct {
			options []runtime.Option
			wait    time.Duration
		}{
			"fresh":      {[]runtime.Option{runtime.TTL(time.Second)}, time.Second},
			"with grace": {[]runtime.Option{runtime.TTL(time.Second), runtime.Grace(time.Second)}, 2 * time.Second},
			"refreshed":  {[]runtime.Option{runtime.TTL(time.Second), runtime.RefreshPercent(50)}, time.Second},
		} {
			t.Run(name+" "+state, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					writer := newCache[int, int](t, newStore(t, runtime.L2(&shared)), test.options...)
					reader := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), test.options...)
					setClock(t, by)
					if err := writer.Set(t.Context(), 7, 1); err != nil {
						t.Fatal(err)
					}
					setClock(t, 0)
					var src source
					src.value.Store(2)
					got, err := reader.GetOrSet(t.Context(), 7, src.load)
					if by >= 0 {
						want(t, got, err, 1)
					} else {
						want(t, got, err, 2) // it is over at once
					}
					time.Sleep(test.wait)
					src.value.Store(3)
					got, err = reader.GetOrSet(t.Context(), 7, src.load)
					if by < 0 && state == "with grace" {
						_, err = reader.GetOrSet(t.Context(), 7, src.load)
						got, _ = reader.GetOrSet(t.Context(), 7, src.load)
					}
					if got == 1 || err != nil {
						t.Errorf("%d, %v: it lives on", got, err)
					}
				})
			})
		}
	}
}

// An entry for ever stays for ever.
func TestForeverDoesNotDependOnAClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		writer := newCache[int, int](t, newStore(t, runtime.L2(&shared)), runtime.TTL(runtime.Forever))
		reader := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), runtime.TTL(runtime.Forever))
		setClock(t, time.Hour)
		if err := writer.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		setClock(t, 0)
		for range 3 {
			got, ok, err := reader.Get(t.Context(), 7)
			if want(t, got, err, 1); !ok {
				t.Error("gone")
			}
			time.Sleep(1000 * 24 * time.Hour)
		}
	})
}

// The clock is set while the program runs. What lasts for a time lasts for that time.
func TestAClockThatIsSetMovesNoSpan(t *testing.T) {
	mayTell(t, "load failed")
	for name, by := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name+": TTL and grace", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				c := newCache[int, int](t, newStore(t, memoryTier()), runtime.TTL(10*time.Second), runtime.Grace(10*time.Second))
				src.value.Store(1)
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 1)
				setClock(t, by)
				src.value.Store(2)
				time.Sleep(20 * time.Second)
				got, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 2)
				time.Sleep(9 * time.Second)
				got, err = c.GetOrSet(t.Context(), 7, src.load) // and not less, from then on
				want(t, got, err, 2)
				wantLoads(t, &src, 2)
			})
		})
		t.Run(name+": what is read from the shared tier", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var src source
				open := func() *runtime.Cache[int, int] {
					return newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), runtime.TTL(10*time.Second))
				}
				a, b := open(), open()
				src.value.Store(1)
				got, err := a.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 1)
				setClock(t, by)
				_, _, _ = b.Get(t.Context(), 7)
				src.value.Store(2)
				time.Sleep(10 * time.Second)
				for _, c := range []*runtime.Cache[int, int]{b, a} {
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 2)
				}
				wantLoads(t, &src, 2)
			})
		})
		t.Run(name+": a failed load's pause, and a remembered failure", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src source
				c := newCache[int, int](t, newStore(t, memoryTier()), runtime.TTL(time.Second), runtime.Grace(10*time.Hour), runtime.GraceBackoff(time.Minute), runtime.ErrorTTL(time.Minute))
				_, _ = c.GetOrSet(t.Context(), 7, src.load)
				time.Sleep(time.Second)
				src.fail.Store(true)
				_, _ = c.GetOrSet(t.Context(), 7, src.load)
				_, _ = c.GetOrSet(t.Context(), 8, src.load)
				time.Sleep(time.Second)
				setClock(t, by)
				time.Sleep(time.Minute)
				src.fail.Store(false)
				src.value.Store(2)
				_, _ = c.GetOrSet(t.Context(), 7, src.load)
				time.Sleep(time.Millisecond)
				for key := 7; key <= 8; key++ {
					got, err := c.GetOrSet(t.Context(), key, src.load)
					want(t, got, err, 2)
				}
			})
		})
	}
}

// race R23, R49: the clock of a process is set back while its bus is away, or without a bus.
// It is stale for no longer than otherwise.
func TestAClockThatIsSetBackKeepsNothingStaleForLonger(t *testing.T) {
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				store, a := process(t, &shared, &bus, runtime.StampTrust(5*time.Second))
				_, b := process(t, &shared, &bus, runtime.StampTrust(5*time.Second))
				src.value.Store(1)
				if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				src.value.Store(2)
				bus.Cut(true)
				_ = change(t.Context(), store, a) // reports the bus
				setClock(t, -time.Hour)
				time.Sleep(10 * time.Second) // twice the trust, at most
				got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
				want(t, got, err, 2)
				bus.Cut(false)
			})
		})
	}
}

// A write that may still take effect is watched for its whole time, although the clock is
// set forward.
func TestAClockThatIsSetForwardEndsNoDoubt(t *testing.T) {
	mayTell(t, "shared tier")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour)))
		shared.Down(errors.New("the answer is lost"))
		_ = c.Set(t.Context(), "k", 1) // may take effect
		shared.Down(nil)
		time.Sleep(200 * time.Millisecond)
		setClock(t, time.Hour)
		if err := c.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		shared.Put(adHocKeys+"k", []byte("what took effect late"))
		time.Sleep(10 * time.Second)
		if shared.Keys()[adHocKeys+"k"] != nil {
			t.Error("what took effect late stays")
		}
	})
}
