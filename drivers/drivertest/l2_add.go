package drivertest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// adding is a store that is an Adder.
type adding struct {
	l2
	drivers.Adder
}

func (s adding) add(items ...drivers.Item) [][]byte {
	s.t.Helper()
	values, err := s.AddMany(s.ctx, items)
	must(s.t, "AddMany", err)
	if len(values) != len(items) {
		s.t.Fatalf("AddMany of %d items returned %d values", len(items), len(values))
	}
	return values
}

func l2Adder(run func(string, func(*testing.T, l2))) {
	add := func(name string, test func(t *testing.T, s adding)) {
		run("Add/"+name, func(t *testing.T, s l2) { test(t, adding{s, mustHave(drivers.AdderOf(s.L2))}) })
	}
	add("NoItems", func(t *testing.T, s adding) { s.add() })
	add("OnlyWhereAbsent", addOnlyWhereAbsent)
	add("EmptyIsPresent", func(t *testing.T, s adding) {
		mustEqual(t, "adding nil", s.add(drivers.Item{Key: s.key("a")})[0], []byte{})
		mustEqual(t, "adding over empty", s.add(drivers.Item{Key: s.key("a"), Value: []byte("x")})[0], []byte{})
		s.expect(s.key("a"), []byte{})
	})
	add("TTL", addTTL)
	add("LargeBatch", addBatch)
	add("OneWinner", addOneWinner)
}

func addOnlyWhereAbsent(t *testing.T, s adding) {
	old, fresh := s.key("old"), s.key("fresh")
	s.set(drivers.Item{Key: old, Value: []byte("first")})
	got := s.add(drivers.Item{Key: old, Value: []byte("second")}, drivers.Item{Key: fresh, Value: []byte("third")})
	mustEqual(t, "added over a present key", got[0], []byte("first"))
	mustEqual(t, "added where absent", got[1], []byte("third"))
	s.expect(old, []byte("first"))
	s.expect(fresh, []byte("third"))
	s.delete(old)
	mustEqual(t, "added after a delete", s.add(drivers.Item{Key: old, Value: []byte("fourth")})[0], []byte("fourth"))
}

func addTTL(t *testing.T, s adding) {
	const ttl = 50 * time.Millisecond
	s.set(drivers.Item{Key: s.key("kept"), Value: []byte("x")})
	s.add(drivers.Item{Key: s.key("kept"), Value: []byte("y"), TTL: ttl})
	s.add(drivers.Item{Key: s.key("sentinel"), Value: []byte("y"), TTL: ttl})
	s.waitAbsent(s.key("sentinel"))
	s.expect(s.key("kept"), []byte("x"))
	// An expired item is absent, whether the store has removed it or not.
	mustEqual(t, "added over an ended TTL", s.add(drivers.Item{Key: s.key("sentinel"), Value: []byte("z")})[0], []byte("z"))
	s.expect(s.key("sentinel"), []byte("z"))
}

func addBatch(t *testing.T, s adding) {
	n := s.limit.batch(1500)
	var odd, all []drivers.Item
	for i := range n {
		item := drivers.Item{Key: s.key(fmt.Sprint(i)), Value: fmt.Append(nil, "new", i), TTL: time.Hour}
		all = append(all, item)
		if i%2 == 1 {
			item.Value = fmt.Append(nil, "old", i)
			odd = append(odd, item)
		}
	}
	s.set(odd...)
	for i, got := range s.add(all...) {
		want := all[i].Value
		if i%2 == 1 {
			want = odd[i/2].Value
		}
		mustEqual(t, fmt.Sprintf("item %d", i), got, want)
	}
}

// addOneWinner: for each key, all concurrent callers get the same value.
func addOneWinner(t *testing.T, s adding) {
	const callers, keys = 16, 10
	results := make([][][]byte, callers)
	start := make(chan struct{})
	handles := s.handles(3)
	var wg sync.WaitGroup
	for c := range callers {
		adder := mustHave(drivers.AdderOf(handles[c%len(handles)]))
		wg.Go(func() {
			var items []drivers.Item
			for k := range keys {
				items = append(items, drivers.Item{Key: s.key(fmt.Sprint(k)), Value: fmt.Append(nil, c)})
			}
			<-start
			values, err := adder.AddMany(s.ctx, items)
			if err != nil {
				t.Errorf("AddMany: %v", err)
				return
			}
			results[c] = values
		})
	}
	close(start)
	wg.Wait()
	if t.Failed() {
		return
	}
	for k := range keys {
		stored := s.get(s.key(fmt.Sprint(k)))[0]
		for c := range callers {
			if !bytes.Equal(results[c][k], stored) {
				t.Errorf("key %d: caller %d was told %q, stored is %q", k, c, results[c][k], stored)
			}
		}
	}
}
