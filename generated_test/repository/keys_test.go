package repository

import (
	"fmt"
	"testing"
	"testing/quick"
)

func readsBack[K interface {
	comparable
	fmt.Stringer
}](t *testing.T, parse func(string) (K, error), key K) bool {
	t.Helper()
	back, err := parse(key.String())
	if err != nil || back != key {
		t.Errorf("%q is read back as %+v, %v, want %+v", key, back, err, key)
		return false
	}
	return true
}

func TestKeysReadBack(t *testing.T) {
	type short int64
	for name, property := range map[string]any{
		"row of a number": func(id int64) bool { return readsBack(t, ParseRowKey[int64], RowKey[int64]{id}) },
		"row of a name":   func(id UserName) bool { return readsBack(t, ParseRowKey[UserName], RowKey[UserName]{id}) },
		"page":            func(n, size int) bool { return readsBack(t, ParsePageKey, PageKey{n, size}) },
		"pair": func(a short, b string) bool {
			return readsBack(t, ParsePairKey[short, string], PairKey[short, string]{a, b})
		},
		"user":     func(site string, name Alias) bool { return readsBack(t, ParseUserKey, UserKey{site, name}) },
		"archived": func(n int) bool { return readsBack(t, parseArchivedKey, archivedKey{n}) },
		"lines":    func(shop int16, id int64) bool { return readsBack(t, ParseLinesKey, LinesKey{shop, id}) },
		"system":   func(verbose bool) bool { return readsBack(t, ParseSystemKey, SystemKey{verbose}) },
		"count":    func(of Alias) bool { return readsBack(t, parseCountKey, countKey{of}) },
	} {
		if err := quick.Check(property, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPairKeysAreInjective(f *testing.F) {
	f.Add("a:b", "c", "a", "b:c")
	f.Add("", ":", ":", "")
	f.Add("@", "!", "%40", "%21")
	f.Add("{a}", "1", "%7Ba}", "1")
	f.Fuzz(func(t *testing.T, a1, b1, a2, b2 string) {
		one, two := PairKey[string, UserName]{a1, UserName(b1)}, PairKey[string, UserName]{a2, UserName(b2)}
		if (one == two) != (one.String() == two.String()) {
			t.Errorf("%+v and %+v have the texts %q and %q", one, two, one, two)
		}
		readsBack(t, ParsePairKey[string, UserName], one)
		if key, err := ParsePairKey[string, UserName](a1); err == nil && key.String() != a1 {
			t.Errorf("%q is read as %+v, which is written %q", a1, key, key)
		}
	})
}
