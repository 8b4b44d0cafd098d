package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// L2LostAnswers tests that a write that stores a value takes effect once, although the
// connection breaks before the driver has the answer. A driver that sent the write again would
// bring back a value that somebody else has deleted or replaced. It tests the same of leases: one
// that is taken once more would keep a key that nobody loads.
//
// address is where the server listens. open makes a driver that connects to an address: to the
// server, or to a [servers.Proxy] in front of it.
func L2LostAnswers(t *testing.T, address string, open func(t *testing.T, address string) drivers.L2) {
	proxy := servers.NewProxy(t, address)
	direct := func(t *testing.T) drivers.L2 { return open(t, address) }
	have := Of(direct(t))
	if have&Leases != 0 {
		leaseLostAnswers(t, proxy, open, direct)
	}
	for name, call := range storing {
		if have&call.needs != call.needs {
			continue
		}
		for _, then := range []string{"Deleted", "Replaced"} {
			t.Run(name+"/"+then, func(t *testing.T) {
				s := l2{L2: open(t, proxy.Addr()), t: t, ctx: testContext(t), prefix: unique("once") + ":", open: direct}
				// First without a loss: it opens connections, and lets the server know what it remembers.
				s.loseAnswer(proxy, direct(t), call, -1, false)
				for n := 0; s.loseAnswer(proxy, direct(t), call, n, then == "Replaced"); n++ {
				}
			})
		}
	}
}

// A storingCall is a call that stores the value "old".
type storingCall struct {
	needs   Capability
	keys    int
	prepare func(l2, []string) // makes what has to be there before; nil: nothing
	run     func(l2, context.Context, []string) error
}

var storing = map[string]storingCall{
	"SetMany of one": {0, 1, nil, setOld},
	"SetMany":        {0, 3, nil, setOld},
	"AddMany of one": {Adds, 1, nil, addOld},
	"AddMany":        {Adds, 3, nil, addOld},
	"SwapMany": {Swaps, 1, func(s l2, keys []string) { s.set(items(keys, "first")...) }, func(s l2, ctx context.Context, keys []string) error {
		_, err := mustHave(drivers.SwapperOf(s.L2)).SwapMany(ctx, []drivers.Swap{{Key: keys[0], Old: []byte("first"), New: []byte("old")}})
		return err
	}},
	"SwapMany where absent": {Swaps, 1, nil, func(s l2, ctx context.Context, keys []string) error {
		_, err := mustHave(drivers.SwapperOf(s.L2)).SwapMany(ctx, []drivers.Swap{{Key: keys[0], New: []byte("old")}})
		return err
	}},
	"FillMany": {Leases, 2, func(s l2, keys []string) {
		_, err := mustHave(drivers.LeaserOf(s.L2)).LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: "token", TTL: time.Hour})
		must(s.t, "LeaseMany", err)
	}, func(s l2, ctx context.Context, keys []string) error {
		_, err := mustHave(drivers.LeaserOf(s.L2)).FillMany(ctx, items(keys, "old"), "token")
		return err
	}},
}

func setOld(s l2, ctx context.Context, keys []string) error {
	return s.SetMany(ctx, items(keys, "old"))
}

func addOld(s l2, ctx context.Context, keys []string) error {
	_, err := mustHave(drivers.AdderOf(s.L2)).AddMany(ctx, items(keys, "old"))
	return err
}

func items(keys []string, value string) []drivers.Item {
	all := make([]drivers.Item, len(keys))
	for i, key := range keys {
		all[i] = drivers.Item{Key: key, Value: []byte(value)}
	}
	return all
}

// loseAnswer loses the answer after the first n of a call, and reports whether the call has
// that many. If n is negative, nothing is lost.
func (s l2) loseAnswer(proxy *servers.Proxy, other drivers.L2, call storingCall, n int, replace bool) bool {
	t := s.t
	t.Helper()
	keys := make([]string, call.keys)
	for i := range keys {
		keys[i] = s.key(fmt.Sprintf("%d.%d", n, i))
	}
	eventually(t, "the store can be reached again", func() bool {
		_, err := s.GetMany(s.ctx, keys)
		return err == nil
	})
	if call.prepare != nil {
		call.prepare(s, keys)
	}
	landed := make([]bool, len(keys))
	proxy.LoseAnswer(n, func() {
		values, err := other.GetMany(s.ctx, keys)
		if err == nil {
			for i := range values {
				landed[i] = string(values[i]) == "old"
			}
			err = other.DeleteMany(s.ctx, keys)
		}
		if err == nil && replace {
			err = other.SetMany(s.ctx, items(keys, "new"))
		}
		if err != nil {
			t.Error("by another handle:", err)
		}
	})
	// A client that does not notice the loss waits for the end of the context. If the machine
	// is that slow without a loss, the next call tells.
	ctx, cancel := context.WithTimeout(s.ctx, patience/20)
	defer cancel()
	err := call.run(s, ctx, keys)
	if !proxy.Lost() {
		if errors.Is(err, context.DeadlineExceeded) {
			return true
		}
		must(t, "the call", err)
		return false
	}
	values, errGet := other.GetMany(s.ctx, keys)
	must(t, "GetMany", errGet)
	for i, value := range values {
		if landed[i] && string(value) == "old" {
			t.Errorf("answer %d was lost, and the call (error %v) was sent again: it brings back what was deleted", n, err)
		}
	}
	return true
}
