package runtime_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

type shapeOne struct{ Name string }
type shapeTwo struct {
	Name string
	Age  int
}

// race R35: an entry of another shape of the type is a miss, never a wrong value.
func TestAnEntryOfAnotherShapeIsAMiss(t *testing.T) {
	mayTell(t, "another shape")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		one := newCache[int, shapeOne](t, newStore(t, runtime.L2(&shared), runtime.Prefix("p")))
		two := newCache[int, shapeTwo](t, newStore(t, runtime.L2(&shared), runtime.Prefix("p")))
		if err := one.Set(t.Context(), 1, shapeOne{"Ada"}); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := two.Get(t.Context(), 1); ok || err != nil {
			t.Fatalf("got %v, %v, %v, want a miss", v, ok, err)
		}
	})
}

// Two types under the keys of one cache find each other's entries. The second cache is
// refused when it is made: nobody would see that each of its reads goes past the cache.
func TestTwoTypesUnderTheKeysOfOneCacheAreRefused(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		one := newCache[int, shapeOne](t, s)
		if _, err := runtime.NewCache[string, shapeTwo](s, "values"); err == nil || !strings.Contains(err.Error(), "shapeOne") || !strings.Contains(err.Error(), "shapeTwo") {
			t.Errorf("a cache of another type: %v", err)
		}
		newCache[int, shapeOne](t, s) // of the same types
		n := s.Namespace("two")
		newCache[int, shapeTwo](t, n)
		if _, err := one.Namespace("two"); err == nil {
			t.Error("a handle on the namespace of another type")
		}
		if _, err := one.Namespace("three"); err != nil {
			t.Error(err)
		}
	})
}

func TestAnythingUnreadableIsAMiss(t *testing.T) {
	mayTell(t, "cannot be read", "unreadable")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		src.value.Store(5)
		c := newCache[string, int](t, newStore(t, runtime.L2(&shared)))
		if err := c.Set(t.Context(), "good", 1); err != nil {
			t.Fatal(err)
		}
		good := shared.Keys()["good"]
		bad := map[string][]byte{"empty": {}, "text": []byte("hello"), "zeros": make([]byte, 200), "long": []byte(strings.Repeat("x", 1000))}
		for i := range good {
			flipped := append([]byte{}, good...)
			flipped[i] ^= 0x40
			bad["flipped"+string(rune(i))] = flipped
			bad["cut"+string(rune(i))] = good[:i]
		}
		for key, data := range bad {
			shared.Put(key, data)
			if v, ok, err := c.Get(t.Context(), key); ok || err != nil {
				t.Fatalf("%s: got %v, %v, %v, want a miss", key, v, ok, err)
			}
			got, err := c.GetOrSet(t.Context(), key, src.load)
			want(t, got, err, 5)
		}
	})
}

type explosive struct{ n int }

func (e explosive) MarshalBinary() ([]byte, error) { return []byte{byte(e.n)}, nil }
func (e *explosive) UnmarshalBinary([]byte) error  { panic("cannot") }

func TestAPanicInACodecIsAMiss(t *testing.T) {
	mayTell(t, "cannot be read", "unreadable")
	bubble(t, func(t *testing.T) {
		c := newCache[string, explosive](t, newStore(t, runtime.L2(&faketier.Shared{})))
		if err := c.Set(t.Context(), "k", explosive{1}); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := c.Get(t.Context(), "k"); ok || err != nil {
			t.Fatalf("got %v, %v, %v, want a miss", v, ok, err)
		}
	})
}

// race R34: zero and nil values are values.
func TestZeroAndEmptyAreValues(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, options()...)
				lists := newCache[string, []int](t, s)
				numbers := newCache[string, int](t, s.Namespace("numbers"))
				loads := 0
				for range 3 {
					list, err := lists.GetOrSet(t.Context(), "l", func(context.Context) ([]int, error) { loads++; return nil, nil })
					want(t, list == nil, err, true)
					n, err := numbers.GetOrSet(t.Context(), "n", func(context.Context) (int, error) { loads++; return 0, nil })
					want(t, n, err, 0)
				}
				want(t, loads, nil, 2)
			})
		})
	}
}

type profile struct {
	Name   string
	Roles  []string
	Limits map[string]int
	Boss   *profile
	Since  time.Time
}

// race R36: what one caller does to its value, another does not see.
func TestCallersDoNotShareMemory(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[string, *profile](t, newStore(t, options()...))
				mine := &profile{Name: "Ada", Roles: []string{"admin"}, Limits: map[string]int{"x": 1}, Boss: &profile{Name: "Bob"}}
				if err := c.Set(t.Context(), "k", mine); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					mine.Roles[0], mine.Limits["x"], mine.Boss.Name, mine.Name = "nobody", 0, "Eve", "Eve"
					var ok bool
					var err error
					mine, ok, err = c.Get(t.Context(), "k")
					if !ok || err != nil {
						t.Fatal(ok, err)
					}
					if mine.Roles[0] != "admin" || mine.Limits["x"] != 1 || mine.Boss.Name != "Bob" || mine.Name != "Ada" {
						t.Fatalf("another caller's change is visible: %+v", mine)
					}
				}
			})
		})
	}
}

func TestSharedHandsOutOneValue(t *testing.T) {
	inEveryShapeWithMemory(t, func(t *testing.T, in shape) {
		stores, err := runtime.NewStores(newStore(t, in.tiers()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := open(stores, definition[int, *profile]{Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		p := &profile{Name: "Ada"}
		if err := c.Set(t.Context(), 1, p); err != nil {
			t.Fatal(err)
		}
		first, _, err := c.Get(t.Context(), 1)
		if err != nil || first == p || first.Name != "Ada" { // memory keeps a copy of its own
			t.Fatal(first, err)
		}
		got, _, err := c.Get(t.Context(), 1)
		want(t, got, err, first)
	})
}

func TestIntegerKeysOfEverySizeKeepApart(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int64, int64](t, newStore(t, in.tiers(), runtime.Prefix("p")))
		keys := []int64{0, 1, -1, 10, -10, math.MaxInt64, math.MinInt64, 1234567890123456789}
		for _, k := range keys {
			if err := c.Set(t.Context(), k, k); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range keys {
			got, ok, err := c.Get(t.Context(), k)
			if !ok {
				t.Fatalf("%d is gone", k)
			}
			want(t, got, err, k)
		}
	})
}

// Foreign bytes in the place of a stamp are as if there were none.
func TestAnUnreadableStampIsMadeAnew(t *testing.T) {
	mayTell(t, "cannot be read", "unreadable")
	for name, plain := range map[string]bool{"adding tier": false, "plain tier": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var l2 drivers.L2 = &shared
				if plain {
					l2 = plainTier{&shared}
				}
				c := newCache[int, int](t, newStore(t, runtime.L2(l2)))
				var src source
				if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
					t.Fatal(err)
				}
				for _, foreign := range []string{"", "hello", "more than eight", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
					shared.Put("!s:s", []byte(foreign))
					time.Sleep(time.Minute) // beyond the trust in the stamp that was there
					src.loads.Store(0)
					for range 3 {
						if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
							t.Fatal(err)
						}
					}
					wantLoads(t, &src, 1)
					if err := c.Set(t.Context(), 8, 1); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
