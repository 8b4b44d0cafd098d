package memory_test

import (
	"context"
	goruntime "runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestWhatAnItemIsWorth(t *testing.T) {
	noGrace, recheck := policy.Policy{TTL: time.Hour}, policy.Policy{TTL: time.Hour, Grace: time.Hour, L1TTL: time.Minute}
	expired := func(s *storetest.Store) { s.Stamps.Change("t:x", true, false) }
	for name, test := range map[string]struct {
		p    policy.Policy
		do   func(*storetest.Store)
		wait time.Duration
		want memory.Verdict
	}{
		"new":                        {hour, nil, 0, memory.Fresh},
		"at the end of its TTL":      {hour, nil, time.Hour, memory.Stale},
		"at the end of its grace":    {hour, nil, 2 * time.Hour, memory.Invalid},
		"over, without a grace":      {noGrace, nil, time.Hour, memory.Invalid},
		"deleted by tag":             {hour, func(s *storetest.Store) { s.Stamps.Change("t:x", false, false) }, 0, memory.Invalid},
		"cleared":                    {hour, func(s *storetest.Store) { s.Stamps.Change("s", false, false) }, 0, memory.Invalid},
		"expired by tag":             {hour, expired, 0, memory.Stale},
		"expired, without a grace":   {noGrace, expired, 0, memory.Invalid},
		"another tag":                {hour, func(s *storetest.Store) { s.Stamps.Change("t:y", false, false) }, 0, memory.Fresh},
		"its time in memory is over": {recheck, nil, time.Minute, memory.Unconfirmed},
		"and so is its TTL":          {recheck, nil, time.Hour, memory.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storetest.New(t, store.Config{L1: storetest.L1()})
				kind := s.Kind("")
				kind.Remote = true // so that L1TTL is a time to ask the shared tier again
				it := s.Item(kind, "k", "v", test.p, "x")
				for range 2 { // what was found before must not matter
					if test.do != nil {
						test.do(s)
					}
					time.Sleep(test.wait)
					if got := s.Memory.CheckLocal(it, clock.Now()); got != test.want {
						t.Errorf("%d, want %d", got, test.want)
					}
					if fast := it.Good(s.Stamps.Epoch(), clock.Now()); fast && test.want != memory.Fresh {
						t.Error("the fast path serves it")
					}
					test.wait = 0
				}
			})
		})
	}
}

func TestAnItemWithoutAKnownStampIsInvalid(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	it := &entry.Item{FreshUntil: clock.Never, StaleUntil: clock.Never, Stamps: []entry.StampRef{{Cell: s.Stamps.Cell("t:x")}}}
	if got := s.Memory.CheckLocal(it, clock.Now()); got != memory.Invalid {
		t.Error(got)
	}
}

// race R49: while messages may be missed, entries are served for the time that stamps are
// trusted, from the moment the bus was lost.
func TestWhileTheBusIsDisconnectedItemsAreServedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		s := storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b})
		kind := s.Kind("")
		it := load(s, kind, "k", hour)
		is := func(it *entry.Item, want memory.Verdict) {
			t.Helper()
			if got := s.Memory.CheckLocal(it, clock.Now()); got != want {
				t.Errorf("%d, want %d", got, want)
			}
			hit := s.Memory.Hit("", s.Memory.PrefixHash(""), []byte(it.Key)) != nil
			if it == find(s, it.Key) && hit != (want == memory.Fresh) {
				t.Errorf("a hit: %v", hit)
			}
		}
		is(it, memory.Fresh)
		b.Cut(true)
		is(it, memory.Fresh)
		time.Sleep(time.Second - 1)
		is(it, memory.Fresh)
		time.Sleep(time.Nanosecond)
		is(it, memory.Unconfirmed)
		young := load(s, kind, "young", hour) // counts from when it was obtained
		is(young, memory.Fresh)
		time.Sleep(time.Second)
		is(young, memory.Unconfirmed)
		is(it, memory.Unconfirmed)
		b.Cut(false)
		is(it, memory.Unconfirmed)
		is(load(s, kind, "again", hour), memory.Fresh)
	})
}

func TestCheckReadsTheStampsOfManyItemsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		for _, tag := range []string{"x", "y"} {
			if err := s.Remote.MakeStamps(t.Context(), kind.Cells([]string{tag}), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		x, y := s.Item(kind, "x", "v", hour, "x"), s.Item(kind, "y", "v", hour, "y")
		time.Sleep(time.Minute) // nothing is trusted any more
		if v := s.Memory.CheckLocal(x, clock.Now()); v != memory.Unverified {
			t.Fatal(v)
		}
		shared.Put("!s:t:y", stamp.Record{Value: stamp.Value{Delete: 99, Expire: 99}}.Bytes())
		reads := shared.Calls("get")
		got := s.Memory.CheckAll(t.Context(), []*entry.Item{x, nil, y})
		if got[0] != memory.Fresh || got[1] != memory.Invalid || got[2] != memory.Invalid || shared.Calls("get") != reads+1 {
			t.Errorf("%v after %d reads", got, shared.Calls("get")-reads)
		}
		if s.Memory.Check(t.Context(), x) != memory.Fresh || s.Memory.Check(t.Context(), nil) != memory.Invalid || shared.Calls("get") != reads+1 {
			t.Error("one was asked for again, or nil is worth something")
		}
		time.Sleep(time.Minute)
		if s.Memory.Check(t.Context(), x) != memory.Fresh || shared.Calls("get") != reads+2 {
			t.Error("not read again")
		}
	})
}

// A stamp that nobody can read, for a caller who does not wait, leaves nothing to serve.
func TestAnItemWhoseStampsCannotBeVerifiedIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		it := s.Item(kind, "k", "v", hour)
		time.Sleep(time.Minute)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if v := s.Memory.Check(gone, it); v != memory.Invalid {
			t.Error(v)
		}
		if v := s.Memory.Check(t.Context(), it); v != memory.Fresh {
			t.Error("and for one who waits:", v)
		}
	})
}

// A tier that is slow is worth waiting for if a fresh item depends on it; a fallback is
// not worth as much.
func TestAFallbackIsCheckedWithinTheSoftTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, L2SoftTimeout: 100 * time.Millisecond})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		fresh, stale := s.Item(kind, "fresh", "v", hour), s.Item(kind, "stale", "v", policy.Policy{TTL: time.Second, Grace: time.Hour})
		shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for _, test := range []struct {
			items []*entry.Item
			want  time.Duration
		}{{[]*entry.Item{stale}, 100 * time.Millisecond}, {[]*entry.Item{stale, fresh}, time.Second}} {
			time.Sleep(time.Minute)
			began := time.Now()
			s.Memory.CheckAll(t.Context(), test.items)
			if took := time.Since(began); took != test.want {
				t.Errorf("%d items took %v, want %v", len(test.items), took, test.want)
			}
		}
		shared.SetBefore(nil)
	})
}

// race R23: a stamp that changes while an item is checked is noticed by the next check at
// the latest: what was found good is good at the epoch from before.
func TestAnItemIsNotGoodAtAnEpochThatCameAfterItsCheck(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind := s.Kind("")
	it := s.Item(kind, "k", "v", hour, "x")
	epoch := s.Stamps.Epoch()
	s.Memory.CheckLocal(it, clock.Now())
	if !it.Good(epoch, clock.Now()) || s.Memory.ChangedSince(it, epoch) {
		t.Fatal("not good")
	}
	s.Stamps.Change("t:x", false, false)
	if it.Good(s.Stamps.Epoch(), clock.Now()) || !s.Memory.ChangedSince(it, epoch) || s.Memory.ChangedSince(it, s.Stamps.Epoch()) {
		t.Error("good after its stamp has changed")
	}
	tags := make([]string, 2000) // so that a check takes a while
	for i := range tags {
		tags[i] = "x" + strconv.Itoa(i)
	}
	long := s.Item(kind, "k", "v", hour, append([]string{"x"}, tags...)...)
	for i := range 200 { // and so when both happen at once
		it := &entry.Item{FreshUntil: long.FreshUntil, StaleUntil: long.StaleUntil, RecheckAt: clock.Never, RefreshAt: clock.Never, Stamps: slices.Clone(long.Stamps)}
		it.Stamps[1] = entry.Refs([]*stamp.Cell{s.Stamps.Cell("t:x")})[0]
		var ready atomic.Bool
		changed := make(chan struct{})
		go func() {
			ready.Store(true)
			for range i % 200 * 20 {
				ready.Load()
			}
			s.Stamps.Change("t:x", false, false)
			close(changed)
		}()
		for !ready.Load() {
			goruntime.Gosched()
		}
		s.Memory.CheckLocal(it, clock.Now())
		<-changed
		if it.Good(s.Stamps.Epoch(), clock.Now()) {
			t.Fatal("good after its stamp has changed meanwhile")
		}
	}
	other := s.Item(kind, "k", "v", hour)
	s.Memory.CheckLocal(other, clock.Now())
	s.Memory.Recheck()
	if other.Good(s.Stamps.Epoch(), clock.Now()) {
		t.Error("not looked at anew")
	}
}
