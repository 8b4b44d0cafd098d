package entry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestEachKindOfStampHasNamesOfItsOwn(t *testing.T) {
	names := []string{
		StoreStamp, TagStamp("s"), TagStamp(""), TagStamp("n:@a"), NamespaceStamp([]string{"s"}), NamespaceStamp([]string{"a", "b"}), NamespaceStamp([]string{"a@b"}),
		NamespaceStamp([]string{"a:b"}), Cache{Name: "s"}.Stamp(), Cache{Namespace: []string{"a"}, Name: "b"}.Stamp(), Cache{Name: "a:b"}.Stamp(),
		Cache{Name: "s", AdHoc: true}.Stamp(), Cache{Namespace: []string{"a"}, Name: "b", AdHoc: true}.Stamp(), Cache{Name: "a:b", AdHoc: true}.Stamp(),
	}
	if got := Distinct(slices.Clone(names)); len(got) != len(names) {
		t.Errorf("two are the same: %q", names)
	}
	for i, name := range names {
		if IsTagStamp(name) != (i >= 1 && i <= 3) {
			t.Errorf("%q: IsTagStamp is %v", name, IsTagStamp(name))
		}
	}
	if got := TagStamps([]string{"a", "b"}); !slices.Equal(got, []string{"t:a", "t:b"}) {
		t.Error(got)
	}
}

// race R19: a clear of a namespace reaches what is in it and in the namespaces inside it,
// and nothing else.
func TestAClearReachesTheEntriesThatCarryItsStamp(t *testing.T) {
	entries := map[string][]string{
		"the store":    Cache{}.RequiredStamps(),
		"a cache":      Cache{Name: "a.Load"}.RequiredStamps(),
		"users":        Cache{Namespace: []string{"users"}}.RequiredStamps(),
		"usersAbc":     Cache{Namespace: []string{"usersAbc"}}.RequiredStamps(),
		"users/inner":  Cache{Namespace: []string{"users", "inner"}}.RequiredStamps(),
		"ad-hoc":       Cache{Name: "a.Load", AdHoc: true}.RequiredStamps(),
		"users ad-hoc": Cache{Namespace: []string{"users"}, Name: "a.Load", AdHoc: true}.RequiredStamps(),
		"users, cache": Cache{Namespace: []string{"users"}, Name: "a.Load"}.RequiredStamps(),
	}
	for _, test := range []struct {
		stamp   string
		reaches []string
	}{
		{Cache{}.Stamp(), []string{"a cache", "ad-hoc", "the store", "users", "users ad-hoc", "users, cache", "users/inner", "usersAbc"}},
		{Cache{Namespace: []string{"users"}}.Stamp(), []string{"users", "users ad-hoc", "users, cache", "users/inner"}},
		{Cache{Namespace: []string{"users", "inner"}}.Stamp(), []string{"users/inner"}},
		{Cache{Name: "a.Load"}.Stamp(), []string{"a cache"}},
		{Cache{Namespace: []string{"users"}, Name: "a.Load"}.Stamp(), []string{"users, cache"}},
		{Cache{Name: "a.Load", AdHoc: true}.Stamp(), []string{"ad-hoc"}},
		{Cache{Namespace: []string{"users"}, Name: "a.Load", AdHoc: true}.Stamp(), []string{"users ad-hoc"}},
	} {
		var reached []string
		for name, stamps := range entries {
			if slices.Contains(stamps, test.stamp) {
				reached = append(reached, name)
			}
		}
		slices.Sort(reached)
		if !slices.Equal(reached, test.reaches) {
			t.Errorf("%q reaches %q, want %q", test.stamp, reached, test.reaches)
		}
	}
}

func TestAStampIsDescribedInWords(t *testing.T) {
	for name, want := range map[string]string{
		StoreStamp: "all entries", TagStamp("team:1"): "tag team:1", NamespaceStamp([]string{"a", "b"}): "namespace a/b",
		Cache{Namespace: []string{"a"}, Name: "b.Load"}.Stamp(): "cache b.Load", Cache{Name: "b.Load"}.Stamp(): "cache b.Load",
		Cache{Namespace: []string{"a"}, Name: "b", AdHoc: true}.Stamp(): "cache b",
	} {
		if got := DescribeStamp(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestAKeyIsCutBehindThePrefixOfItsNamespace(t *testing.T) {
	for _, prefix := range []string{"", "app:"} {
		for _, c := range []Cache{
			{}, {Namespace: []string{"users"}}, {Namespace: []string{"users", "in@:ner"}},
			{Name: "pri:@!ces", AdHoc: true}, {Namespace: []string{"users"}, Name: "prices", AdHoc: true},
		} {
			own := c.KeyPrefix(prefix)
			if got, text := SplitKey(prefix, own+"user:7"); got != own || text != "user:7" {
				t.Errorf("%q and %q of %q", got, text, own+"user:7")
			}
			if more := len(c.Namespace) > 0 || c.AdHoc; (strings.Count(own, ":") != strings.Count(prefix, ":")) != more {
				t.Errorf("the names in %q are not escaped", own)
			}
		}
	}
	for _, key := range []string{"", "a", "app", "app:@", "app:@x"} { // a message may name anything
		if prefix, text := SplitKey("app:", key); prefix+text != key {
			t.Errorf("%q was cut into %q and %q", key, prefix, text)
		}
	}
}

func FuzzSplitKey(f *testing.F) {
	f.Add("app:", "app:@users:user:7")
	f.Add("", "@@x:")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if a, b := SplitKey(prefix, key); a+b != key {
			t.Fatalf("%q was cut into %q and %q", key, a, b)
		}
	})
}

// Any string is the name of a namespace or of an ad-hoc cache, and any text that does not begin
// with a mark a key.
func TestAnAdHocCacheHasAPrefixThatNothingElseHas(t *testing.T) {
	var all []Cache
	names := []string{"a", "!a", "@!a", "a@!a", "%21a", "!", "", "a:b", "a!b", "@"}
	for _, outer := range append(names, "none") {
		for _, inner := range append(names, "none") {
			var path []string
			for _, name := range []string{outer, inner} {
				if name != "none" {
					path = append(path, name)
				}
			}
			all = append(all, Cache{Namespace: path})
			for _, name := range names {
				all = append(all, Cache{Namespace: path, Name: name, AdHoc: true})
			}
		}
	}
	seen := make(map[string]string)
	for _, c := range all {
		id := fmt.Sprintf("%q %q %v", c.Namespace, c.Name, c.AdHoc)
		if other, ok := seen[c.KeyPrefix("app:")]; ok && other != id {
			t.Errorf("%s and %s have the prefix %q", id, other, c.KeyPrefix("app:"))
		}
		seen[c.KeyPrefix("app:")] = id
		if rest := strings.TrimPrefix(c.KeyPrefix("app:"), "app:"); rest != "" && rest[0] != '@' {
			t.Errorf("%s: %q could be the text of a key, or the key of a stamp", id, rest)
		}
	}
}
