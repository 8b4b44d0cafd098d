package untyped_test

import (
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// An ad-hoc cache is one of its own, whatever else is called as it is: another namespace, a
// cached function, an ad-hoc cache elsewhere. A clear of it leaves the others.
func TestAnAdHocCacheSharesItsEntriesWithNothingThatHasItsName(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		ctx := t.Context()
		adHoc, function := definition[string, string](), definition[string, string]()
		adHoc.Name, adHoc.AdHoc = "a", true
		function.Name = "a"
		prices, _ := bind(t, s, adHoc)
		caches := map[string]*untyped.Cache{"ad-hoc": prices}
		for name, in := range map[string]struct {
			d         untyped.Definition
			namespace []string
		}{
			"function": {function, nil}, "function in a namespace of its name": {function, []string{"a"}},
			"function in a namespace that looks like it": {function, []string{"!a"}}, "in another namespace": {adHoc, []string{"a"}},
		} {
			caches[name], _ = bind(t, s, in.d, in.namespace...)
		}
		there := func(key string) (names []string) {
			t.Helper()
			for name, c := range caches {
				switch v, ok, err := c.Get(ctx, key, nil); {
				case err != nil:
					t.Fatal(err)
				case ok && v != name:
					t.Errorf("%s has the value of %v", name, v)
				case ok:
					names = append(names, name)
				}
			}
			return names
		}
		for _, key := range []string{"1", "a:1", "@a:1", "@!a:1", "!a:1"} {
			for name, c := range caches {
				if err := c.Set(ctx, key, name, nil); err != nil {
					t.Fatal(err)
				}
			}
			if got := there(key); len(got) != len(caches) {
				t.Errorf("%s: only %q are there", key, got)
			}
		}
		if err := prices.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		if got := there("1"); len(got) != len(caches)-1 {
			t.Errorf("after the clear of one there are %q", got)
		}
		if err := s.Invalidate.Clear(ctx, entry.Cache{Namespace: []string{"a"}}, invalidate.Mode{}); err != nil {
			t.Fatal(err)
		}
		if got := there("1"); len(got) != 2 { // the function's, here and in the other namespace
			t.Errorf("after the clear of the namespace there are %q", got)
		}
		if label := prices.Label(); label != "a" {
			t.Errorf("errors call it %q", label)
		}
	})
}
