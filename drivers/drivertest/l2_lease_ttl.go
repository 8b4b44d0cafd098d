package drivertest

import (
	"math"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leaseEnds: the leases of a process that died end, and a process that takes longer than its
// lease does not store what it has loaded.
func leaseEnds(t *testing.T, s leasing) {
	const ttl = 200 * time.Millisecond
	a := s.key("a")
	start := time.Now()
	if !s.ask(drivers.LeaseRequest{Token: "t1", TTL: ttl}, a)[0].Taken {
		t.Fatal("the lease of a new key is not taken")
	}
	eventually(t, "the lease ends", func() bool { return s.ask(drivers.LeaseRequest{Token: "t2"}, a)[0].Taken })
	// The server reads its clock a little later than the call begins.
	if held := time.Since(start); held < ttl-20*time.Millisecond {
		t.Errorf("the lease ended after %s of %s", held, ttl)
	}
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("late")})
	s.renew("t1", time.Hour, no, a)
	s.release("t1", a)
	s.expect(a, nil)
	s.fill("t2", yes, drivers.Item{Key: a, Value: []byte("x")})
	s.expect(a, []byte("x"))
}

func leaseExtreme(t *testing.T, s leasing) {
	for name, ttl := range map[string]time.Duration{"shortest": 1, "century": 100 * 365 * 24 * time.Hour, "longest": math.MaxInt64} {
		if !s.ask(drivers.LeaseRequest{Token: "t1", TTL: ttl}, s.key(name))[0].Taken {
			t.Errorf("the %s lease is not taken", name)
		}
	}
	eventually(t, "the shortest lease ends", func() bool {
		return s.ask(drivers.LeaseRequest{Token: "t2"}, s.key("shortest"))[0].Taken
	})
	s.renew("t1", math.MaxInt64, yes, s.key("century"))
	s.lease("t2", []bool{false, false}, s.key("century"), s.key("longest"))
	s.fill("t1", yes, drivers.Item{Key: s.key("longest"), Value: []byte("x")})
}

func leaseFillTTL(t *testing.T, s leasing) {
	const ttl = 50 * time.Millisecond
	a, b := s.key("a"), s.key("b")
	s.lease("t", []bool{true, true}, a, b)
	s.fill("t", []bool{true, true}, drivers.Item{Key: a, Value: []byte("x")}, drivers.Item{Key: b, Value: []byte("x"), TTL: ttl})
	s.waitAbsent(b)
	s.expect(a, []byte("x"))
}
