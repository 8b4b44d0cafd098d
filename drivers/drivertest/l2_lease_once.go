package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// A leaseCall is a call of a [drivers.Leaser] whose answer is lost. While it is lost, somebody
// else sees what the call has done, and then has the leases for the token "other".
type leaseCall struct {
	name     string
	lent     bool // "token" has the leases before
	once     bool // the call is sent once, so it fails if it took effect
	replaces bool
	run      func(context.Context, drivers.Leaser, []string) error
}

var leaseCalls = []leaseCall{
	{"LeaseMany", false, true, false, func(ctx context.Context, l drivers.Leaser, keys []string) error {
		_, err := l.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: "token", TTL: time.Hour})
		return err
	}},
	{"LeaseMany with Replace", false, true, true, func(ctx context.Context, l drivers.Leaser, keys []string) error {
		_, err := l.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: "token", TTL: time.Hour, Replace: true})
		return err
	}},
	{"FillMany", true, true, false, func(ctx context.Context, l drivers.Leaser, keys []string) error {
		_, err := l.FillMany(ctx, items(keys, "old"), "token")
		return err
	}},
	{"RenewMany", true, false, false, func(ctx context.Context, l drivers.Leaser, keys []string) error {
		_, err := l.RenewMany(ctx, keys, "token", time.Hour)
		return err
	}},
	{"ReleaseMany", true, false, false, func(ctx context.Context, l drivers.Leaser, keys []string) error {
		_, err := l.ReleaseMany(ctx, keys, "token")
		return err
	}},
}

// leaseLostAnswers: what is sent again does not take a lease back, and ends no other's.
func leaseLostAnswers(t *testing.T, proxy *servers.Proxy, open func(t *testing.T, address string) drivers.L2, direct func(t *testing.T) drivers.L2) {
	for _, call := range leaseCalls {
		for _, count := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s of %d/Replaced", call.name, count), func(t *testing.T) {
				s := leasing{l2: l2{L2: open(t, proxy.Addr()), t: t, ctx: testContext(t), prefix: unique("once") + ":", open: direct}}
				s.Leaser = mustHave(drivers.LeaserOf(s.L2))
				other := leasing{l2: l2{L2: direct(t), t: t, ctx: s.ctx, prefix: s.prefix, open: direct}}
				other.Leaser = mustHave(drivers.LeaserOf(other.L2))
				for n := -1; s.loseLease(proxy, other, call, n, count) || n < 0; n++ { // first without a loss, as above
				}
			})
		}
	}
}

// loseLease loses the answer after the first n of a call, and reports whether the call has that
// many.
func (s leasing) loseLease(proxy *servers.Proxy, other leasing, call leaseCall, n, count int) bool {
	t := s.t
	t.Helper()
	var keys []string
	var every []bool
	for i := range count {
		keys, every = append(keys, s.key(fmt.Sprintf("%d.%d", n, i))), append(every, true)
	}
	eventually(t, "the store can be reached again", func() bool {
		_, err := s.GetMany(s.ctx, keys)
		return err == nil
	})
	if call.lent {
		s.lease("token", every, keys...)
	}
	landed := make([]bool, count)
	proxy.LoseAnswer(n, func() {
		values, errGet := other.GetMany(s.ctx, keys)
		leases, errLease := other.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: "probe", TTL: time.Hour})
		if err := errors.Join(errGet, errLease); err != nil {
			t.Error("by another handle:", err)
			return
		}
		for i := range keys {
			landed[i] = values[i] != nil || (leases[i].Holder == "token") != call.lent
		}
		err := other.DeleteMany(s.ctx, keys)
		if err == nil {
			_, err = other.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: "other", TTL: time.Hour})
		}
		if err != nil {
			t.Error("by another handle:", err)
		}
	})
	ctx, cancel := context.WithTimeout(s.ctx, patience/20)
	defer cancel()
	err := call.run(ctx, s.Leaser, keys)
	if !proxy.Lost() {
		if errors.Is(err, context.DeadlineExceeded) {
			return true // the machine is slow; the next call tells
		}
		must(t, "the call", err)
		return false
	}
	// If some have not landed, what was lost may be the answer to something else than a write.
	if !slices.Contains(landed, false) && call.once && err == nil {
		t.Errorf("answer %d was lost, and the call has not failed", n)
	}
	values := other.get(keys...)
	for i, l := range other.ask(drivers.LeaseRequest{Token: "probe"}, keys...) {
		// What had not landed may land once, and then replaces.
		if (landed[i] || !call.replaces) && (l.Holder != "other" || values[i] != nil) {
			t.Errorf("answer %d was lost, and the call (error %v) was sent again: key %d has the value %s and is held by %q", n, err, i, brief(values[i]), l.Holder)
		}
	}
	return true
}
