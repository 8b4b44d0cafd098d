package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// Swaps that are performed only while no token has the lease of their key: see
// [drivers.Swap.Unleased].

// unleased has a swap of each kind, of a key that has the value before, which is nil if the key
// is absent.
func unleased(key string, before []byte) map[string]drivers.Swap {
	return map[string]drivers.Swap{
		"stores":  {Key: key, Old: before, New: []byte("swapped"), TTL: time.Hour, Unleased: true},
		"removes": {Key: key, Old: before, Unleased: true},
	}
}

// swapUnleased: where nobody has the lease, the condition prevents nothing and allows nothing,
// also in a store without leases.
func swapUnleased(t *testing.T, s swapping) {
	for _, before := range [][]byte{nil, {}, []byte("old")} {
		for kind, w := range unleased(s.key("a"), before) {
			s.delete(w.Key)
			if before != nil {
				s.set(drivers.Item{Key: w.Key, Value: before})
			}
			other := w
			other.Old = []byte("x")
			s.swap(no, other)
			if before != nil {
				other.Old = nil
				s.swap(no, other)
			}
			s.expect(w.Key, before)
			s.swap(yes, w)
			s.expect(w.Key, w.New)
			if t.Failed() {
				t.Fatalf("the swap %s in place of %s", kind, brief(before))
			}
		}
	}
	n := s.limit.batch(300)
	var items []drivers.Item
	var swaps []drivers.Swap
	var want []bool
	for i := range n {
		key := s.key(fmt.Sprint(i))
		items = append(items, drivers.Item{Key: key, Value: fmt.Append(nil, i%2)})
		swaps = append(swaps, drivers.Swap{Key: key, Old: []byte("1"), Unleased: i%3 != 0})
		want = append(want, i%2 == 1)
	}
	s.set(items...)
	s.swap(want, swaps...)
}

func leaseSwaps(run func(string, func(*testing.T, l2))) {
	test := func(name string, test func(t *testing.T, s leasing, w swapping)) {
		run("Lease/"+name, func(t *testing.T, s l2) {
			test(t, leasing{s, mustHave(drivers.LeaserOf(s.L2))}, swapping{s, mustHave(drivers.SwapperOf(s.L2))})
		})
	}
	test("PreventsASwap", leasePrevents)
	test("PreventsNoSwapWhenItHasEnded", leasePreventsNoMore)
	test("AgainstUnleasedSwaps", leaseAgainstSwaps)
}

// leasePrevents: value, lease and the note that somebody waits stay, and who has the lease can
// store what it has loaded.
func leasePrevents(t *testing.T, s leasing, w swapping) {
	for _, before := range [][]byte{nil, {}, []byte("old")} {
		for kind := range unleased("", before) {
			for _, suffix := range []string{"", "{", "}", "{x}y", " ", "\x00", "%"} {
				key := s.key(fmt.Sprint(kind, before != nil, len(before), suffix))
				swap := unleased(key, before)[kind]
				if before != nil {
					s.set(drivers.Item{Key: key, Value: before})
				}
				s.lease("t", yes, key)
				w.swap(no, swap)
				s.expect(key, before)
				if l := s.ask(drivers.LeaseRequest{Token: "t2", Await: true}, key)[0]; l.Holder != "t" {
					t.Errorf("after the swap the lease is held by %q", l.Holder)
				}
				w.swap(no, swap)
				s.renew("t", time.Hour, yes, key)
				w.swap(no, swap)
				if awaited := s.fill("t", yes, drivers.Item{Key: key, Value: []byte("loaded")}); !awaited[0] {
					t.Error("the swap has ended the note that the lease is awaited")
				}
				s.expect(key, []byte("loaded"))
				w.swap(no, swap)
				if t.Failed() {
					t.Fatalf("the swap %s in place of %s, key %s", kind, brief(before), brief(key))
				}
			}
		}
	}

	// Of a batch, those that no lease prevents are performed, and a swap without the condition
	// ends the lease.
	n := s.limit.batch(200)
	var keys []string
	var swaps []drivers.Swap
	var every, performed, kept []bool
	for i := range n {
		keys, every = append(keys, s.key(fmt.Sprint(i))), append(every, true)
		swaps = append(swaps, drivers.Swap{Key: keys[i], Old: []byte("x"), Unleased: i%3 != 0})
		if i%2 == 0 {
			swaps[i].New = []byte("swapped")
		}
		performed = append(performed, i%3 == 0 || i >= n/2)
		kept = append(kept, !performed[i])
	}
	s.set(items(keys, "x")...)
	s.lease("t", every[:n/2], keys[:n/2]...)
	w.swap(performed, swaps...)
	for i, got := range s.get(keys...) {
		want := []byte("x")
		if performed[i] {
			want = swaps[i].New
		}
		mustEqual(t, fmt.Sprintf("key %d", i), got, want)
	}
	s.fill("t", kept, items(keys, "loaded")...)
}

// leasePreventsNoMore: a lease that has ended, whatever has ended it, prevents nothing.
func leasePreventsNoMore(t *testing.T, s leasing, w swapping) {
	const ttl = 30 * time.Millisecond
	for name, end := range map[string]func(key string) (value []byte){
		"fill": func(key string) []byte {
			s.fill("t", yes, drivers.Item{Key: key, Value: []byte("loaded")})
			return []byte("loaded")
		},
		"release": func(key string) []byte { s.release("t", key); return []byte("old") },
		"delete":  func(key string) []byte { s.delete(key); return nil },
		"set": func(key string) []byte {
			s.set(drivers.Item{Key: key, Value: []byte("new")})
			return []byte("new")
		},
	} {
		for kind := range unleased("", nil) {
			key := s.key(name + kind)
			s.set(drivers.Item{Key: key, Value: []byte("old")})
			s.lease("t", yes, key)
			swap := unleased(key, end(key))[kind]
			w.swap(yes, swap)
			s.expect(key, swap.New)
		}
	}
	for _, before := range [][]byte{nil, []byte("old")} {
		for kind := range unleased("", nil) {
			key := s.key(fmt.Sprint("ttl", kind, before != nil))
			if before != nil {
				s.set(drivers.Item{Key: key, Value: before})
			}
			s.ask(drivers.LeaseRequest{Token: "t", TTL: ttl}, key)
			swap := unleased(key, before)[kind]
			eventually(t, "a swap is performed after the end of a lease", func() bool {
				done, err := w.SwapMany(s.ctx, []drivers.Swap{swap})
				must(t, "SwapMany", err)
				return done[0]
			})
			s.fill("t", no, drivers.Item{Key: key, Value: []byte("late")})
			s.expect(key, swap.New)
			s.lease("t2", yes, key)
		}
	}
}

// leaseAgainstSwaps: a lease that is taken at the time of a swap is not ended by it, whichever of
// them comes first.
func leaseAgainstSwaps(t *testing.T, s leasing, _ swapping) {
	const rounds = 60
	handles := s.handles(2)
	for round := range rounds {
		key := s.key(fmt.Sprint(round))
		var before []byte
		if round%4 < 2 {
			before = []byte("old")
			s.set(drivers.Item{Key: key, Value: before})
		}
		swap := unleased(key, before)[[]string{"stores", "removes"}[round%2]]
		start := make(chan struct{})
		var wg sync.WaitGroup
		var leased []drivers.Lease
		var swapped []bool
		var leaseErr, swapErr error
		wg.Go(func() {
			<-start
			leased, leaseErr = mustHave(drivers.LeaserOf(handles[0])).LeaseMany(s.ctx, []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
		})
		wg.Go(func() {
			<-start
			swapped, swapErr = mustHave(drivers.SwapperOf(handles[1])).SwapMany(s.ctx, []drivers.Swap{swap})
		})
		close(start)
		wg.Wait()
		must(t, "LeaseMany", leaseErr)
		must(t, "SwapMany", swapErr)
		if !leased[0].Taken {
			t.Fatalf("round %d: nobody has a lease, and it is not taken", round)
		}
		want := before
		if swapped[0] {
			want = swap.New
		}
		mustEqual(t, "what the lease found", leased[0].Value, want)
		s.expect(key, want)
		s.fill("t", yes, drivers.Item{Key: key, Value: []byte("loaded")})
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}
