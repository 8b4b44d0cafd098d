package runtime_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// process is one of several that share tiers.
func process(t *testing.T, shared *faketier.Shared, bus drivers.Bus, options ...runtime.StoreOption) (*runtime.Store, *runtime.Cache[int, int]) {
	t.Helper()
	s := newStore(t, append([]runtime.StoreOption{memoryTier(), runtime.L2(shared), runtime.Bus(bus), runtime.TTL(time.Hour)}, options...)...)
	return s, newCache[int, int](t, s.Namespace("users"))
}

func TestAChangeInOneProcessReachesTheMemoryOfAnother(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				store, a := process(t, &shared, &bus)
				_, b := process(t, &shared, &bus)
				src.value.Store(1)
				for _, c := range []*runtime.Cache[int, int]{a, b, b} {
					got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
					want(t, got, err, 1)
				}
				wantLoads(t, &src, 1)
				src.value.Store(2)
				if err := change(t.Context(), store, a); err != nil {
					t.Fatal(err)
				}
				got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
				want(t, got, err, 2)
			})
		})
	}
}

func TestSetInOneProcessReachesTheMemoryOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		_, a := process(t, &shared, &bus)
		_, b := process(t, &shared, &bus)
		for v := range 3 {
			if err := a.Set(t.Context(), 7, v); err != nil {
				t.Fatal(err)
			}
			got, ok, err := b.Get(t.Context(), 7)
			if !ok {
				t.Fatal("not found")
			}
			want(t, got, err, v)
		}
	})
}

// race R18: no clock is compared across machines, so that an entry loaded after an
// invalidation, in the same instant, is valid.
func TestALoadInTheInstantOfAnInvalidationIsValid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var src source
		store, c := process(t, &shared, &bus)
		for i := range 10 {
			if err := store.DeleteByTag(t.Context(), "team:1"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
			}
			wantLoads(t, &src, int64(i+1))
		}
	})
}

// race R24: what was missed while the bus was away is caught up with on reconnect.
func TestNothingStaleAfterTheBusIsBack(t *testing.T) {
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				store, a := process(t, &shared, &bus)
				_, b := process(t, &shared, &bus)
				src.value.Store(1)
				if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				src.value.Store(2)
				bus.Cut(true)
				if err := change(t.Context(), store, a); err == nil {
					t.Error("the message was lost and nobody was told")
				}
				bus.Cut(false)
				got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
				want(t, got, err, 2)
			})
		})
	}
}

// race R23, R25: a process that is disconnected from the bus is stale for a bounded time.
func TestADisconnectedProcessIsStaleForABoundedTime(t *testing.T) {
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				var src source
				store, a := process(t, &shared, &bus, runtime.StampTrust(5*time.Second))
				_, b := process(t, &shared, &bus, runtime.StampTrust(5*time.Second))
				src.value.Store(1)
				if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				src.value.Store(2)
				bus.Cut(true)
				_ = change(t.Context(), store, a) // reports the bus
				time.Sleep(10 * time.Second)      // twice the trust, at most
				got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
				want(t, got, err, 2)
				bus.Cut(false) // what is pending gets through before the end
			})
		})
	}
}

// race R23: tags are looked up again although no message came, and entries that
// are still valid survive the look.
func TestStampsAreReadAgainAfterAWhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		open := func() (*runtime.Store, *runtime.Cache[int, int]) { // no bus at all
			s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.StampTrust(3*time.Second))
			return s, newCache[int, int](t, s)
		}
		store, a := open()
		_, b := open()
		src.value.Store(1)
		if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
			t.Fatal(err)
		}
		for range 20 { // asked about all the time: read behind
			time.Sleep(time.Second)
			if _, err := b.GetOrSet(t.Context(), 7, src.load); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // not asked about for long: read before the answer
		if _, err := b.GetOrSet(t.Context(), 7, src.load); err != nil {
			t.Fatal(err)
		}
		wantLoads(t, &src, 1)
		src.value.Store(2)
		if err := store.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
		want(t, got, err, 2)
	})
}

// race R28: what a process hears of itself changes nothing.
func TestOwnMessagesAreIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		_, c := process(t, &shared, &bus)
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		gets := shared.Calls("get")
		if _, ok, _ := c.Get(t.Context(), 7); !ok || shared.Calls("get") != gets {
			t.Fatal("memory lost what this process had just set")
		}
	})
}

func TestForeignMessagesAreIgnored(t *testing.T) {
	mayTell(t, "message cannot be read")
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		var shared faketier.Shared
		_, c := process(t, &shared, &bus)
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{"", "hello", "\x01garbage-garbage-garbage", "\x02\x00\x00\x00"} {
			if err := bus.Publish(t.Context(), "cachegen:!bus", []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, ok, _ := c.Get(t.Context(), 7); !ok {
			t.Fatal("a foreign message dropped an entry")
		}
	})
}

// What a process cannot read may have been an invalidation: that of one that speaks another
// version, during a deploy. So nothing is served unasked that was there before.
func TestAMessageOfAnotherVersionLeavesNothingConfirmed(t *testing.T) {
	mayTell(t, "message cannot be read")
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		var shared faketier.Shared
		_, c := process(t, &shared, &bus)
		for k := range 2 {
			if err := c.Set(t.Context(), k, 1); err != nil {
				t.Fatal(err)
			}
		}
		for key := range shared.Keys() { // deleted by somebody whose message says so in version 1
			if strings.HasSuffix(key, ":0") {
				shared.Evict(key)
			}
		}
		if err := bus.Publish(t.Context(), "cachegen:!bus", []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00")); err != nil {
			t.Fatal(err)
		}
		var src source
		src.value.Store(2)
		for k, now := range []int{2, 1} {
			got, err := c.GetOrSet(t.Context(), k, src.load)
			want(t, got, err, now)
		}
	})
}

func TestTheSharedTierBeingAwayIsNoOutage(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var src source
		_, c := process(t, &shared, &bus)
		if _, err := c.GetOrSet(t.Context(), 1, src.load); err != nil {
			t.Fatal(err)
		}
		shared.Down(errSource)
		for i := range 5 {
			if _, err := c.GetOrSet(t.Context(), i, src.load); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Get(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A process that has not heard of an invalidation yet sees by the entry itself that
// its stamp is old, and does not load what another process has just loaded.
func TestANewerEntryIsRecognised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		open := func() (*runtime.Store, *runtime.Cache[int, int]) { // no bus
			s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Hour), runtime.StampTrust(time.Minute))
			return s, newCache[int, int](t, s)
		}
		store, a := open()
		_, b := open()
		for _, c := range []*runtime.Cache[int, int]{a, b} {
			if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := store.DeleteByTag(t.Context(), "team:1"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*runtime.Cache[int, int]{a, b, a} {
			if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
				t.Fatal(err)
			}
		}
		wantLoads(t, &src, 2)
	})
}

func TestReadyWaitsForTheBus(t *testing.T) {
	mayTell(t, theBusFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		s, _ := process(t, &shared, &bus)
		for _, cut := range []bool{true, false, true} {
			bus.Cut(cut)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := s.Ready(ctx)
			cancel()
			if cut != errors.Is(err, context.DeadlineExceeded) || !cut && err != nil {
				t.Fatalf("cut %v: %v", cut, err)
			}
		}
		go func() { time.Sleep(time.Minute); bus.Cut(false) }()
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// The read begins before another process's change, whose message is lost.
func TestAStampThatWasReadBeforeTheBusIsBackIsNotBelieved(t *testing.T) {
	mayTell(t, theBusFails...)
	bubble(t, func(t *testing.T) {
		var l2 faketier.Shared
		bus := &faketier.Bus{}
		a := newNamed(t, "a", memoryTier(), runtime.L2(&l2), runtime.Bus(bus))
		b := newNamed(t, "b", runtime.L2(&l2)) // its message is lost
		ca := newCache[string, int](t, a)
		ctx := t.Context()
		if err := ca.Set(ctx, "k", 1, runtime.Tags("t")); err != nil {
			t.Fatal(err)
		}
		bus.Cut(true)
		time.Sleep(20 * time.Second)
		var armed atomic.Bool
		armed.Store(true)
		l2.SetAfter(func(op string, keys []string) {
			if op == "get" && strings.Contains(strings.Join(keys, " "), "!s:t:t") && armed.CompareAndSwap(true, false) {
				if err := b.DeleteByTag(ctx, "t"); err != nil {
					t.Error(err)
				}
				bus.Cut(false)
			}
		})
		_, _, _ = ca.Get(ctx, "k") // begins before the deletion: whatever
		if armed.Load() {
			t.Fatal("the stamp was not read")
		}
		if v, ok, err := ca.Get(ctx, "k"); ok {
			t.Errorf("after the bus is back: %v %v, deleted by tag before", v, err)
		}
	})
}

// A message may be well formed and name something that is not a key of the store.
func TestAMessageOfForeignNamesIsHarmless(t *testing.T) {
	mayTell(t, "messages may have been missed")
	bubble(t, func(t *testing.T) {
		var broker faketier.Bus
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&faketier.Shared{}), runtime.Bus(&broker), runtime.Prefix("app")))
		_ = c.Set(t.Context(), 7, 1)
		for kind := bus.Drop; kind <= bus.Filled; kind++ {
			m := bus.Message{Origin: 1, Changes: []bus.Change{{Kind: kind, Names: []string{"", "ap", "app:", "app:@", "other:7"}}}}
			if err := broker.Publish(t.Context(), "cachegen:app:!bus", bus.Append(nil, &m)); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := c.Get(t.Context(), 7)
		want(t, got, err, 1)
	})
}

// A change of one tag that has not got through keeps no other stamp from being read.
func TestStampsAreReadAgainBesideAPendingOne(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		l2 := &readOnlyTier{Shared: &shared}
		s := newStore(t, memoryTier(), runtime.L2(l2), runtime.TTL(time.Hour), runtime.L2CircuitBreakerDuration(0))
		here := newCache[int, int](t, s)
		var src source
		src.value.Store(1)
		_, _ = here.GetOrSet(t.Context(), 7, src.load, runtime.Tags("a"))
		l2.on.Store(true)
		if err := s.DeleteByTag(t.Context(), "a"); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		got, err := here.GetOrSet(t.Context(), 7, src.load, runtime.Tags("a"))
		want(t, got, err, 1)
		src.value.Store(2)
		if err := newStore(t, runtime.L2(&shared)).Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // nobody asks meanwhile
		got, err = here.GetOrSet(t.Context(), 7, src.load, runtime.Tags("a"))
		l2.on.Store(false)
		want(t, got, err, 2)
	})
}

// readOnlyTier does not take writes while it is on.
type readOnlyTier struct {
	*faketier.Shared
	on atomic.Bool
}

func (r *readOnlyTier) SetMany(ctx context.Context, items []drivers.Item) error {
	if r.on.Load() {
		return errDown
	}
	return r.Shared.SetMany(ctx, items)
}

func (r *readOnlyTier) DeleteMany(ctx context.Context, keys []string) error {
	if r.on.Load() {
		return errDown
	}
	return r.Shared.DeleteMany(ctx, keys)
}

// A shared tier that is slower than the soft timeout, and answers, is not taken for one
// that is away.
func TestStampsOfFreshValuesAreReadFromASlowTier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		here := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&slowTier{&shared}), runtime.L2SoftTimeout(50*time.Millisecond), runtime.TTL(time.Hour)))
		var src source
		src.value.Store(1)
		got, err := here.GetOrSet(t.Context(), 7, src.load, runtime.Tags("a"))
		want(t, got, err, 1)
		src.value.Store(2)
		if err := newStore(t, runtime.L2(&shared)).DeleteByTag(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got, err = here.GetOrSet(t.Context(), 7, src.load, runtime.Tags("a"))
		want(t, got, err, 2)
	})
}

// slowTier takes 60 ms for each read.
type slowTier struct{ *faketier.Shared }

func (s *slowTier) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	select {
	case <-time.After(60 * time.Millisecond):
		return s.Shared.GetMany(ctx, keys)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
