package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// scanning is a store that is a Scanner.
type scanning struct {
	l2
	drivers.Scanner
}

func (s scanning) scan(prefix string) map[string]bool {
	s.t.Helper()
	found := make(map[string]bool)
	must(s.t, "Scan", s.Scan(s.ctx, prefix, func(keys []string) error {
		for _, key := range keys {
			found[key] = true
		}
		return nil
	}))
	return found
}

// mustFind checks that a scan has listed exactly the keys in want.
func mustFind(t *testing.T, what string, got map[string]bool, want []string) {
	t.Helper()
	for _, key := range want {
		if !got[key] {
			t.Errorf("%s: lacks %s", what, brief(key))
		}
	}
	for key := range got {
		if !slices.Contains(want, key) {
			t.Errorf("%s: names %s", what, brief(key))
		}
	}
}

func l2Scanner(run func(string, func(*testing.T, l2))) {
	scan := func(name string, test func(t *testing.T, s scanning)) {
		run("Scan/"+name, func(t *testing.T, s l2) { test(t, scanning{s, mustHave(drivers.ScannerOf(s.L2))}) })
	}
	scan("Nothing", func(t *testing.T, s scanning) { mustFind(t, "scan", s.scan(s.prefix), nil) })
	scan("Everything", func(t *testing.T, s scanning) {
		s.set(drivers.Item{Key: s.key("a")}, drivers.Item{Key: s.key("b"), TTL: time.Hour})
		if got := s.scan(""); !got[s.key("a")] || !got[s.key("b")] {
			t.Errorf("a scan of all %d keys lacks one", len(got))
		}
	})
	scan("ManyKeys", scanMany)
	scan("PrefixesAreBytes", scanBytes)
	scan("NotWhatHasEnded", func(t *testing.T, s scanning) {
		s.set(drivers.Item{Key: s.key("short"), TTL: time.Millisecond}, drivers.Item{Key: s.key("long"), TTL: time.Hour})
		s.waitAbsent(s.key("short"))
		mustFind(t, "scan", s.scan(s.prefix), []string{s.key("long")})
	})
	scan("EndsWithAnError", scanError)
	scan("CallbackUsesTheDriver", scanUse)
	scan("WhileOthersWrite", scanConcurrent)
}

func (s scanning) fillWith(n int) []string {
	s.t.Helper()
	var items []drivers.Item
	var keys []string
	for i := range s.limit.batch(n) {
		keys = append(keys, s.key(fmt.Sprintf("%05d", i)))
		items = append(items, drivers.Item{Key: keys[i], Value: []byte("x"), TTL: time.Duration(i%2) * time.Hour})
	}
	s.set(items...)
	return keys
}

func scanMany(t *testing.T, s scanning) {
	keys := s.fillWith(3000)
	mustFind(t, "scan", s.scan(s.prefix), keys)
	n := len(keys)
	mustFind(t, "scan of a hundred", s.scan(s.prefix+"001"), keys[min(100, n):min(200, n)])
	mustFind(t, "scan of ten", s.scan(s.prefix+"0000"), keys[:10])
	mustFind(t, "scan of one", s.scan(keys[7]), keys[7:8])
	mustFind(t, "scan of none", s.scan(s.prefix+"x"), nil)
}

// prefixed returns keys with prefix, prefix itself among them, and keys without prefix that a
// wrong comparison would match.
func prefixed(base, prefix string) (under, beside []string) {
	p := base + prefix
	head, last := p[:len(p)-1], p[len(p)-1]
	under = []string{p, p + "a", p + "\x00", p + "\xff\xff", p + "{x}", p + "*", p + "日本"}
	beside = []string{
		base + "X" + prefix, "X" + p, head, head + string([]byte{last + 1}), head + string([]byte{last - 1}),
		base + "abc", base + "a", base + "A", base + "x{y}", base + "{y}x",
	}
	beside = slices.DeleteFunc(beside, func(key string) bool { return strings.HasPrefix(key, p) })
	return under, beside
}

// setAll stores keys, and returns them in their order.
func (s l2) setAll(some, others []string) []string {
	s.t.Helper()
	keys := slices.Concat(some, others)
	var items []drivers.Item
	for _, key := range keys {
		items = append(items, drivers.Item{Key: key, Value: []byte("x")})
	}
	s.set(items...)
	return keys
}

// awkwardPrefixes are prefixes that are patterns, or have bounds that are easy to get wrong,
// for a store that does not compare bytes.
func awkwardPrefixes() []string {
	return []string{
		"*", "?", "[a-z]", "[^x]", `\`, `\*`, "[", "]", "%", "_", "a%", "a_", "'", "{", "}", "{}", "{x}", "a{x}", "ab", "Ab",
		"a ", "a\x00", "\x00", "\xff", "\xff\xff", "a\xff", "\xc3", "ä", "^", "$", "a:", "../", ":!",
	}
}

func scanBytes(t *testing.T, s scanning) {
	for i, prefix := range awkwardPrefixes() {
		base := s.key(fmt.Sprint(i, ":"))
		under, beside := prefixed(base, prefix)
		s.setAll(under, beside)
		mustFind(t, fmt.Sprintf("prefix %q", base+prefix), s.scan(base+prefix), under)
	}
}

func scanError(t *testing.T, s scanning) {
	s.fillWith(2000)
	wanted := errors.New("enough")
	calls := 0
	err := s.Scan(s.ctx, s.prefix, func([]string) error { calls++; return wanted })
	mustFail(t, "Scan", err, wanted)
	if _, rest, named := strings.Cut(fmt.Sprint(err), ": "); !named || !strings.Contains(rest, "scan") {
		t.Errorf("Scan: error %q, want the driver's name, a colon and what was being done", err)
	}
	if calls != 1 {
		t.Errorf("f was called %d times", calls)
	}

	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	calls = 0
	err = s.Scan(ctx, s.prefix, func([]string) error { calls++; cancel(); return nil })
	if err != nil { // otherwise the first call had all keys
		mustFail(t, "Scan whose context ends", err, context.Canceled)
	}
	if calls != 1 {
		t.Errorf("f was called %d times, although the context had ended", calls)
	}
}

func scanUse(t *testing.T, s scanning) {
	s.fillWith(1500)
	must(t, "Scan", s.Scan(s.ctx, s.prefix, func(keys []string) error {
		if _, err := s.GetMany(s.ctx, keys); err != nil {
			return err
		}
		if err := s.SetMany(s.ctx, []drivers.Item{{Key: keys[0], Value: []byte("y")}}); err != nil {
			return err
		}
		return s.DeleteMany(s.ctx, keys)
	}))
	mustFind(t, "scan after all was deleted", s.scan(s.prefix), nil)
}

// scanConcurrent: keys that are present throughout a scan are listed, whichever others are
// added and removed.
func scanConcurrent(t *testing.T, s scanning) {
	keys := s.fillWith(1000)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := s.key(fmt.Sprint("passing", w, i%200))
				if err := s.SetMany(s.ctx, []drivers.Item{{Key: key}, {Key: keys[i%len(keys)], Value: []byte("y")}}); err != nil {
					t.Errorf("SetMany: %v", err)
					return
				}
				if err := s.DeleteMany(s.ctx, []string{key}); err != nil {
					t.Errorf("DeleteMany: %v", err)
					return
				}
			}
		})
	}
	for range 3 {
		found := s.scan(s.prefix)
		for _, key := range keys {
			if !found[key] {
				t.Errorf("lacks %s", key)
			}
		}
	}
	close(done)
	wg.Wait()
}
