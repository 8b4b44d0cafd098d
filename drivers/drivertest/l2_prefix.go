package drivertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// deleting is a store that is a PrefixDeleter.
type deleting struct {
	l2
	drivers.PrefixDeleter
}

// deletePrefix checks the number of removed keys.
func (s deleting) deletePrefix(prefix string, want int) {
	s.t.Helper()
	n, err := s.DeletePrefix(s.ctx, prefix)
	must(s.t, "DeletePrefix", err)
	if n != int64(want) {
		s.t.Errorf("DeletePrefix(%s) removed %d keys, want %d", brief(prefix), n, want)
	}
}

func l2PrefixDeleter(run func(string, func(*testing.T, l2))) {
	prefix := func(name string, test func(t *testing.T, s deleting)) {
		run("DeletePrefix/"+name, func(t *testing.T, s l2) { test(t, deleting{s, mustHave(drivers.PrefixDeleterOf(s.L2))}) })
	}
	prefix("Nothing", func(t *testing.T, s deleting) { s.deletePrefix(s.prefix, 0) })
	prefix("ManyKeys", prefixMany)
	prefix("PrefixesAreBytes", prefixBytes)
	prefix("LongPrefix", prefixLong)
	prefix("Concurrent", prefixConcurrent)
}

func prefixMany(t *testing.T, s deleting) {
	n := s.limit.batch(2500)
	var items []drivers.Item
	for i := range n {
		items = append(items, drivers.Item{Key: s.key(fmt.Sprint("a", i)), Value: []byte("x"), TTL: time.Duration(i%2) * time.Hour})
	}
	s.set(items...)
	s.set(drivers.Item{Key: s.key("b"), Value: []byte("x")})
	s.deletePrefix(s.prefix+"a", n)
	s.deletePrefix(s.prefix+"a", 0)
	for i, item := range items {
		if i%max(1, n/5) == 0 {
			s.expect(item.Key, nil)
		}
	}
	s.expect(s.key("b"), []byte("x"))
}

func prefixBytes(t *testing.T, s deleting) {
	for i, prefix := range awkwardPrefixes() {
		base := s.key(fmt.Sprint(i, ":"))
		under, beside := prefixed(base, prefix)
		keys := s.setAll(under, beside)
		s.deletePrefix(base+prefix, len(under))
		for j, got := range s.get(keys...) {
			var want []byte
			if j >= len(under) {
				want = []byte("x")
			}
			mustEqual(t, fmt.Sprintf("key %q beside prefix %q", keys[j], base+prefix), got, want)
		}
	}
}

func prefixLong(t *testing.T, s deleting) {
	long := s.key(strings.Repeat("l", s.limit.longest()-len(s.prefix)-1))
	s.set(drivers.Item{Key: long + "a", Value: []byte("x")}, drivers.Item{Key: long[1:], Value: []byte("x")})
	s.deletePrefix(long, 1)
	s.expect(long[1:], []byte("x"))
	if s.limit.MaxKey == 0 {
		s.deletePrefix(strings.Repeat("l", 70<<10), 0)
	}
}

// prefixConcurrent: concurrent deletions of one prefix, and writes of other keys, do not fail,
// and each key is counted once.
func prefixConcurrent(t *testing.T, s deleting) {
	const callers = 4
	n := s.limit.batch(600)
	var items []drivers.Item
	for i := range n {
		items = append(items, drivers.Item{Key: s.key(fmt.Sprint("a", i)), Value: []byte("x")})
	}
	s.set(items...)
	handles := s.handles(2)
	counts := make([]int64, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			var err error
			if counts[c], err = mustHave(drivers.PrefixDeleterOf(handles[c%2])).DeletePrefix(s.ctx, s.prefix+"a"); err != nil {
				t.Errorf("DeletePrefix: %v", err)
			}
			beside := s.key(fmt.Sprint("b", c))
			if err := handles[c%2].SetMany(s.ctx, []drivers.Item{{Key: beside, Value: []byte("x")}}); err != nil {
				t.Errorf("SetMany: %v", err)
			}
		})
	}
	wg.Wait()
	var sum int64
	for _, count := range counts {
		sum += count
	}
	if sum != int64(n) {
		t.Errorf("%d keys were counted %d times", n, sum)
	}
	for c := range callers {
		s.expect(s.key(fmt.Sprint("b", c)), []byte("x"))
	}
	s.deletePrefix(s.prefix+"a", 0)
}
