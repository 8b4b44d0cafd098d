package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leaseIfAbsent: who finds a value does not load, and so needs no lease. An empty value is one.
func leaseIfAbsent(t *testing.T, s leasing) {
	bare, empty, full, short := s.key("bare"), s.key("empty"), s.key("full"), s.key("short")
	s.set(drivers.Item{Key: empty}, drivers.Item{Key: full, Value: []byte("x"), TTL: time.Hour},
		drivers.Item{Key: short, Value: []byte("x"), TTL: 20 * time.Millisecond})
	s.waitAbsent(short)
	keys := []string{bare, empty, full, short}
	got := s.ask(drivers.LeaseRequest{Token: "t1", IfAbsent: true}, keys...)
	for i, taken := range []bool{true, false, false, true} {
		if got[i].Taken != taken || got[i].Holder != "" {
			t.Errorf("key %s: taken %v, held by %q, want taken %v", keys[i], got[i].Taken, got[i].Holder, taken)
		}
	}
	mustEqual(t, "bare", got[0].Value, nil)
	mustEqual(t, "empty", got[1].Value, []byte{})
	mustEqual(t, "full", got[2].Value, []byte("x"))
	mustEqual(t, "short", got[3].Value, nil)

	// Without a value it is a request like any other.
	if got := s.ask(drivers.LeaseRequest{Token: "t2", IfAbsent: true}, bare)[0]; got.Taken || got.Holder != "t1" {
		t.Errorf("of another's lease: taken %v, held by %q", got.Taken, got.Holder)
	}
	if got := s.ask(drivers.LeaseRequest{Token: "t2", IfAbsent: true, Replace: true}, bare)[0]; !got.Taken {
		t.Errorf("of another's lease, to be replaced: held by %q", got.Holder)
	}
	// The value comes before the lease of another, and before Replace.
	s.lease("t3", yes, full)
	for _, replace := range []bool{false, true} {
		got := s.ask(drivers.LeaseRequest{Token: "t4", IfAbsent: true, Replace: replace}, full)[0]
		if got.Taken || got.Holder != "" || string(got.Value) != "x" {
			t.Errorf("of a key with a value and a lease, replace %v: %+v", replace, got)
		}
	}
	s.fill("t3", yes, drivers.Item{Key: full, Value: []byte("y")})
}

// leaseReplace: who had the lease can do nothing with it any more.
func leaseReplace(t *testing.T, s leasing) {
	held, free, full := s.key("held"), s.key("free"), s.key("full")
	s.set(drivers.Item{Key: full, Value: []byte("old")})
	s.lease("t1", []bool{true, true}, held, full)
	got := s.ask(drivers.LeaseRequest{Token: "t2", Replace: true}, held, free, full)
	for i, l := range got {
		if !l.Taken {
			t.Errorf("key %d: not taken, held by %q", i, l.Holder)
		}
	}
	mustEqual(t, "the value of a key whose lease is replaced", got[2].Value, []byte("old"))
	s.fill("t1", []bool{false, false}, drivers.Item{Key: held, Value: []byte("1")}, drivers.Item{Key: full, Value: []byte("1")})
	s.renew("t1", time.Hour, []bool{false, false}, held, full)
	s.release("t1", held, full)
	s.lease("t3", []bool{false, false, false}, held, free, full)
	s.expect(held, nil)
	s.expect(full, []byte("old"))
	s.fill("t2", []bool{true, true, true}, items([]string{held, free, full}, "2")...)
	s.expect(held, []byte("2"))

	// A replacement has its own TTL.
	a := s.key("a")
	s.lease("t1", yes, a)
	s.ask(drivers.LeaseRequest{Token: "t2", Replace: true, TTL: 20 * time.Millisecond}, a)
	eventually(t, "the replacement ends", func() bool { return s.ask(drivers.LeaseRequest{Token: "t3"}, a)[0].Taken })
}

// leaseAwait: who ends a lease is told whether somebody waits for that, and nobody else is.
func leaseAwait(t *testing.T, s leasing) {
	n := 0
	key := func() string { n++; return s.key(fmt.Sprint(n)) }
	wait := func(key string, want bool) {
		t.Helper()
		if got := s.ask(drivers.LeaseRequest{Token: "waiter", Await: true}, key)[0]; got.Taken == want {
			t.Errorf("a waiter: taken %v", got.Taken)
		}
	}
	told := func(how string, awaited []bool, want bool) {
		t.Helper()
		if awaited[0] != want {
			t.Errorf("%s: awaited %v, want %v", how, awaited[0], want)
		}
	}
	x := func(key string) drivers.Item { return drivers.Item{Key: key, Value: []byte("x"), TTL: time.Hour} }

	a := key()
	s.lease("t", yes, a)
	s.lease("t2", no, a) // it does not wait
	told("a fill that nobody awaits", s.fill("t", yes, x(a)), false)

	a = key()
	s.lease("t", yes, a)
	wait(a, true)
	wait(a, true)
	s.lease("t2", no, a)
	told("a fill by another", s.fill("t2", no, x(a)), false)
	told("a release by another", s.release("t2", a), false)
	told("a fill", s.fill("t", yes, x(a)), true)
	told("a fill again", s.fill("t", no, x(a)), false)
	s.lease("t", yes, a)
	told("the next fill", s.fill("t", yes, x(a)), false)

	// Who waits makes the lease neither longer nor shorter.
	a = key()
	s.lease("t", yes, a)
	for _, ttl := range []time.Duration{time.Nanosecond, 100 * time.Hour} {
		s.ask(drivers.LeaseRequest{Token: "waiter", TTL: ttl, Await: true}, a)
		if left := s.ask(drivers.LeaseRequest{Token: "t2"}, a)[0].Left; left < time.Hour-patience || left > time.Hour+10*time.Second {
			t.Errorf("a lease of an hour ends in %s after somebody has asked for it for %s", left, ttl)
		}
	}

	a = key()
	s.lease("t", yes, a)
	told("a release that nobody awaits", s.release("t", a), false)
	s.lease("t", yes, a)
	wait(a, true)
	told("a release", s.release("t", a), true)
	told("a release again", s.release("t", a), false)
	wait(a, false) // it has the lease now
	told("a fill by who has waited", s.fill("waiter", yes, x(a)), false)

	a = key()
	s.set(x(a))
	s.lease("t", yes, a)
	wait(a, true)
	s.renew("t", time.Hour, yes, a)
	told("a fill after a renewal, over a value", s.fill("t", yes, x(a)), true)

	a = key()
	s.lease("t", yes, a)
	wait(a, true)
	s.ask(drivers.LeaseRequest{Token: "t2", Replace: true, Await: true}, a)
	told("a release by who was replaced", s.release("t", a), false)
	told("a fill by who has replaced", s.fill("t2", yes, x(a)), true)
	s.lease("t", yes, a)
	s.ask(drivers.LeaseRequest{Token: "t2", Replace: true, Await: true}, a)
	told("a fill by who has replaced what nobody awaits", s.fill("t2", yes, x(a)), false)

	a = key()
	s.lease("t", yes, a)
	wait(a, true)
	s.delete(a)
	s.lease("t", yes, a)
	told("a fill of a lease after a change", s.fill("t", yes, x(a)), false)

	keys := []string{key(), key(), key()}
	s.lease("t", []bool{true, true, true}, keys...)
	wait(keys[1], true)
	if got := s.fill("t", []bool{true, true, true}, items(keys, "x")...); got[0] || !got[1] || got[2] {
		t.Errorf("a fill of several keys: awaited %v, want the second alone", got)
	}
	s.lease("t", []bool{true, true, true}, keys...)
	wait(keys[2], true)
	if got := s.release("t", keys...); got[0] || got[1] || !got[2] {
		t.Errorf("a release of several keys: awaited %v, want the third alone", got)
	}
}

// leaseTells: the value comes with the lease, whoever has it, so that a caller need not read.
func leaseTells(t *testing.T, s leasing) {
	const ttl = time.Hour
	bare, empty, full := s.key("bare"), s.key("empty"), s.key("full")
	s.set(drivers.Item{Key: empty}, drivers.Item{Key: full, Value: []byte(everyByte())})
	keys := []string{bare, empty, full}
	for _, token := range []string{"t1", "t2"} {
		for i, want := range [][]byte{nil, {}, []byte(everyByte())} {
			mustEqual(t, "value found for "+token, s.ask(drivers.LeaseRequest{Token: token, TTL: ttl}, keys...)[i].Value, want)
		}
	}
	got := s.ask(drivers.LeaseRequest{Token: "t2"}, keys...)
	for i, l := range got {
		// The server's clock may differ from that of the test, and TTLs may be rounded up.
		if l.Taken || l.Holder != "t1" || l.Left < ttl-patience || l.Left > ttl+10*time.Second {
			t.Errorf("key %d: taken %v, held by %q for %s, want t1 for about %s", i, l.Taken, l.Holder, l.Left, ttl)
		}
	}
	copy(got[2].Value, "changed by the caller")
	mustEqual(t, "after the caller changed what it was given", s.ask(drivers.LeaseRequest{Token: "t2"}, full)[0].Value, []byte(everyByte()))
	s.fill("t1", yes, drivers.Item{Key: full, Value: []byte("new")})
	mustEqual(t, "after a fill", s.ask(drivers.LeaseRequest{Token: "t2"}, full)[0].Value, []byte("new"))
	s.delete(full)
	mustEqual(t, "after a deletion", s.ask(drivers.LeaseRequest{Token: "t2"}, full)[0].Value, nil)

	// A large value, and many.
	large := make([]byte, min(s.limit.largest(), 1<<20))
	n := s.limit.batch(500)
	keys = nil
	for i := range n {
		keys = append(keys, s.key(fmt.Sprint(i)))
	}
	s.set(drivers.Item{Key: s.key("large"), Value: large})
	s.set(items(keys[:n/2], "x")...)
	mustEqual(t, "a large value", s.ask(drivers.LeaseRequest{Token: "t1"}, s.key("large"))[0].Value, large)
	for i, l := range s.ask(drivers.LeaseRequest{Token: "t1", IfAbsent: true}, keys...) {
		if has := i < n/2; has != (string(l.Value) == "x") || has == l.Taken {
			t.Fatalf("key %d of %d: taken %v, value %q", i, n, l.Taken, l.Value)
		}
	}
}

// leaseTwice: a key twice in a call is refused, or lent once.
func leaseTwice(t *testing.T, s leasing) {
	a, b := s.key("a"), s.key("b")
	got, err := s.LeaseMany(s.ctx, []string{a, b, a}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	if err != nil {
		mustFail(t, "LeaseMany of a key twice", err, drivers.ErrRefused)
		return
	}
	if len(got) != 3 || !got[0].Taken || !got[1].Taken || got[2].Taken || got[2].Holder != "t" {
		t.Errorf("LeaseMany of a key twice: %+v", got)
	}
	s.fill("t", yes, drivers.Item{Key: a, Value: []byte("x")})
}

// leaseAgainstReplace: a fill takes effect before a replacement, which then finds the value, or
// not at all.
func leaseAgainstReplace(t *testing.T, s leasing) {
	const rounds = 60
	handles := s.handles(2)
	for round := range rounds {
		key := s.key(fmt.Sprint(round))
		s.lease("t1", yes, key)
		start := make(chan struct{})
		var wg sync.WaitGroup
		var filled []drivers.Fill
		var leased []drivers.Lease
		var fillErr, leaseErr error
		wg.Go(func() {
			<-start
			filled, fillErr = mustHave(drivers.LeaserOf(handles[0])).FillMany(s.ctx, items([]string{key}, "loaded"), "t1")
		})
		wg.Go(func() {
			<-start
			leased, leaseErr = mustHave(drivers.LeaserOf(handles[1])).LeaseMany(s.ctx, []string{key}, drivers.LeaseRequest{Token: "t2", TTL: time.Hour, Replace: true})
		})
		close(start)
		wg.Wait()
		must(t, "FillMany", fillErr)
		must(t, "LeaseMany", leaseErr)
		var want []byte
		if filled[0].Stored {
			want = []byte("loaded")
		}
		mustEqual(t, "what the replacement found", leased[0].Value, want)
		s.expect(key, want)
		if !leased[0].Taken {
			t.Errorf("not replaced, held by %q", leased[0].Holder)
		}
		s.fill("t2", yes, drivers.Item{Key: key, Value: []byte("new")})
		s.expect(key, []byte("new"))
		if t.Failed() {
			return
		}
	}
}
