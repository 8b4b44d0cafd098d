package drivertest

import (
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leasing is a store that is a Leaser.
type leasing struct {
	l2
	drivers.Leaser
}

// check compares results, one for each key, with what is wanted.
func (s leasing) check(operation string, keys int, got, want []bool, err error) {
	s.t.Helper()
	must(s.t, operation, err)
	if len(got) != keys {
		s.t.Fatalf("%s of %d keys returned %d results", operation, keys, len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			s.t.Errorf("%s, key %d: %v, want %v", operation, i, got[i], want[i])
		}
	}
}

// ask asks for leases of keys, for an hour unless the request says another TTL.
func (s leasing) ask(want drivers.LeaseRequest, keys ...string) []drivers.Lease {
	s.t.Helper()
	if want.TTL == 0 {
		want.TTL = time.Hour
	}
	got, err := s.LeaseMany(s.ctx, keys, want)
	must(s.t, "LeaseMany for "+brief(want.Token), err)
	if len(got) != len(keys) {
		s.t.Fatalf("LeaseMany of %d keys returned %d results", len(keys), len(got))
	}
	for i, l := range got {
		if l.Taken && l.Holder != "" || (l.Holder == "") != (l.Left == 0) || l.Left < 0 || !l.Taken && l.Holder == "" && !want.IfAbsent {
			s.t.Errorf("LeaseMany for %s, key %d: taken %v, held by %s for %s", brief(want.Token), i, l.Taken, brief(l.Holder), l.Left)
		}
	}
	return got
}

// lease checks for which of keys the lease is taken for token.
func (s leasing) lease(token string, want []bool, keys ...string) {
	s.t.Helper()
	got := s.ask(drivers.LeaseRequest{Token: token}, keys...)
	taken := make([]bool, len(got))
	for i := range got {
		taken[i] = got[i].Taken
	}
	s.check("LeaseMany for "+brief(token), len(keys), taken, want, nil)
}

// fill checks which of items are stored with the leases of token. It returns which of the
// leases were awaited.
func (s leasing) fill(token string, want []bool, items ...drivers.Item) (awaited []bool) {
	s.t.Helper()
	got, err := s.FillMany(s.ctx, items, token)
	stored := make([]bool, len(got))
	awaited = make([]bool, len(got))
	for i := range got {
		stored[i], awaited[i] = got[i].Stored, got[i].Awaited
		if awaited[i] && !stored[i] {
			s.t.Errorf("FillMany for %s, item %d: awaited, and not stored", brief(token), i)
		}
	}
	s.check("FillMany for "+brief(token), len(items), stored, want, err)
	return awaited
}

// renew checks which of keys token has the lease of.
func (s leasing) renew(token string, ttl time.Duration, want []bool, keys ...string) {
	s.t.Helper()
	got, err := s.RenewMany(s.ctx, keys, token, ttl)
	s.check("RenewMany for "+brief(token), len(keys), got, want, err)
}

// release returns which of the leases were awaited.
func (s leasing) release(token string, keys ...string) (awaited []bool) {
	s.t.Helper()
	got, err := s.ReleaseMany(s.ctx, keys, token)
	s.check("ReleaseMany for "+brief(token), len(keys), got, nil, err)
	return got
}

// prune removes expired items, if the store is a Pruner.
func (s leasing) prune() {
	s.t.Helper()
	if pruner, ok := drivers.PrunerOf(s.L2); ok {
		_, err := pruner.Prune(s.ctx)
		must(s.t, "Prune", err)
	}
}

func l2Leaser(run func(string, func(*testing.T, l2))) {
	lease := func(name string, test func(t *testing.T, s leasing)) {
		run("Lease/"+name, func(t *testing.T, s l2) { test(t, leasing{s, mustHave(drivers.LeaserOf(s.L2))}) })
	}
	lease("NoKeys", func(t *testing.T, s leasing) {
		s.lease("t", nil)
		s.fill("t", nil)
		s.renew("t", time.Hour, nil)
		s.release("t")
	})
	lease("OneHolder", leaseOneHolder)
	lease("IsBesideTheValue", leaseBeside)
	lease("Release", leaseRelease)
	lease("MixedBatch", leaseMixed)
	lease("LargeBatch", leaseBatch)
	lease("Ends", leaseEnds)
	lease("ShortestAndLongest", leaseExtreme)
	lease("FillKeepsItsTTL", leaseFillTTL)
	lease("KeysAndTokensAreBytes", leaseBytes)
	lease("Refused", leaseRefused)
	lease("IfAbsent", leaseIfAbsent)
	lease("Replace", leaseReplace)
	lease("Await", leaseAwait)
	lease("TellsWhatItFound", leaseTells)
	lease("TheSameKeyTwice", leaseTwice)
	lease("Renew", leaseRenew)
	lease("OneWinner", leaseOneWinner)
	lease("ManyCallersOfOneKey", leaseManyCallers)
	lease("FillAgainstWrites", leaseAgainstWrites)
	lease("FillAgainstReplace", leaseAgainstReplace)
	lease("RenewAgainstChanges", leaseRenewAgainstChanges)
}

func leaseOneHolder(t *testing.T, s leasing) {
	a := s.key("a")
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("never lent")})
	s.lease("t1", yes, a)
	s.lease("t2", no, a)
	s.lease("t1", no, a)
	s.fill("t2", no, drivers.Item{Key: a, Value: []byte("lent to another")})
	s.expect(a, nil)
	s.fill("t1", yes, drivers.Item{Key: a, Value: []byte("one")})
	s.expect(a, []byte("one"))
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("two")})
	s.expect(a, []byte("one"))
	s.lease("t2", yes, a)
	s.fill("t2", yes, drivers.Item{Key: a})
	s.expect(a, []byte{})
}

// leaseBeside: a lease does not hide the value, and the value does not hide the lease.
func leaseBeside(t *testing.T, s leasing) {
	full, bare := s.key("full"), s.key("bare")
	s.set(drivers.Item{Key: full, Value: []byte("old"), TTL: time.Hour})
	s.lease("t1", []bool{true, true}, full, bare)
	s.expect(full, []byte("old"))
	s.expect(bare, nil)
	s.prune()
	if scanner, ok := drivers.ScannerOf(s.L2); ok {
		if got := (scanning{s.l2, scanner}).scan(s.prefix); len(got) != 1 || !got[full] {
			t.Errorf("scan names %v, want only what has a value", got)
		}
	}
	s.lease("t2", []bool{false, false}, full, bare)
	s.fill("t1", []bool{true, true}, drivers.Item{Key: full, Value: []byte("new")}, drivers.Item{Key: bare, Value: []byte("new")})
	s.expect(full, []byte("new"))
	s.expect(bare, []byte("new"))

	// A value that expires during a lease of its key.
	short := s.key("short")
	s.set(drivers.Item{Key: short, Value: []byte("old"), TTL: 30 * time.Millisecond})
	s.lease("t1", yes, short)
	s.waitAbsent(short)
	s.prune()
	s.lease("t2", no, short)
	s.fill("t1", yes, drivers.Item{Key: short, Value: []byte("new")})
	s.expect(short, []byte("new"))
}

func leaseRelease(t *testing.T, s leasing) {
	a := s.key("a")
	s.release("t1", a)
	s.lease("t1", yes, a)
	s.release("t2", a)
	s.lease("t2", no, a)
	s.release("t1", a)
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("x")})
	s.lease("t2", yes, a)
	s.release("t1", a)
	s.fill("t2", yes, drivers.Item{Key: a, Value: []byte("x")})
	s.release("t2", a)
	s.expect(a, []byte("x"))
}
