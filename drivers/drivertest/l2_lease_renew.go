package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leaseRenew: a renewal gives more time to who has the lease, and brings back none.
func leaseRenew(t *testing.T, s leasing) {
	const short = 400 * time.Millisecond
	a, b, c := s.key("a"), s.key("b"), s.key("c")
	s.renew("t1", time.Hour, no, a) // never lent
	s.ask(drivers.LeaseRequest{Token: "t1", TTL: short}, a, b)
	s.renew("t2", time.Hour, no, a)
	s.renew("t1", time.Hour, []bool{true, false}, a, c)
	s.renew("t1", time.Hour, yes, a)
	if left := s.ask(drivers.LeaseRequest{Token: "t2"}, a)[0].Left; left < time.Hour-patience || left > time.Hour+10*time.Second {
		t.Errorf("a lease that was renewed for an hour ends in %s", left)
	}
	eventually(t, "the lease that was not renewed ends", func() bool {
		return s.ask(drivers.LeaseRequest{Token: "t2"}, b)[0].Taken
	})
	s.renew("t1", time.Hour, []bool{true, false}, a, b)
	s.lease("t3", []bool{false, false}, a, b)
	s.prune()
	s.fill("t1", yes, drivers.Item{Key: a, Value: []byte("x")})
	s.renew("t1", time.Hour, no, a) // filled
	s.lease("t3", yes, a)
	s.renew("t1", time.Hour, no, a)
	s.release("t3", a)
	s.renew("t3", time.Hour, no, a) // released
	s.expect(a, []byte("x"))

	// A renewal of a lease does not lengthen the life of the value.
	s.set(drivers.Item{Key: c, Value: []byte("x"), TTL: 50 * time.Millisecond})
	s.lease("t1", yes, c)
	s.renew("t1", time.Hour, yes, c)
	s.waitAbsent(c)
	s.renew("t1", time.Hour, yes, c)
	for _, change := range []func(){
		func() { s.delete(c) },
		func() { s.set(drivers.Item{Key: c, Value: []byte("y")}) },
	} {
		change()
		s.renew("t1", time.Hour, no, c)
		s.lease("t1", yes, c)
	}

	n := s.limit.batch(1000)
	var keys []string
	var every []bool
	for i := range n {
		keys, every = append(keys, s.key(fmt.Sprint(i))), append(every, i%3 == 0)
		if i%3 == 0 {
			s.ask(drivers.LeaseRequest{Token: "t"}, keys[i])
		}
	}
	s.renew("t", time.Hour, every, keys...)
	s.fill("t", every, items(keys, "x")...)
}

// leaseRenewAgainstChanges: a renewal at the time of a change does not bring the lease back.
func leaseRenewAgainstChanges(t *testing.T, s leasing) {
	const rounds = 60
	handles := s.handles(2)
	for round := range rounds {
		key := s.key(fmt.Sprint(round))
		s.lease("t", yes, key)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				<-start
				if _, err := mustHave(drivers.LeaserOf(handles[0])).RenewMany(s.ctx, []string{key}, "t", time.Hour); err != nil {
					t.Errorf("RenewMany: %v", err)
				}
			})
		}
		wg.Go(func() {
			<-start
			// At another moment in each round: on a busy machine the last goroutine runs first.
			time.Sleep(time.Duration(round%8) * 200 * time.Microsecond)
			if err := handles[1].DeleteMany(s.ctx, []string{key}); err != nil {
				t.Errorf("DeleteMany: %v", err)
			}
		})
		close(start)
		wg.Wait()
		s.fill("t", no, drivers.Item{Key: key, Value: []byte("loaded")})
		s.expect(key, nil)
		s.lease("t2", yes, key)
		if t.Failed() {
			return
		}
	}
}
