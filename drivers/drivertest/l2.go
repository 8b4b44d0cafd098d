package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// L2 tests a shared tier, with all capabilities that it has. opts are the capabilities that
// the tier must have, and its [Limits].
func L2(t *testing.T, open func(t *testing.T) drivers.L2, opts ...Option) {
	var o options
	for _, option := range opts {
		option.apply(&o)
	}
	run := func(name string, test func(t *testing.T, s l2)) {
		t.Run(name, func(t *testing.T) {
			test(t, l2{L2: open(t), t: t, ctx: testContext(t), limit: o.limit, prefix: unique("l2") + ":", open: open})
		})
	}
	first := open(t)
	have := Of(first)
	must(t, "Close", first.Close())
	run("Capabilities", func(t *testing.T, s l2) {
		t.Logf("capabilities of %T: %s", s.L2, have)
		if missing := o.required &^ have; missing != 0 {
			t.Errorf("%T lacks %s", s.L2, missing)
		}
		if _, shared := s.another(); !shared {
			t.Log("handles do not share their data: concurrency is tested on one")
		}
	})

	run("NoKeys", l2NoKeys)
	run("RoundTrip", l2RoundTrip)
	run("EmptyIsNotAbsent", l2Empty)
	run("BatchKeepsOrder", l2Batch)
	run("KeysAreBytes", l2Keys)
	run("ValuesAreBytes", l2Values)
	run("LargeValue", l2Large)
	run("DeleteAbsent", func(t *testing.T, s l2) {
		s.delete(s.key("never"), s.key("set"))
		s.delete(s.key("twice"), s.key("twice"))
	})
	run("CallerOwnsValues", l2Ownership)
	run("TTLEnds", l2TTL)
	run("ShortestAndLongestTTL", l2ExtremeTTL)
	run("OverwriteReplacesTTL", l2OverwriteTTL)
	run("WritesAreSeenByLaterReads", l2Visibility)
	run("WritesAreWhole", l2Whole)
	run("ConcurrentUse", l2Concurrent)
	run("EndedContext", l2EndedContext)
	run("CloseTwice", l2Close)
	run("Refused/NegativeTTL", refusedTTL)
	run("Refused/Batch", refusedBatch)
	if o.limit.MaxKey > 0 || o.limit.NoEmptyKey {
		run("Refused/Key", refusedKey)
	}
	if o.limit.MaxValue > 0 {
		run("Refused/Value", refusedValue)
	}
	run("ErrorsNameStoreAndOperation", l2Errors)

	for _, capability := range capabilities {
		if capability.has(first) {
			capability.tests(run)
		}
	}
	if have&Leases != 0 {
		leaseChanges(run, have)
		if have&Swaps != 0 {
			leaseSwaps(run)
		}
	}
}

// l2 is a store in a test. Its methods fail the test instead of returning an error.
type l2 struct {
	drivers.L2
	t      *testing.T
	ctx    context.Context
	limit  Limits
	prefix string // of the test's keys; no other test uses it
	open   func(t *testing.T) drivers.L2
}

func (s l2) key(name string) string { return s.prefix + name }

// another returns a second handle to the same data, or the store itself and false if the
// handles of open do not share their data.
func (s l2) another() (store drivers.L2, shared bool) {
	s.t.Helper()
	probe := s.key("probe")
	s.set(drivers.Item{Key: probe, Value: []byte("x"), TTL: time.Hour})
	other := s.open(s.t)
	values, err := other.GetMany(s.ctx, []string{probe})
	must(s.t, "GetMany by another handle", err)
	s.delete(probe)
	if values[0] == nil {
		return s.L2, false
	}
	return other, true
}

// handles returns n handles to the same data; some of them may be the same handle.
func (s l2) handles(n int) []drivers.L2 {
	s.t.Helper()
	all := []drivers.L2{s.L2}
	for len(all) < n {
		other, _ := s.another()
		all = append(all, other)
	}
	return all
}

func (s l2) get(keys ...string) [][]byte {
	s.t.Helper()
	values, err := s.GetMany(s.ctx, keys)
	must(s.t, "GetMany", err)
	if len(values) != len(keys) {
		s.t.Fatalf("GetMany of %d keys returned %d values", len(keys), len(values))
	}
	return values
}

func (s l2) set(items ...drivers.Item) {
	s.t.Helper()
	must(s.t, "SetMany", s.SetMany(s.ctx, items))
}

func (s l2) delete(keys ...string) {
	s.t.Helper()
	must(s.t, "DeleteMany", s.DeleteMany(s.ctx, keys))
}

// expect checks the value of key; nil is absent.
func (s l2) expect(key string, want []byte) {
	s.t.Helper()
	mustEqual(s.t, fmt.Sprintf("key %s", brief([]byte(key))), s.get(key)[0], want)
}

func (s l2) waitAbsent(key string) {
	s.t.Helper()
	eventually(s.t, "the key's TTL ends", func() bool { return s.get(key)[0] == nil })
}

func l2NoKeys(t *testing.T, s l2) {
	s.get()
	s.set()
	s.delete()
}

func l2RoundTrip(t *testing.T, s l2) {
	a, b := s.key("a"), s.key("b")
	s.expect(a, nil)
	s.set(drivers.Item{Key: a, Value: []byte("one")})
	s.expect(a, []byte("one"))
	s.expect(b, nil)
	s.set(drivers.Item{Key: a, Value: []byte("uno")}, drivers.Item{Key: b, Value: []byte("due")})
	s.expect(a, []byte("uno"))
	s.expect(b, []byte("due"))
	s.delete(a)
	s.expect(a, nil)
	s.expect(b, []byte("due"))
}

func l2Empty(t *testing.T, s l2) {
	s.set(drivers.Item{Key: s.key("empty"), Value: []byte{}}, drivers.Item{Key: s.key("nil")})
	s.expect(s.key("empty"), []byte{})
	s.expect(s.key("nil"), []byte{})
	got := s.get(s.key("empty"), s.key("absent"), s.key("nil"))
	for i, want := range [][]byte{{}, nil, {}} {
		mustEqual(t, fmt.Sprintf("value %d of a batch", i), got[i], want)
	}
}

// l2Batch uses batches that are larger than the likely limit of parameters in a statement.
func l2Batch(t *testing.T, s l2) {
	n := s.limit.batch(3000)
	var items []drivers.Item
	var keys []string
	for i := range n {
		keys = append(keys, s.key(fmt.Sprint(i)))
		if i%3 != 0 {
			items = append(items, drivers.Item{Key: keys[i], Value: fmt.Append(nil, i), TTL: time.Duration(i%2) * time.Hour})
		}
	}
	s.set(items...)
	check := func(when string, present func(i int) bool) {
		t.Helper()
		for i, got := range s.get(keys...) {
			var want []byte
			if present(i) {
				want = fmt.Append(nil, i)
			}
			mustEqual(t, fmt.Sprintf("%s: value %d", when, i), got, want)
		}
	}
	check("after SetMany", func(i int) bool { return i%3 != 0 })
	s.delete(keys[:n/2]...)
	check("after DeleteMany of half", func(i int) bool { return i%3 != 0 && i >= n/2 })

	last := (n-2)/3*3 + 1 // one that was stored
	twice := s.get(keys[last], keys[0], keys[last])
	mustEqual(t, "the same key again", twice[2], fmt.Append(nil, last))
}

func l2Ownership(t *testing.T, s l2) {
	value := []byte("mine")
	s.set(drivers.Item{Key: s.key("a"), Value: value})
	copy(value, "XXXX")
	got := s.get(s.key("a"))[0]
	mustEqual(t, "after the caller changed what it had stored", got, []byte("mine"))
	copy(got, "YYYY")
	s.expect(s.key("a"), []byte("mine"))
	twice := s.get(s.key("a"), s.key("a"))
	copy(twice[0], "ZZZZ")
	mustEqual(t, "the same key again, after the caller changed its first value", twice[1], []byte("mine"))
}

// l2Visibility: a read that starts after a write has returned, in any process, sees that
// write or a later one.
func l2Visibility(t *testing.T, s l2) {
	const rounds, readers = 200, 4
	key := s.key("counter")
	var written atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	defer wg.Wait()
	defer close(done)
	s.set(drivers.Item{Key: key, Value: []byte("0")})
	handles := s.handles(readers)
	sees := func(reader drivers.L2) bool {
		floor := written.Load()
		values, err := reader.GetMany(s.ctx, []string{key})
		var got int64
		if err == nil {
			_, err = fmt.Sscan(string(values[0]), &got)
		}
		if err != nil || got < floor {
			t.Errorf("read %d after %d was written, error %v", got, floor, err)
			return false
		}
		return true
	}
	for _, reader := range handles {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !sees(reader) {
					return
				}
			}
		})
	}
	for i := range int64(rounds) {
		s.set(drivers.Item{Key: key, Value: fmt.Append(nil, i)})
		written.Store(i)
		if !sees(handles[i%readers]) { // here too, because the loop can end before the readers start
			return
		}
	}
}

// l2Whole: a read during the replacement of a value returns the whole old or new value.
func l2Whole(t *testing.T, s l2) {
	const readers = 3
	size := min(s.limit.largest(), 300_000)
	rounds := min(40, size)
	key := s.key("a")
	value := func(round int) []byte { return bytes.Repeat([]byte{byte('a' + round%26)}, size-round) }
	var wg sync.WaitGroup
	done := make(chan struct{})
	defer wg.Wait()
	defer close(done)
	s.set(drivers.Item{Key: key, Value: value(0)})
	for _, reader := range s.handles(readers) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				values, err := reader.GetMany(s.ctx, []string{key})
				if err != nil {
					t.Errorf("GetMany: %v", err)
					return
				}
				got := values[0]
				if round := size - len(got); round < 0 || round >= rounds || !bytes.Equal(got, value(round)) {
					t.Errorf("read %s, which nobody wrote", brief(got))
					return
				}
			}
		})
	}
	for i := range rounds {
		s.set(drivers.Item{Key: key, Value: value(i)})
	}
}

func l2Concurrent(t *testing.T, s l2) {
	const workers, rounds = 12, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			one, two := s.key(fmt.Sprint(w, "a")), s.key(fmt.Sprint(w, "b"))
			for i := range rounds {
				value := fmt.Append(nil, w, i)
				err := s.SetMany(s.ctx, []drivers.Item{{Key: one, Value: value}, {Key: two, Value: value, TTL: time.Hour}})
				if err != nil {
					t.Errorf("SetMany: %v", err)
					return
				}
				values, err := s.GetMany(s.ctx, []string{one, two, s.key("absent")})
				if err != nil || !bytes.Equal(values[0], value) || !bytes.Equal(values[1], value) || values[2] != nil {
					t.Errorf("after SetMany of %q: %q, %v", value, values, err)
					return
				}
				if err := s.DeleteMany(s.ctx, []string{one}); err != nil {
					t.Errorf("DeleteMany: %v", err)
					return
				}
				values, err = s.GetMany(s.ctx, []string{one})
				if err != nil || values[0] != nil {
					t.Errorf("after DeleteMany: %q, %v", values, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
