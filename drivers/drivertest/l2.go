package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// L2 tests a shared tier. limits, at most one, are what the store's documentation
// says it does not take.
func L2(t *testing.T, open func(t *testing.T) drivers.L2, limits ...Limits) {
	var limit Limits
	if len(limits) > 0 {
		limit = limits[0]
	}
	run := func(name string, test func(t *testing.T, s l2)) {
		t.Run(name, func(t *testing.T) {
			test(t, l2{L2: open(t), t: t, ctx: testContext(t), limit: limit, prefix: unique("l2") + ":"})
		})
	}
	run("NoKeys", l2NoKeys)
	run("RoundTrip", l2RoundTrip)
	run("EmptyIsNotAbsent", l2Empty)
	run("BatchKeepsOrder", l2Batch)
	run("KeysAreBytes", l2Keys)
	run("ValuesAreBytes", l2Values)
	run("LargeValue", l2Large)
	run("DeleteAbsent", func(t *testing.T, s l2) { s.delete(s.key("never"), s.key("set")) })
	run("CallerOwnsValues", l2Ownership)
	run("TTLEnds", l2TTL)
	run("ShortestAndLongestTTL", l2ExtremeTTL)
	run("OverwriteReplacesTTL", l2OverwriteTTL)
	run("NegativeTTLIsRefused", l2NegativeTTL)
	run("WritesAreSeenByLaterReads", l2Visibility)
	run("ConcurrentUse", l2Concurrent)
	run("EndedContext", l2EndedContext)
	run("CloseTwice", l2Close)
	l2Adder(t, run)
	l2Pruner(t, run)
}

// l2 is a store in a test: calls that fail the test rather than return an error.
type l2 struct {
	drivers.L2
	t      *testing.T
	ctx    context.Context
	limit  Limits
	prefix string // no other test has keys with it
}

func (s l2) key(name string) string { return s.prefix + name }

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

// expect checks what key has; nil is absent.
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

// l2Batch is larger than any limit on a statement's parameters is likely to be.
func l2Batch(t *testing.T, s l2) {
	const n = 3000
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

	twice := s.get(keys[n-1], keys[0], keys[n-1])
	mustEqual(t, "the same key again", twice[2], fmt.Append(nil, n-1))
}

func l2Keys(t *testing.T, s l2) {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	longest := 64 << 10
	if s.limit.MaxKey > 0 {
		longest = s.limit.MaxKey
	}
	names := []string{
		"a", "A", "a ", " a", "a\x00", "a\x00b", "\x00", "ä", "a\u0308", "\xff\xfe", "%", "_", "*", "?", "[a]", `\`, `'`, `"`, "`",
		"{x}y", "a:b", "a/b", "../a", "1", "01", "1.0", string(all), "\r\n",
	}
	keys := []string{strings.Repeat("k", longest), strings.Repeat("k", longest-1)}
	for _, name := range names {
		keys = append(keys, s.key(name))
	}
	if !s.limit.NoEmptyKey {
		// The only key that other tests can have too.
		s.delete("")
		keys = append(keys, "")
	}
	for i, key := range keys {
		s.expect(key, nil)
		s.set(drivers.Item{Key: key, Value: fmt.Append(nil, i), TTL: time.Hour})
	}
	for i, got := range s.get(keys...) {
		mustEqual(t, "key "+brief([]byte(keys[i])), got, fmt.Append(nil, i))
	}
	for i, key := range keys {
		s.delete(key)
		s.expect(key, nil)
		if i+1 < len(keys) {
			s.expect(keys[i+1], fmt.Append(nil, i+1))
		}
	}
}

func l2Values(t *testing.T, s l2) {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	for i, value := range [][]byte{all, {0}, []byte("\xff\xfe"), []byte("a\x00b"), []byte("12"), []byte("null"), []byte("'\"\r\n")} {
		key := s.key(fmt.Sprint(i))
		s.set(drivers.Item{Key: key, Value: value})
		s.expect(key, value)
	}
}

func l2Large(t *testing.T, s l2) {
	size := 16 << 20
	if s.limit.MaxValue > 0 {
		size = min(size, s.limit.MaxValue)
	}
	value := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	s.set(drivers.Item{Key: s.key("large"), Value: value}, drivers.Item{Key: s.key("small"), Value: []byte("x")})
	s.expect(s.key("large"), value)
	s.expect(s.key("small"), []byte("x"))
	s.delete(s.key("large"))
}

func l2Ownership(t *testing.T, s l2) {
	value := []byte("mine")
	s.set(drivers.Item{Key: s.key("a"), Value: value})
	copy(value, "XXXX")
	got := s.get(s.key("a"))[0]
	mustEqual(t, "after the caller changed what it had stored", got, []byte("mine"))
	copy(got, "YYYY")
	s.expect(s.key("a"), []byte("mine"))
}

func l2TTL(t *testing.T, s l2) {
	const ttl = 300 * time.Millisecond
	start := time.Now()
	s.set(
		drivers.Item{Key: s.key("short"), Value: []byte("x"), TTL: ttl},
		drivers.Item{Key: s.key("long"), Value: []byte("x"), TTL: time.Hour},
		drivers.Item{Key: s.key("ever"), Value: []byte("x")},
	)
	s.waitAbsent(s.key("short"))
	// The clock of a server is not read at the instant of the call.
	if lived := time.Since(start); lived < ttl-20*time.Millisecond {
		t.Errorf("gone after %s of %s", lived, ttl)
	}
	s.expect(s.key("long"), []byte("x"))
	s.expect(s.key("ever"), []byte("x"))
	s.set(drivers.Item{Key: s.key("short"), Value: []byte("y")})
	s.expect(s.key("short"), []byte("y"))
}

func l2ExtremeTTL(t *testing.T, s l2) {
	s.set(
		drivers.Item{Key: s.key("shortest"), Value: []byte("x"), TTL: 1},
		drivers.Item{Key: s.key("century"), Value: []byte("x"), TTL: 100 * 365 * 24 * time.Hour},
		drivers.Item{Key: s.key("longest"), Value: []byte("x"), TTL: math.MaxInt64},
	)
	s.waitAbsent(s.key("shortest"))
	s.expect(s.key("century"), []byte("x"))
	s.expect(s.key("longest"), []byte("x"))
	s.delete(s.key("century"), s.key("longest"))
}

// l2OverwriteTTL knows that a TTL has ended when a key that was set after it, with
// the same TTL, is gone.
func l2OverwriteTTL(t *testing.T, s l2) {
	const ttl = 50 * time.Millisecond
	s.set(drivers.Item{Key: s.key("kept"), Value: []byte("1"), TTL: ttl})
	s.set(drivers.Item{Key: s.key("kept"), Value: []byte("2")})
	s.set(drivers.Item{Key: s.key("ended"), Value: []byte("1")})
	s.set(drivers.Item{Key: s.key("ended"), Value: []byte("2"), TTL: ttl})
	s.set(drivers.Item{Key: s.key("sentinel"), Value: []byte("x"), TTL: ttl})
	s.waitAbsent(s.key("sentinel"))
	s.expect(s.key("kept"), []byte("2"))
	s.waitAbsent(s.key("ended"))
}

func l2NegativeTTL(t *testing.T, s l2) {
	if err := s.SetMany(s.ctx, []drivers.Item{{Key: s.key("a"), Value: []byte("x"), TTL: -1}}); err == nil {
		t.Error("SetMany took a negative TTL")
	}
	s.expect(s.key("a"), nil)
}

// l2Visibility: a read that starts after a write has returned sees it or a later one.
func l2Visibility(t *testing.T, s l2) {
	const rounds, readers = 200, 4
	key := s.key("counter")
	var written atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	defer wg.Wait()
	defer close(done)
	s.set(drivers.Item{Key: key, Value: []byte("0")})
	for range readers {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				floor := written.Load()
				values, err := s.GetMany(s.ctx, []string{key})
				var got int64
				if err == nil {
					_, err = fmt.Sscan(string(values[0]), &got)
				}
				if err != nil || got < floor {
					t.Errorf("read %d after %d was written, error %v", got, floor, err)
					return
				}
			}
		})
	}
	for i := range int64(rounds) {
		s.set(drivers.Item{Key: key, Value: fmt.Append(nil, i)})
		written.Store(i)
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

// operations is everything the store can do.
func (s l2) operations() map[string]func(context.Context) error {
	x, y := s.key("x"), s.key("y")
	items := []drivers.Item{{Key: x, Value: []byte("x")}}
	all := map[string]func(context.Context) error{
		"SetMany":    func(ctx context.Context) error { return s.SetMany(ctx, items) },
		"DeleteMany": func(ctx context.Context) error { return s.DeleteMany(ctx, []string{x}) },
		"GetMany":    func(ctx context.Context) error { _, err := s.GetMany(ctx, []string{x, y}); return err },
		"GetMany of one key": func(ctx context.Context) error {
			_, err := s.GetMany(ctx, []string{x})
			return err
		},
	}
	if a, ok := s.L2.(drivers.Adder); ok {
		all["AddMany"] = func(ctx context.Context) error { _, err := a.AddMany(ctx, items); return err }
	}
	if p, ok := s.L2.(drivers.Pruner); ok {
		all["Prune"] = func(ctx context.Context) error { _, err := p.Prune(ctx); return err }
	}
	return all
}

func l2EndedContext(t *testing.T, s l2) {
	cancelled, cancel := context.WithCancel(s.ctx)
	cancel()
	late, cancel := context.WithDeadline(s.ctx, time.Now())
	defer cancel()
	for name, operation := range s.operations() {
		mustFail(t, name, operation(cancelled), context.Canceled)
		mustFail(t, name, operation(late), context.DeadlineExceeded)
	}
	s.expect(s.key("x"), nil)
}

func l2Close(t *testing.T, s l2) {
	s.set(drivers.Item{Key: s.key("x"), Value: []byte("x"), TTL: time.Hour})
	must(t, "Close", s.Close())
	must(t, "second Close", s.Close())
	for name, operation := range s.operations() {
		mustFail(t, name+" after Close", operation(s.ctx), drivers.ErrClosed)
	}
}
