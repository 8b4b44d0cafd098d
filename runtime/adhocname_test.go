package runtime_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// An ad-hoc cache is one of its own in every tier and in every process: with keys that no
// cached function, namespace or other ad-hoc cache has, whatever they are called, and with a
// clear that leaves those alone.
func TestAnAdHocCacheIsOneOfItsOwn(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		join := in.team()
		process := func() (*runtime.Store, map[string]*runtime.Cache[string, string]) {
			s := newStore(t, join())
			caches := map[string]*runtime.Cache[string, string]{
				"a":                newCacheNamed[string, string](t, s, "a"),
				"b":                newCacheNamed[string, string](t, s, "b"),
				"a in namespace a": newCacheNamed[string, string](t, s.Namespace("a"), "a"),
				"a in b":           newCacheNamed[string, string](t, s.Namespace("b"), "a"),
				"a in !a":          newCacheNamed[string, string](t, s.Namespace("!a"), "a"),
			}
			stores, err := runtime.NewStores(s)
			if err != nil {
				t.Fatal(err)
			}
			for namespace, d := range map[string]definition[string, string]{
				"function a":        {Name: "a", Pattern: "{id}"},
				"function in a":     {Name: "f.a", Pattern: "{id}", Namespace: "a"},
				"function in !a":    {Name: "g.a", Pattern: "{id}", Namespace: "!a"},
				"generic, like a a": {Name: "h.a", Pattern: "{id}", Namespace: "b", Instance: "!a"},
			} {
				if caches[namespace], err = open(stores, d); err != nil {
					t.Fatal(err)
				}
			}
			return s, caches
		}
		here, caches := process()
		_, elsewhere := process()
		keys := []string{"1", "a:1", "@a:1", "@!a:1", "!a:1", "@a@!a:1"}
		fill := func() {
			for name, c := range caches {
				for _, key := range keys {
					if err := c.Set(t.Context(), key, name+key); err != nil {
						t.Fatal(err)
					}
				}
			}
			for name, c := range elsewhere {
				for _, key := range keys {
					if v, err := c.GetOrSet(t.Context(), key, func(context.Context) (string, error) { return name + key, nil }); err != nil || v != name+key {
						t.Fatal(name, key, v, err)
					}
				}
			}
		}
		gone := func(caches map[string]*runtime.Cache[string, string]) (names []string) {
			for name, c := range caches {
				m, err := c.GetMany(t.Context(), keys)
				if err != nil || len(m) != 0 && len(m) != len(keys) {
					t.Errorf("%s: %v, %v", name, m, err)
				}
				for key, v := range m {
					if v != name+key {
						t.Errorf("%s has %q under %s", name, v, key)
					}
				}
				if len(m) == 0 {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			return names
		}
		for clear, want := range map[string][]string{
			"a": {"a"}, "a in namespace a": {"a in namespace a"}, "function a": {"function a"}, "function in a": {"function in a"},
			"namespace a": {"a in namespace a", "function in a"},
		} {
			fill()
			if got := gone(caches); got != nil {
				t.Fatalf("%s is not there", got)
			}
			var err error
			if c := caches[clear]; c != nil {
				err = c.Clear(t.Context())
			} else {
				err = here.Namespace("a").Clear(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := gone(caches); !slices.Equal(got, want) {
				t.Errorf("after the clear of %s, %q are empty, want %q", clear, got, want)
			}
			time.Sleep(10 * time.Second) // the others have read the stamps again
			if got := gone(elsewhere); (in.bus || in.l2) && !slices.Equal(got, want) {
				t.Errorf("after the clear of %s, elsewhere %q are empty, want %q", clear, got, want)
			}
		}
	})
}

func TestAnAdHocCacheNeedsANameAndHasOneTypeOfKeysAndValues(t *testing.T) {
	s := newStore(t, memoryTier())
	if _, err := runtime.NewCache[int, int](s, ""); err == nil || !strings.Contains(err.Error(), "its name is empty") {
		t.Error(err)
	}
	prices := newCacheNamed[int, int](t, s, "prices")
	_ = newCacheNamed[int, int](t, s, "prices") // another handle
	_ = newCacheNamed[int, string](t, s.Namespace("eu"), "prices")
	_, errValue := runtime.NewCache[int, string](s, "prices")
	_, errKey := runtime.NewCache[string, int](s, "prices")
	for _, err := range []error{errValue, errKey} {
		if err == nil || !strings.Contains(err.Error(), "cachegen: open prices in store test: there is a Cache[int, int] of that name") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := prices.Namespace("eu"); err == nil || !strings.Contains(err.Error(), "there is a Cache[int, string] of that name") {
		t.Errorf("a namespace whose cache of that name has other values: %v", err)
	}
}

// Two handles of one name are one cache, in a namespace inside it, too.
func TestHandlesOfAnAdHocCacheShareTheirEntries(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		one, other := newCacheNamed[int, int](t, s, "prices"), newCacheNamed[int, int](t, s, "prices")
		inner, err := one.Namespace("eu")
		if err != nil {
			t.Fatal(err)
		}
		again := newCacheNamed[int, int](t, s.Namespace("eu"), "prices")
		if err := errors.Join(one.Set(t.Context(), 1, 10), inner.Set(t.Context(), 1, 20)); err != nil {
			t.Fatal(err)
		}
		for c, want := range map[*runtime.Cache[int, int]]int{other: 10, again: 20} {
			if v, ok, err := c.Get(t.Context(), 1); v != want || !ok || err != nil {
				t.Errorf("got %d, %v, want %d", v, err, want)
			}
		}
	})
}

// What a program calls a cache is what errors, events, switches and options call it.
func TestAnAdHocCacheIsCalledByItsName(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var heard []string
		failures := 0
		s := newStore(t, in.tiers(), runtime.Hooks(event.Hooks{
			Miss:    func(e event.Miss) { heard = append(heard, "miss "+e.Cache) },
			Loaded:  func(e event.Load) { heard = append(heard, "loaded "+e.Cache) },
			Written: func(e event.Write) { heard = append(heard, "written "+e.Cache) },
			Hit:     func(e event.Hit) { heard = append(heard, "hit "+e.Cache) },
			Cleared: func(e event.Invalidation) { heard = append(heard, "cleared "+e.Namespace+" "+e.Cache) },
		}))
		stores, err := runtime.NewStores(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := stores.SetOptions("prices", runtime.TTL(time.Minute)); err != nil {
			t.Fatal(err)
		}
		c := newCacheNamed[int, int](t, s.Namespace("eu"), "prices", runtime.TTL(time.Hour),
			runtime.OnLoadError(func(e *event.LoadError) {
				if failures++; e.Cache != "prices" || !strings.Contains(e.Error(), " of prices in store test") {
					t.Errorf("%+v: %v", e, e)
				}
			}))
		var src source
		read := func() {
			t.Helper()
			if _, err := c.GetOrSet(t.Context(), 1, src.load); err != nil {
				t.Fatal(err)
			}
		}
		read()
		read()
		if err := c.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"loaded prices", "written prices", "miss prices", "hit prices", "cleared eu prices"}; !slices.Equal(heard, want) {
			t.Errorf("%q, want %q", heard, want)
		}
		src.fail.Store(true)
		if _, err := c.GetOrSet(t.Context(), 1, src.load); !errors.Is(err, errSource) || failures != 1 {
			t.Error(err, failures)
		}
		src.fail.Store(false)

		if got := stores.Functions(); !slices.Equal(got, []string{"prices"}) || stores.Check() != nil {
			t.Error(got, stores.Check())
		}
		src.loads.Store(0)
		if err := stores.Disable("prices"); err != nil {
			t.Fatal(err)
		}
		read()
		read()
		wantLoads(t, &src, 2)
		if err := stores.Enable("prices"); err != nil {
			t.Fatal(err)
		}
		read()
		read()
		wantLoads(t, &src, 3)
		time.Sleep(2 * time.Minute) // longer than SetOptions says, and shorter than NewCache does
		read()
		wantLoads(t, &src, 4)

		if _, _, err := c.Get(t.Context(), 1, runtime.ForceFresh()); err == nil || !strings.HasPrefix(err.Error(), "cachegen: Get of prices: ") {
			t.Error(err)
		}
	})
}

// A name is any text that is not empty.
func TestAnyNameIsThatOfAnAdHocCache(t *testing.T) {
	var shared faketier.Shared
	s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Prefix("shop"))
	seen := make(map[string]bool)
	for _, name := range []string{"a", "a:b", "a@b", "!a", "@a", "%", "a b", "\x00", "\n", "é", "\xff", "{a}", strings.Repeat("x", 200)} {
		c := newCacheNamed[string, string](t, s, name)
		if err := c.Set(t.Context(), "k", name); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := c.Get(t.Context(), "k"); v != name || !ok || err != nil {
			t.Errorf("%q: %q, %v, %v", name, v, ok, err)
		}
		if _, err := c.GetOrSet(t.Context(), "k", nil); err == nil || strings.ContainsAny(err.Error(), "\n\x00") || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: %q", name, err)
		}
	}
	text := (&event.LoadError{Store: "main", Cache: "a\nb", Keys: []string{"k"}, Err: errSource}).Error()
	if strings.Contains(text, "\n") {
		t.Errorf("an error of two lines: %q", text)
	}
	for key := range shared.Keys() {
		if strings.HasSuffix(key, ":k") {
			seen[key] = true
			if !strings.HasPrefix(key, "shop:@!") || strings.Count(key, ":") != 2 {
				t.Errorf("the key %q", key)
			}
		}
	}
	if len(seen) != 13 {
		t.Errorf("%d keys", len(seen))
	}
}
