package store_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the server is down")

// closing remembers the order in which what a store has been given is closed.
type closing struct {
	mu    sync.Mutex
	order []string
}

func (c *closing) closed(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = append(c.order, name)
	return errors.New(name + " does not close")
}

type closingL1 struct {
	drivers.L1
	c *closing
}

func (l closingL1) Close() error { _ = l.L1.Close(); return l.c.closed("memory") }

type closingL2 struct {
	drivers.L2
	c *closing
}

func (l closingL2) Close() error { return l.c.closed("shared tier") }

type closingBus struct {
	drivers.Bus
	c *closing
}

func (b closingBus) Close() error { return b.c.closed("bus") }

func TestCloseClosesEverythingOnceAndSaysWhatDidNotClose(t *testing.T) {
	c := &closing{}
	s := storetest.New(t, store.Config{L1: closingL1{storetest.L1(), c}, L2: closingL2{&faketier.Shared{}, c}, Bus: closingBus{&faketier.Bus{}, c}})
	err := s.Close(t.Context())
	for _, name := range c.order {
		if err == nil || !strings.Contains(err.Error(), name+" does not close") {
			t.Error(err)
		}
	}
	if !slices.Equal(c.order, []string{"bus", "memory", "shared tier"}) {
		t.Errorf("closed %q", c.order)
	}
	if err := s.Close(t.Context()); err != nil || len(c.order) != 3 || s.Work.Context.Err() == nil {
		t.Error("closed again:", err, c.order)
	}
}

// race R39: closing waits for what runs, carries out what is pending, and says what is lost.
func TestCloseWaitsForLoadsAndCarriesOutWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		shared.Put("k", []byte("to go"))
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true}, errDown)
		rq := load.Request{Kind: s.Kind(""), Policy: policy.Policy{TTL: time.Hour, SuppressL2Errors: true}, Load: func(ctx context.Context, keys []*load.Key) error {
			time.Sleep(5 * time.Second)
			return storetest.Returns("v")(ctx, keys)
		}}
		var got error
		go func() { _, got = s.GetOrSet(t.Context(), rq, "loaded") }()
		synctest.Wait()
		began := time.Now()
		if err := s.Close(t.Context()); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		synctest.Wait()
		if keys := shared.Keys(); got != nil || keys["k"] != nil || keys["loaded"] == nil {
			t.Error("not carried out, or not stored:", got)
		}
		if _, err := s.GetOrSet(t.Context(), rq, "other"); err != background.ErrClosed {
			t.Error(err)
		}
	})
}

func TestCloseSaysWhatItHasToLeaveBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		shared.Down(errDown)
		err := s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{})
		if err == nil {
			t.Fatal("no error")
		}
		rq := load.Request{Kind: s.Kind(""), Policy: policy.Policy{TTL: time.Hour, SuppressL2Errors: true}, Load: func(ctx context.Context, _ []*load.Key) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		done := make(chan error)
		go func() {
			_, err := s.GetOrSet(t.Context(), rq, "k")
			done <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		err = s.Close(ctx)
		var lost *storetest.Invalidation
		if !errors.As(err, &lost) || lost.Op != "close" || !slices.Equal(lost.Targets, []string{"tag x"}) ||
			!strings.Contains(err.Error(), "close store test: calls and loads still running: 2") || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := <-done; err != background.ErrClosed {
			t.Error("the load was not cancelled:", err)
		}
		shared.Down(nil)
	})
}

type deaf struct{ drivers.Bus }

func (deaf) Subscribe(string, drivers.Listener) (func(), error) { return func() {}, errDown }

func TestAStoreThatCannotJoinItsBusIsNotMade(t *testing.T) {
	s, err := store.New(store.Config{Name: "test", L1: storetest.L1(), Bus: deaf{&faketier.Bus{}}, Logger: slog.New(slog.DiscardHandler)})
	if s != nil || !errors.Is(err, errDown) || !strings.Contains(err.Error(), "join the bus") {
		t.Error(s, err)
	}
}

// The bus may tell the store something before New returns.
func TestTheBusIsJoinedWhenEverythingElseIsThere(t *testing.T) {
	var b faketier.Bus
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &b, Prefix: "app"})
	other := storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b, Prefix: "another"})
	same := storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b, Prefix: "app"})
	if s.Bus.WaitConnected(t.Context()) != nil {
		t.Error("not connected")
	}
	if err := s.Invalidate.Delete(t.Context(), []string{"app:k"}, invalidate.Mode{}); err != nil {
		t.Fatal(err)
	}
	if same.Lines("received") == nil || other.Lines("received") != nil || s.Lines("received") != nil {
		t.Error("told to the wrong ones")
	}
}

// race R28: two stores of one process are two origins.
func TestTwoStoresOfOneNameHearEachOther(t *testing.T) {
	var b faketier.Bus
	one, two := storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b}), storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b})
	if err := one.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(two.Lines("received"), []string{"drop k"}) {
		t.Errorf("%q", two.Lines("received"))
	}
}

func TestAStoreOfEachShapeClosesWithoutAnError(t *testing.T) {
	for name, c := range map[string]store.Config{
		"memory": {L1: storetest.L1()}, "shared": {L2: &faketier.Shared{}}, "both": {L1: storetest.L1(), L2: &faketier.Shared{}},
		"memory and bus": {L1: storetest.L1(), Bus: &faketier.Bus{}}, "all": {L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &faketier.Bus{}},
	} {
		s := storetest.New(t, c)
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if (s.Bus != nil) != (c.Bus != nil) || s.Remote.Exists() != (c.L2 != nil) || s.Memory.Exists() != (c.L1 != nil) {
			t.Errorf("%s: it is of another shape", name)
		}
	}
}
