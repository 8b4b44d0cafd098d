package runtime_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

const fullName = "example.com/shop/users.Repo.FindUser"

func findUser(options ...runtime.Option) definition[int, int] {
	return definition[int, int]{Name: fullName, Pattern: "user:{id}", Options: options}
}

// Call, then override, then directive, then store, then Stores.
func TestPrecedenceOfOptions(t *testing.T) {
	ttl := func(t *testing.T, set func(runtime.Stores) error, store []runtime.StoreOption, directive []runtime.Option, call []runtime.CallOption) time.Duration {
		var out time.Duration
		inEveryShape(t, func(t *testing.T, in shape) {
			s := newStore(t, append([]runtime.StoreOption{in.tiers()}, store...)...)
			stores, err := runtime.NewStores(s)
			if err != nil {
				t.Fatal(err)
			}
			if set != nil {
				if err := set(stores); err != nil {
					t.Fatal(err)
				}
			}
			c, err := open(stores, findUser(directive...))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Set(t.Context(), 7, 1, call...); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for {
				if ok, _ := c.Has(t.Context(), 7); !ok {
					break
				}
				time.Sleep(time.Minute)
			}
			out = time.Since(began)
		})
		return out
	}
	m := func(n int) runtime.Option { return runtime.TTL(time.Duration(n) * time.Minute) }
	type set func(runtime.Stores) error
	both := func(sets ...set) set {
		return func(s runtime.Stores) error {
			var errs []error
			for _, set := range sets {
				errs = append(errs, set(s))
			}
			return errors.Join(errs...)
		}
	}
	defaults := func(n int) set { return func(s runtime.Stores) error { return s.SetDefaults(m(n)) } }
	of := func(function string, n int) set {
		return func(s runtime.Stores) error { return s.SetOptions(function, m(n)) }
	}
	for name, test := range map[string]struct {
		set       set
		store     []runtime.StoreOption
		directive []runtime.Option
		call      []runtime.CallOption
		want      int
	}{
		"default":       {want: 30},
		"stores":        {set: defaults(2), want: 2},
		"last defaults": {set: both(defaults(9), defaults(2)), want: 2},
		"store":         {set: defaults(2), store: []runtime.StoreOption{m(3)}, want: 3},
		"directive":     {set: defaults(2), store: []runtime.StoreOption{m(3)}, directive: []runtime.Option{m(1), m(5)}, want: 5}, // wrap comes first
		"function":      {set: both(defaults(2), of("users.Repo.FindUser", 4)), store: []runtime.StoreOption{m(3)}, directive: []runtime.Option{m(5)}, want: 4},
		"last of function": {set: both(of("users.Repo.FindUser", 4), of("FindUser", 6), of("FindTeam", 7)),
			directive: []runtime.Option{m(5)}, want: 6},
		"call": {set: both(defaults(2), of("users.Repo.FindUser", 4)), store: []runtime.StoreOption{m(3)}, directive: []runtime.Option{m(5)},
			call: []runtime.CallOption{m(8), m(1)}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ttl(t, test.set, test.store, test.directive, test.call); got != time.Duration(test.want)*time.Minute {
				t.Errorf("got %v, want %dm", got, test.want)
			}
		})
	}
}

func TestOptionsOfAFunctionAreCheckedWhenTheyAreGiven(t *testing.T) {
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		for wanted, err := range map[string]error{
			"name of the function is empty": stores.SetOptions("", runtime.TTL(1)),
			"F: an option is nil":           stores.SetOptions("F", nil),
			"TTL -1ns":                      stores.SetOptions("F", runtime.TTL(-1)),
			"HardTimeout 1ns is not above":  stores.SetOptions("F", runtime.Timeout(2), runtime.HardTimeout(1)),
			"BatchMax -1 is negative":       stores.SetOptions("F", runtime.BatchMax(-1)),
		} {
			if err == nil || !strings.Contains(err.Error(), wanted) {
				t.Errorf("got %v, want an error with %q", err, wanted)
			}
		}
		if err := stores.Check(); err != nil {
			t.Error("options that were refused are remembered:", err)
		}
	})
}

// Together with the directive they may contradict each other: then the cache does not open, or
// if it is open, the options are refused.
func TestOptionsOfAFunctionThatContradictItsDirectiveAreRefused(t *testing.T) {
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		d := findUser(runtime.TTL(time.Hour), runtime.L1TTL(10*time.Minute))
		for _, first := range []bool{true, false} {
			stores, err := runtime.NewStores(newStore(t, in.tiers()))
			if err != nil {
				t.Fatal(err)
			}
			open := func() error { _, err := open(stores, d); return err }
			set := func() error { return stores.SetOptions("FindUser", runtime.TTL(time.Minute)) }
			if !first {
				open, set = set, open
			}
			if err := set(); err != nil {
				t.Fatal(err)
			}
			if err := open(); err == nil || !strings.Contains(err.Error(), fullName) || !strings.Contains(err.Error(), "L1TTL 10m0s is above the TTL 1m0s") {
				t.Error(err)
			}
		}
	})
}

// Options hold for caches that are open, from the next call on.
func TestOptionsOfAFunctionHoldForOpenCaches(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := open(stores, findUser(runtime.TTL(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		fresh := func(after time.Duration) bool {
			t.Helper()
			if err := c.Set(t.Context(), 7, 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after)
			ok, err := c.Has(t.Context(), 7)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if !fresh(30 * time.Minute) {
			t.Error("the directive does not hold")
		}
		if err := stores.SetOptions("FindUser", runtime.TTL(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if !fresh(59*time.Second) || fresh(time.Minute) {
			t.Error("the options do not hold")
		}
		// What later ones do not mention stays.
		if err := stores.SetOptions("FindUser", runtime.Grace(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if fresh(time.Minute) {
			t.Error("options that were not mentioned are gone")
		}
		if _, ok, err := c.Get(t.Context(), 7, runtime.AllowStale()); !ok || err != nil {
			t.Error("no grace:", err)
		}
	})
}

func TestOptionsOfNoFunctionAreTold(t *testing.T) {
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"users.Repo.FindUser", "indUser", "users.Repo.FindUsr"} {
			if err := stores.SetOptions(name, runtime.TTL(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := open(stores, findUser()); err != nil {
			t.Fatal(err)
		}
		err = stores.Check()
		if !errors.Is(err, runtime.ErrUnknownFunction) || !strings.Contains(err.Error(), `"indUser"`) || !strings.Contains(err.Error(), "FindUsr") ||
			strings.Contains(err.Error(), `"users.Repo.FindUser"`) {
			t.Error(err)
		}
		if got := stores.Functions(); !slices.Equal(got, []string{fullName}) {
			t.Error(got)
		}
	})
}

func TestCachingIsSwitchedOffAndOnWhileRunning(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				stores, err := runtime.NewStores(newStore(t, options()...))
				if err != nil {
					t.Fatal(err)
				}
				c, err := open(stores, findUser())
				if err != nil {
					t.Fatal(err)
				}
				var src source
				src.value.Store(1)
				read := func(wanted int, loads int64) {
					t.Helper()
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, wanted)
					wantLoads(t, &src, loads)
				}
				read(1, 1)
				read(1, 1)
				if err := stores.Disable("FindUser"); err != nil {
					t.Fatal(err)
				}
				src.value.Store(2)
				read(2, 2)
				read(2, 3)
				if _, ok := gen.HitInt(t.Context(), c, 7); ok {
					t.Error("a hit")
				}
				if _, ok := gen.Hit(t.Context(), c, []byte("7")); ok {
					t.Error("a hit")
				}
				if ok, err := c.Has(t.Context(), 7); ok || err != nil {
					t.Error(ok, err)
				}
				if _, ok, err := c.Pull(t.Context(), 7); ok || err != nil {
					t.Error(ok, err)
				}
				if got, err := c.GetMany(t.Context(), []int{7}); len(got) != 0 || err != nil {
					t.Error(got, err)
				}
				many := func(context.Context, []int) (map[int]int, error) {
					return map[int]int{7: 2}, &runtime.PartialError{Err: errSource}
				}
				if got, err := c.GetOrSetMany(t.Context(), []int{7}, many); got[7] != 2 || !errors.Is(err, errSource) {
					t.Error(got, err)
				}
				failed := func(context.Context, []int) (map[int]int, error) { return map[int]int{7: 2}, errSource }
				if got, err := c.GetOrSetMany(t.Context(), []int{7}, failed); got[7] != 2 || !errors.Is(err, errSource) {
					t.Error(got, err)
				}
				// What changes meanwhile is not forgotten.
				if err := c.Set(t.Context(), 7, 3); err != nil {
					t.Fatal(err)
				}
				if err := stores.Enable(fullName); err != nil {
					t.Fatal(err)
				}
				src.value.Store(4)
				read(4, 4)
				read(4, 4)
			})
		})
	}
}

func TestWhoIsSwitchedOffIsNamed(t *testing.T) {
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{stores.Disable("FindUser"), stores.Enable("")} {
			if !errors.Is(err, runtime.ErrUnknownFunction) {
				t.Error(err)
			}
		}
	})
}

// A loader that has a say in its entry has none while its caching is off.
func TestAFunctionThatIsSwitchedOffHasNoEntry(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		inner, err := open(stores, findUser())
		if err != nil {
			t.Fatal(err)
		}
		outer, err := open(stores, definition[int, int]{Name: "outer", Pattern: "outer:{id}", Namespace: "outer", Options: []runtime.Option{runtime.TTL(time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		_ = stores.Disable(fullName)
		loads := 0
		for range 2 {
			_, err := outer.GetOrSet(t.Context(), 1, func(ctx context.Context) (int, error) {
				loads++
				return inner.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) {
					runtime.EntryOf(ctx).SetTTL(time.Second)
					return 1, nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if loads != 1 {
			t.Error("the inner loader has changed the outer entry")
		}
	})
}

func TestLoggerAndCodecOfStores(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared))
		stores, err := runtime.NewStores(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := stores.SetDefaults(runtime.WithCodec(jsonCodec{}), runtime.Logger(silent)); err != nil {
			t.Fatal(err)
		}
		c, err := open(stores, findUser())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), 7, 12345); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(shared.Keys()["7"]), "12345") {
			t.Error("the codec was not used")
		}
	})
}

// How long the circuit breaker stays open: the option of a store, then of Stores.
func TestTheBreakerOfStores(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for _, test := range []struct {
		store []runtime.StoreOption
		want  time.Duration
	}{
		{nil, time.Minute},
		{[]runtime.StoreOption{runtime.L2CircuitBreakerDuration(time.Second)}, time.Second},
	} {
		bubble(t, func(t *testing.T) {
			var shared faketier.Shared
			s := newStore(t, append([]runtime.StoreOption{runtime.L2(&shared)}, test.store...)...)
			stores, err := runtime.NewStores(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := stores.SetDefaults(runtime.L2CircuitBreakerDuration(time.Minute)); err != nil {
				t.Fatal(err)
			}
			c := newCache[int, int](t, s)
			shared.Down(errSource)
			for range 3 {
				_, _, _ = c.Get(t.Context(), 7)
			}
			shared.Down(nil)
			asked := shared.Calls("get")
			time.Sleep(test.want - 1)
			_, _, _ = c.Get(t.Context(), 7)
			if shared.Calls("get") != asked {
				t.Errorf("asked before %v had passed", test.want)
			}
			time.Sleep(1 * time.Nanosecond)
			_, _, _ = c.Get(t.Context(), 7)
			if shared.Calls("get") == asked {
				t.Errorf("not asked after %v", test.want)
			}
		})
	}
}
