package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// stuck is a bus that does not end a subscription in time, and a tier that does not close.
type stuck struct {
	drivers.Bus
	drivers.L2
	leave, close time.Duration
}

func (s stuck) Subscribe(channel string, l drivers.Listener) (func(), error) {
	leave, err := s.Bus.Subscribe(channel, l)
	return func() { time.Sleep(s.leave); leave() }, err
}

func (s stuck) Close() error { time.Sleep(s.close); return nil }

type (
	stuckBus  struct{ stuck }
	stuckTier struct{ stuck }
)

// Kind: something that Close waits for without looking at the clock.
func TestCloseKeepsItsDeadlineWhateverDriversDo(t *testing.T) {
	for name, test := range map[string]struct {
		stuck stuck
		want  time.Duration
		fails bool
	}{
		"at once":                   {stuck{}, 0, false},
		"in time":                   {stuck{leave: time.Second, close: time.Second}, 3 * time.Second, false}, // bus and tier
		"leaving the bus hangs":     {stuck{leave: time.Hour}, 4 * time.Second, true},
		"closing the drivers hangs": {stuck{close: time.Hour}, 4 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			test.stuck.Bus, test.stuck.L2 = &faketier.Bus{}, &faketier.Shared{}
			s := storetest.New(t, store.Config{L2: &stuckTier{test.stuck}, Bus: &stuckBus{test.stuck}})
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			began := time.Now()
			err := s.Close(ctx)
			took := time.Since(began)
			if (err != nil) != test.fails || took < test.want || took > test.want+100*time.Millisecond {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if test.fails && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still closing")) {
				t.Errorf("%s: %v", name, err)
			}
			time.Sleep(3 * time.Hour) // what goes on in the background ends
		})
	}
}

// Drivers that close at once are closed also when the time was over before.
func TestCloseHasTimeLeftForDrivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &faketier.Bus{}})
			gone, leave := context.WithCancel(t.Context())
			leave()
			if err := s.Close(gone); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Kind: trying again what cannot get better. A client that is closed does not open again.
func TestCloseDoesNotWaitForAClosedClient(t *testing.T) {
	errGone := fmt.Errorf("redis: delete 1 key: %w (%w)", drivers.ErrClosed, errors.New("redis: client is closed"))
	for name, bus := range map[string]drivers.Bus{"without a bus": nil, "with one": &faketier.Bus{}} {
		synctest.Test(t, func(t *testing.T) {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: bus})
			shared.Down(errGone)
			_ = s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{})
			_ = s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			err := s.Close(ctx)
			var lost *storetest.Invalidation
			if !errors.As(err, &lost) || len(lost.Targets) != 2 || !errors.Is(err, drivers.ErrClosed) || time.Since(began) > 0 {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
}

// What other processes still have to hear is tried again, although the tier is closed.
func TestAClosedTierDoesNotKeepMessagesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b})
		b.Cut(true)
		if err := s.Invalidate.Delete(t.Context(), []string{"told"}, invalidate.Mode{}); err == nil {
			t.Fatal("no error")
		}
		shared.Down(drivers.ErrClosed)
		_ = s.Invalidate.Delete(t.Context(), []string{"lost"}, invalidate.Mode{})
		time.AfterFunc(time.Second, func() { b.Cut(false) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := s.Close(ctx)
		var lost *storetest.Invalidation
		if !errors.As(err, &lost) || len(lost.Targets) != 1 || lost.Targets[0] != "lost" || time.Since(began) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// owned says whether it was closed.
type owned struct {
	drivers.L1
	drivers.L2
	drivers.Bus
	err    error
	panics bool
	closed int
}

func (o *owned) Err() error {
	if o.panics {
		panic("boom")
	}
	return o.err
}
func (o *owned) Close() error { o.closed++; return nil }
func (o *owned) Clear()       {}
func (o *owned) Subscribe(string, drivers.Listener) (func(), error) {
	_ = o.Err()
	return func() {}, o.err
}

type (
	ownedL1  struct{ *owned }
	ownedL2  struct{ *owned }
	ownedBus struct{ *owned }
)

// Kind: what was handed over belongs to nobody after a failure.
func TestAStoreThatIsNotMadeClosesWhatItWasToHave(t *testing.T) {
	l1, l2, bus := &owned{}, &owned{}, &owned{err: errDown}
	c := store.Config{Name: "test", L1: ownedL1{l1}, L2: ownedL2{l2}, Bus: ownedBus{bus}, MaxLoadTime: 1, L2Timeout: 1, StampTrust: 1, OutboxPoll: 1}
	if _, err := store.New(c); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	bus.panics = true
	if _, err := store.New(c); !errors.Is(err, guard.ErrPanic) {
		t.Fatal(err)
	}
	if err := c.Check(); !errors.Is(err, guard.ErrPanic) {
		t.Fatal(err)
	}
	if l1.closed != 2 || l2.closed != 2 || bus.closed != 2 {
		t.Errorf("closed %d, %d, %d times", l1.closed, l2.closed, bus.closed)
	}
	c = store.Config{L1: ownedL1{l1}}
	c.Discard()
	if l1.closed != 3 {
		t.Error("not closed")
	}
}

func TestADriverOfTwoStoresIsClosedWithTheLast(t *testing.T) {
	l2, bus := &owned{}, &owned{}
	c := store.Config{L2: ownedL2{l2}, Bus: ownedBus{bus}}
	one, two := storetest.New(t, c), storetest.New(t, c)
	c.Discard() // a third one is not made
	if err := one.Close(t.Context()); err != nil || l2.closed+bus.closed != 0 {
		t.Error("closed although another store has it", err)
	}
	if err := two.Close(t.Context()); err != nil || l2.closed != 1 || bus.closed != 1 {
		t.Error("not closed with the last one", err)
	}
}
