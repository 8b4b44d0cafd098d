package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// adding is a store that can add.
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

func l2Adder(t *testing.T, run func(string, func(*testing.T, l2))) {
	add := func(name string, test func(t *testing.T, s adding)) {
		run("Add/"+name, func(t *testing.T, s l2) {
			adder, ok := s.L2.(drivers.Adder)
			if !ok {
				return // an optional capability
			}
			test(t, adding{s, adder})
		})
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
	add("NegativeTTLIsRefused", func(t *testing.T, s adding) {
		if _, err := s.AddMany(s.ctx, []drivers.Item{{Key: s.key("a"), TTL: -1}}); err == nil {
			t.Error("AddMany took a negative TTL")
		}
		s.expect(s.key("a"), nil)
	})
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
	// Past its TTL is absent, removed from the store or not.
	mustEqual(t, "added over an ended TTL", s.add(drivers.Item{Key: s.key("sentinel"), Value: []byte("z")})[0], []byte("z"))
	s.expect(s.key("sentinel"), []byte("z"))
}

func addBatch(t *testing.T, s adding) {
	const n = 1500
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

// addOneWinner: for each key, all concurrent callers get one and the same value.
func addOneWinner(t *testing.T, s adding) {
	const callers, keys = 16, 10
	results := make([][][]byte, callers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			var items []drivers.Item
			for k := range keys {
				items = append(items, drivers.Item{Key: s.key(fmt.Sprint(k)), Value: fmt.Append(nil, c)})
			}
			<-start
			values, err := s.AddMany(s.ctx, items)
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

func l2Pruner(t *testing.T, run func(string, func(*testing.T, l2))) {
	run("PruneRemovesWhatHasEnded", func(t *testing.T, s l2) {
		pruner, ok := s.L2.(drivers.Pruner)
		if !ok {
			return // an optional capability
		}
		const n = 2500
		items := []drivers.Item{
			{Key: s.key("ever"), Value: []byte("x")},
			{Key: s.key("long"), Value: []byte("x"), TTL: time.Hour},
		}
		for i := range n {
			items = append(items, drivers.Item{Key: s.key(fmt.Sprint(i)), Value: []byte("x"), TTL: time.Millisecond})
		}
		s.set(items...)
		// The last of them was set last.
		s.waitAbsent(items[len(items)-1].Key)
		removed, err := pruner.Prune(s.ctx)
		must(t, "Prune", err)
		if removed < n {
			t.Errorf("pruned %d, want at least %d", removed, n)
		}
		again, err := pruner.Prune(s.ctx)
		must(t, "Prune", err)
		if again >= n {
			t.Errorf("a second Prune found %d", again)
		}
		s.expect(s.key("ever"), []byte("x"))
		s.expect(s.key("long"), []byte("x"))
	})
}

// L2Faults tests what a shared tier does while its server is away. The tests use
// one server one after the other; open connects to it.
func L2Faults(t *testing.T, open func(t *testing.T) drivers.L2, faults Faults) {
	store := func(t *testing.T) l2 {
		return l2{L2: open(t), t: t, ctx: testContext(t), prefix: unique("l2") + ":"}
	}
	if faults.Pause != nil {
		t.Run("SilentServer", func(t *testing.T) { l2Silent(t, store(t), faults) })
	}
	if faults.Stop != nil {
		t.Run("StoppedServer", func(t *testing.T) { l2Stopped(t, store(t), faults) })
	}
}

// l2Silent: nobody waits longer for a silent server than its context says.
func l2Silent(t *testing.T, s l2, faults Faults) {
	s.set(drivers.Item{Key: s.key("a"), Value: []byte("x")})
	faults.Pause()
	resume := sync.OnceFunc(faults.Resume)
	defer resume()

	var wg sync.WaitGroup
	for name, operation := range s.operations() {
		prompt := func(ctx context.Context, want error) {
			start := time.Now()
			mustFail(t, name, operation(ctx), want)
			if took := time.Since(start); took > patience/4 {
				t.Errorf("%s: returned after %s", name, took)
			}
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
			defer cancel()
			prompt(ctx, context.DeadlineExceeded)
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(s.ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			prompt(ctx, context.Canceled)
		})
	}
	wg.Wait()

	resume()
	s.expect(s.key("a"), []byte("x"))
}

func l2Stopped(t *testing.T, s l2, faults Faults) {
	s.set(drivers.Item{Key: s.key("a"), Value: []byte("x")})
	faults.Stop()
	restart := sync.OnceFunc(faults.Restart)
	defer restart()
	ctx, cancel := context.WithTimeout(s.ctx, patience/4)
	defer cancel()
	for name, operation := range s.operations() {
		if operation(ctx) == nil {
			t.Errorf("%s succeeded without a server", name)
		}
	}
	restart()
	eventually(t, "the store works again", func() bool {
		return s.SetMany(s.ctx, []drivers.Item{{Key: s.key("b"), Value: []byte("y")}}) == nil
	})
	s.expect(s.key("b"), []byte("y"))
}
