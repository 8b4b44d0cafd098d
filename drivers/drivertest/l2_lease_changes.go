package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leaseChanges: a value that was loaded before a change of its key cannot be stored after the
// change. Each change is made through another handle than that of the lease.
func leaseChanges(run func(string, func(*testing.T, l2)), have Capability) {
	ends := func(name string, needs Capability, change func(s leasing, by drivers.L2, key string) error) {
		if needs&^have != 0 {
			return
		}
		run("Lease/EndedBy/"+name, func(t *testing.T, s l2) {
			other, _ := s.another()
			for _, before := range [][]byte{nil, []byte("old")} {
				for _, suffix := range []string{"", "{", "}", "{}x", "{x}y", "a}b{", "*", " ", "\x00", "%"} {
					leaseEndedBy(leasing{s, mustHave(drivers.LeaserOf(s.L2))}, other, before, s.key(fmt.Sprint(before != nil, "/", suffix)), change)
				}
			}
		})
	}
	keeps := func(name string, needs Capability, attempt func(s leasing, by drivers.L2, key string) error) {
		if needs&^have != 0 {
			return
		}
		run("Lease/KeptBy/"+name, func(t *testing.T, l l2) {
			s := leasing{l, mustHave(drivers.LeaserOf(l.L2))}
			other, _ := s.another()
			a := s.key("a")
			s.set(drivers.Item{Key: a, Value: []byte("old")})
			s.lease("t", yes, a)
			must(t, name, attempt(s, other, a))
			s.expect(a, []byte("old"))
			s.lease("t2", no, a)
			s.fill("t", yes, drivers.Item{Key: a, Value: []byte("loaded")})
			s.expect(a, []byte("loaded"))
		})
	}

	ends("SetMany", 0, func(s leasing, by drivers.L2, key string) error {
		return by.SetMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("new"), TTL: time.Hour}})
	})
	ends("SetMany of several", 0, func(s leasing, by drivers.L2, key string) error {
		return by.SetMany(s.ctx, []drivers.Item{{Key: s.key("other")}, {Key: key, Value: []byte("new"), TTL: time.Hour}})
	})
	ends("DeleteMany", 0, func(s leasing, by drivers.L2, key string) error {
		return by.DeleteMany(s.ctx, []string{s.key("other"), key})
	})
	ends("DeletePrefix", DeletesPrefixes, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.PrefixDeleterOf(by)).DeletePrefix(s.ctx, key)
		return err
	})
	ends("SwapMany", Swaps, func(s leasing, by drivers.L2, key string) error {
		swapped, err := mustHave(drivers.SwapperOf(by)).SwapMany(s.ctx, []drivers.Swap{{Key: key, Old: s.get(key)[0], New: []byte("new")}})
		if err == nil && !swapped[0] {
			err = fmt.Errorf("not swapped")
		}
		return err
	})
	ends("SwapMany that removes", Swaps, func(s leasing, by drivers.L2, key string) error {
		swapped, err := mustHave(drivers.SwapperOf(by)).SwapMany(s.ctx, []drivers.Swap{{Key: key, Old: s.get(key)[0]}})
		if err == nil && !swapped[0] {
			err = fmt.Errorf("not swapped")
		}
		return err
	})
	// AddMany stores only where the key is absent.
	ends("DeleteMany and AddMany", Adds, func(s leasing, by drivers.L2, key string) error {
		s.delete(key)
		s.release("t", key)
		s.lease("t", yes, key)
		_, err := mustHave(drivers.AdderOf(by)).AddMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("new")}})
		return err
	})

	keeps("GetMany", 0, func(s leasing, by drivers.L2, key string) error {
		_, err := by.GetMany(s.ctx, []string{key})
		return err
	})
	keeps("AddMany over a value", Adds, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.AdderOf(by)).AddMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("new")}})
		return err
	})
	keeps("SwapMany of another value", Swaps, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.SwapperOf(by)).SwapMany(s.ctx, []drivers.Swap{{Key: key, Old: []byte("x"), New: []byte("new")}, {Key: key + "x"}})
		return err
	})
	keeps("FillMany of another token", 0, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.LeaserOf(by)).FillMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("new")}}, "t2")
		return err
	})
	keeps("RenewMany of another token", 0, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.LeaserOf(by)).RenewMany(s.ctx, []string{key}, "t2", time.Nanosecond)
		return err
	})
	keeps("ReleaseMany of another token", 0, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.LeaserOf(by)).ReleaseMany(s.ctx, []string{key}, "t2")
		return err
	})
	keeps("LeaseMany with IfAbsent and Replace", 0, func(s leasing, by drivers.L2, key string) error {
		_, err := mustHave(drivers.LeaserOf(by)).LeaseMany(s.ctx, []string{key}, drivers.LeaseRequest{Token: "t2", TTL: time.Hour, IfAbsent: true, Replace: true})
		return err
	})
	keeps("DeletePrefix of another prefix", DeletesPrefixes, func(s leasing, by drivers.L2, key string) error {
		// The store may keep the lease under a name that begins with the key.
		for _, suffix := range []string{"x", ":", ".", "-", "\x00"} {
			if _, err := mustHave(drivers.PrefixDeleterOf(by)).DeletePrefix(s.ctx, key+suffix); err != nil {
				return err
			}
		}
		return nil
	})
}

func leaseEndedBy(s leasing, other drivers.L2, before []byte, key string, change func(leasing, drivers.L2, string) error) {
	s.t.Helper()
	if before != nil {
		s.set(drivers.Item{Key: key, Value: before})
	}
	s.lease("t", yes, key)
	must(s.t, "change", change(s, other, key))
	after := s.get(key)[0]
	s.renew("t", time.Hour, no, key)
	s.fill("t", no, drivers.Item{Key: key, Value: []byte("loaded before the change")})
	s.expect(key, after)
	s.lease("t2", yes, key)
	s.fill("t2", yes, drivers.Item{Key: key, Value: []byte("loaded after the change")})
	s.expect(key, []byte("loaded after the change"))
}

// leaseAgainstWrites: after a concurrent fill and write of one key, the result of the write is
// stored, whichever of them comes first.
func leaseAgainstWrites(t *testing.T, s leasing) {
	const rounds = 60
	handles := s.handles(2)
	for round := range rounds {
		key := s.key(fmt.Sprint(round))
		s.lease("t", yes, key)
		start := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			<-start
			if _, err := mustHave(drivers.LeaserOf(handles[0])).FillMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("loaded")}}, "t"); err != nil {
				t.Errorf("FillMany: %v", err)
			}
		})
		deletes := round%2 == 1
		wg.Go(func() {
			<-start
			var err error
			if deletes {
				err = handles[1].DeleteMany(s.ctx, []string{key})
			} else {
				err = handles[1].SetMany(s.ctx, []drivers.Item{{Key: key, Value: []byte("written")}})
			}
			if err != nil {
				t.Errorf("write: %v", err)
			}
		})
		close(start)
		wg.Wait()
		if deletes {
			s.expect(key, nil)
		} else {
			s.expect(key, []byte("written"))
		}
		s.lease("t2", yes, key)
		if t.Failed() {
			return
		}
	}
}
