package entry

import (
	"slices"
	"strings"
	"testing"
)

func TestEachKindOfStampHasNamesOfItsOwn(t *testing.T) {
	names := []string{
		StoreStamp, TagStamp("s"), TagStamp(""), TagStamp("n:@a"), NamespaceStamp([]string{"s"}), NamespaceStamp([]string{"a", "b"}), NamespaceStamp([]string{"a@b"}),
		NamespaceStamp([]string{"a:b"}), CacheStamp(nil, "s"), CacheStamp([]string{"a"}, "b"), CacheStamp(nil, "a:b"),
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
		"the store":    RequiredStamps(nil, ""),
		"a cache":      RequiredStamps(nil, "a.Load"),
		"users":        RequiredStamps([]string{"users"}, ""),
		"usersAbc":     RequiredStamps([]string{"usersAbc"}, ""),
		"users/inner":  RequiredStamps([]string{"users", "inner"}, ""),
		"users, cache": RequiredStamps([]string{"users"}, "a.Load"),
	}
	for _, test := range []struct {
		stamp   string
		reaches []string
	}{
		{CacheStamp(nil, ""), []string{"a cache", "the store", "users", "users, cache", "users/inner", "usersAbc"}},
		{CacheStamp([]string{"users"}, ""), []string{"users", "users, cache", "users/inner"}},
		{CacheStamp([]string{"users", "inner"}, ""), []string{"users/inner"}},
		{CacheStamp(nil, "a.Load"), []string{"a cache"}},
		{CacheStamp([]string{"users"}, "a.Load"), []string{"users, cache"}},
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
		CacheStamp([]string{"a"}, "b.Load"): "cache b.Load", CacheStamp(nil, "b.Load"): "cache b.Load",
	} {
		if got := DescribeStamp(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestAKeyIsCutBehindThePrefixOfItsNamespace(t *testing.T) {
	for _, prefix := range []string{"", "app:"} {
		for _, namespace := range [][]string{nil, {"users"}, {"users", "in@:ner"}} {
			own := KeyPrefix(prefix, namespace)
			if got, text := SplitKey(prefix, own+"user:7"); got != own || text != "user:7" {
				t.Errorf("%q and %q of %q", got, text, own+"user:7")
			}
			if strings.Count(own, ":") != strings.Count(prefix, ":")+min(len(namespace), 1) {
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
