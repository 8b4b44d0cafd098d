package drivertest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leaseManyCallers: when a key that everybody wants is cold, one caller loads it, and all others
// know whom they wait for.
func leaseManyCallers(t *testing.T, s leasing) {
	const processes, atOnce = 8, 8 // more at once would need more connections than some servers have
	callers := s.limit.batch(2000)
	handles := s.handles(processes)
	key := s.key("cold")
	found := make([]drivers.Lease, callers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range processes * atOnce {
		leaser := mustHave(drivers.LeaserOf(handles[i%processes]))
		wg.Go(func() {
			for c := int(next.Add(1)) - 1; c < callers; c = int(next.Add(1)) - 1 {
				got, err := leaser.LeaseMany(s.ctx, []string{key}, drivers.LeaseRequest{Token: fmt.Sprint("t", c), TTL: time.Hour, IfAbsent: true, Await: true})
				if err != nil || len(got) != 1 {
					t.Errorf("LeaseMany: %v, %v", got, err)
					return
				}
				found[c] = got[0]
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	winner := slices.IndexFunc(found, func(l drivers.Lease) bool { return l.Taken })
	if winner < 0 {
		t.Fatal("nobody got the lease")
	}
	token := fmt.Sprint("t", winner)
	for c, l := range found {
		if c != winner && (l.Taken || l.Holder != token || l.Left <= 0) {
			t.Fatalf("caller %d: taken %v, held by %s for %s, and caller %d has the lease", c, l.Taken, brief(l.Holder), l.Left, winner)
		}
	}
	if awaited := s.fill(token, yes, drivers.Item{Key: key, Value: []byte("x")}); !awaited[0] {
		t.Error("the fill is told that nobody waits")
	}
}

// leaseOneWinner: of many concurrent callers, one gets the lease of a key.
func leaseOneWinner(t *testing.T, s leasing) {
	const callers, keys, rounds = 12, 5, 5
	handles := s.handles(3)
	for round := range rounds {
		var names []string
		for k := range keys {
			names = append(names, s.key(fmt.Sprint(round, "/", k)))
		}
		results := make([][]drivers.Lease, callers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for c := range callers {
			leaser := mustHave(drivers.LeaserOf(handles[c%len(handles)]))
			wg.Go(func() {
				<-start
				got, err := leaser.LeaseMany(s.ctx, names, drivers.LeaseRequest{Token: fmt.Sprint("t", c), TTL: time.Hour})
				if err != nil || len(got) != keys {
					t.Errorf("LeaseMany: %v, %v", got, err)
					return
				}
				results[c] = got
			})
		}
		close(start)
		wg.Wait()
		if t.Failed() {
			return
		}
		for k, name := range names {
			var winners []int
			for c := range callers {
				if results[c][k].Taken {
					winners = append(winners, c)
				}
			}
			if len(winners) != 1 {
				t.Fatalf("key %d is lent to callers %v", k, winners)
			}
			for c := range callers {
				if got, want := results[c][k].Holder, fmt.Sprint("t", winners[0]); c != winners[0] && got != want {
					t.Errorf("key %d: caller %d is told that %q has the lease, want %q", k, c, got, want)
				}
			}
			s.fill(fmt.Sprint("t", winners[0]), yes, drivers.Item{Key: name, Value: []byte("x"), TTL: time.Hour})
		}
	}
}
