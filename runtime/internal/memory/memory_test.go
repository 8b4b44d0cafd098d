package memory_test

import (
	"errors"
	goruntime "runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("the source is down")
	hour    = policy.Policy{TTL: time.Hour, Grace: time.Hour, NotFoundTTL: time.Hour}
)

// lead begins a flight of key.
func lead(s *storetest.Store, key string) *memory.Flight {
	seat := s.Memory.Flights.Join(key, false, new(flight.Batch), s.Stamps.Epoch)
	f, leader := seat.Flight, seat.Leader
	if !leader {
		panic("somebody else leads the flight")
	}
	return f
}

// load loads an item of key and keeps it.
func load(s *storetest.Store, kind *entry.Kind, key string, p policy.Policy, tags ...string) *entry.Item {
	it := s.Item(kind, key, "v", p, tags...)
	f := lead(s, key)
	s.Memory.Put(key, s.Memory.Hash(key), f, it)
	f.Finish(it, nil, false)
	return it
}

func find(s *storetest.Store, key string) *entry.Item { return s.Memory.Find(key, s.Memory.Hash(key)) }

// remove deletes a key, as an invalidation does.
func remove(s *storetest.Store, key string) {
	s.Memory.Invalidate([]string{key}, func(_ int, hash uint64, _ fence.Mark) { s.Memory.Delete(hash) })
}

func TestAHitFindsAnItemByTheParts(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), Prefix: "app"})
	kind := s.Kind("a.Load")
	for _, namespace := range [][]string{nil, {"users"}} {
		prefix := entry.Cache{Namespace: namespace}.KeyPrefix("app:")
		hash := s.Memory.PrefixHash(prefix)
		for _, text := range []string{"name:x", "user:7", "7", "user:-7", "user:07"} {
			it := load(s, kind, prefix+text, hour)
			if got := s.Memory.Hit(prefix, hash, []byte(text)); got != it {
				t.Errorf("%s%s: %v", prefix, text, got)
			}
			if got := s.Memory.Hit(prefix, hash, []byte(text+"x")); got != nil {
				t.Errorf("%s%sx: %v", prefix, text, got)
			}
		}
		it := find(s, prefix+"user:-7")
		if got := s.Memory.HitInt(prefix+"user:", s.Memory.ScopeHash(hash, "user:"), -7); got != it || it == nil {
			t.Errorf("%suser:-7 by its integer: %v", prefix, got)
		}
		if got := s.Memory.HitInt(prefix+"user:", s.Memory.ScopeHash(hash, "user:"), 8); got != nil {
			t.Errorf("%suser:8: %v", prefix, got)
		}
	}
}

// race R37: two keys of one hash are two keys.
func TestAnItemOfAnotherKeyIsNotServedForItsHash(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind, hash := s.Kind(""), s.Memory.PrefixHash("")
	for _, key := range []string{"name:x", "user:7"} {
		s.Memory.Driver.Set(s.Memory.Hash(key), s.Item(kind, "other:8", "v", hour), 1)
		if find(s, key) != nil || s.Memory.Hit("", hash, []byte(key)) != nil {
			t.Errorf("%s: served", key)
		}
	}
	if s.Memory.HitInt("user:", s.Memory.ScopeHash(hash, "user:"), 7) != nil {
		t.Error("by its integer: served")
	}
	s.Memory.Driver.Set(s.Memory.Hash("@a:x"), s.Item(kind, "@b:x", "v", hour), 1)
	if s.Memory.Hit("@a:", s.Memory.PrefixHash("@a:"), []byte("x")) != nil {
		t.Error("of another namespace: served")
	}
}

func TestAHitNeitherAllocatesNorAsksTheSharedTier(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, StampTrust: time.Hour})
	kind := s.Kind("a.Load")
	if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
		t.Fatal(err)
	}
	load(s, kind, "user:7", hour)
	reads, text := shared.Calls("get"), []byte("user:7")
	hash := s.Memory.PrefixHash("")
	scope := s.Memory.ScopeHash(hash, "user:")
	allocs := testing.AllocsPerRun(1000, func() {
		if s.Memory.Hit("", hash, text) == nil || s.Memory.HitInt("user:", scope, 7) == nil {
			t.Error("no hit")
		}
	})
	if allocs > 0 || shared.Calls("get") != reads {
		t.Errorf("%v allocations, %d reads", allocs, shared.Calls("get")-reads)
	}
}

func TestAHitLeavesToTheSlowPathWhatIsNotSimplyFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		kind := s.Kind("")
		hit := func(key string) bool { return s.Memory.Hit("", s.Memory.PrefixHash(""), []byte(key)) != nil }
		p := hour
		p.Refresh = policy.Span{Time: time.Minute}
		load(s, kind, "due", p)
		load(s, kind, "stale", policy.Policy{TTL: time.Minute, Grace: time.Hour})
		load(s, kind, "tagged", hour, "x")
		none := kind.New("none", nil, entry.NotFound, &hour, clock.Now(), entry.Refs(kind.Required))
		absent := kind.New("absent", nil, entry.Absent, &hour, clock.Now(), entry.Refs(kind.Required))
		for _, it := range []*entry.Item{none, absent} {
			s.Memory.Set(s.Memory.Hash(it.Key), it)
		}
		for range 2 { // what is found good is remembered
			if !hit("due") || !hit("stale") || !hit("tagged") || !hit("absent") || hit("none") {
				t.Error("at first")
			}
		}
		s.Stamps.Change("t:x", true, false)
		if hit("tagged") || !hit("due") {
			t.Error("after the tag has changed")
		}
		time.Sleep(time.Minute - time.Millisecond)
		if !hit("due") || !hit("stale") {
			t.Error("before the time")
		}
		time.Sleep(time.Millisecond)
		if hit("due") || hit("stale") {
			t.Error("after the time")
		}
	})
}

// race R1, R4: what was loaded before an invalidation is not kept after it.
func TestAPutThatRacesAnInvalidationKeepsNothingOlder(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind := s.Kind("")
	var source atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	hash := s.Memory.Hash("k")
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seat := s.Memory.Flights.Join("k", false, new(flight.Batch), s.Stamps.Epoch)
				f, leader := seat.Flight, seat.Leader
				if !leader {
					f.Leave()
					continue
				}
				it := s.Item(kind, "k", strconv.FormatInt(source.Load(), 10), hour)
				s.Memory.Put("k", hash, f, it)
				f.Finish(it, nil, false)
			}
		})
	}
	kept := 0
	for round := 0; round < 400 || kept == 0; round++ { // on a busy machine nothing may be kept for a while
		now := source.Add(1)
		remove(s, "k")
		for range 100 { // until something is kept again
			goruntime.Gosched()
			if it := s.Memory.Find("k", hash); it != nil {
				kept++
				if v, _ := strconv.ParseInt(it.Value.(string), 10, 64); v < now {
					close(stop)
					wg.Wait()
					t.Fatalf("%d is there after an invalidation that came with %d", v, now)
				}
				break
			}
		}
	}
	close(stop)
	wg.Wait()
}

// race R5: nor is what a read has brought from the shared tier.
func TestWhatWasReadBeforeAnInvalidationIsNotKeptAfterIt(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind, hash := s.Kind(""), s.Memory.Hash("k")
	stale := s.Item(kind, "k", "v", hour)
	it := s.Item(kind, "k", "v", hour)
	s.Memory.PutRead(hash, s.Memory.Fence.Mark(hash), it, memory.Fresh)
	if find(s, "k") != it {
		t.Error("not kept although nothing has happened")
	}
	s.Memory.PutRead(hash, s.Memory.Fence.Mark(hash), stale, memory.Stale)
	if find(s, "k") != it {
		t.Error("a stale item has replaced a younger one")
	}
	mark := s.Memory.Fence.Mark(hash)
	remove(s, "k")
	s.Memory.PutRead(hash, mark, it, memory.Fresh)
	if find(s, "k") != nil {
		t.Error("kept after the invalidation")
	}
	s.Memory.PutRead(hash, s.Memory.Fence.Mark(hash), it, memory.Unconfirmed)
	if find(s, "k") != nil {
		t.Error("kept although it is worth too little")
	}
	f := lead(s, "k")
	remove(s, "k")
	if use := s.Memory.PutStale(hash, f, it); use != it || find(s, "k") != nil {
		t.Error("a stale item was kept after the invalidation, or is not the one to use")
	}
}

func TestPutKeepsWhatAFlightHasLoadedOrRemovesWhatWasThere(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind, hash := s.Kind(""), s.Memory.Hash("k")
	f := lead(s, "k")
	s.Memory.RememberFailure(hash, f, memory.NewFailure("k", errDown, clock.Now(), clock.Never, nil))
	it := s.Item(kind, "k", "v", hour)
	if !valid(s.Memory.Put("k", hash, f, it)) || find(s, "k") != it || !f.Kept() || s.Memory.Failed(t.Context(), "k") != nil {
		t.Error("not kept, or the failure is still remembered")
	}
	if !valid(s.Memory.Put("k", hash, f, nil)) || find(s, "k") != nil {
		t.Error("not removed")
	}
	remove(s, "k")
	if valid(s.Memory.Put("k", hash, f, it)) || find(s, "k") != nil {
		t.Error("kept after an invalidation")
	}
}

// Readers of the shared tier may be on their way with what a forced load replaces.
func TestAForcedLoadIsNotReplacedByWhatWasReadBeforeIt(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind, hash := s.Kind(""), s.Memory.Hash("k")
	mark := s.Memory.Fence.Mark(hash)
	f := s.Memory.Flights.Replace("k", s.Memory.Flights.Last(), nil, new(flight.Batch), s.Stamps.Epoch).Flight
	it := s.Item(kind, "k", "new", hour)
	s.Memory.Put("k", hash, f, it)
	s.Memory.PutRead(hash, mark, s.Item(kind, "k", "old", hour), memory.Fresh)
	if find(s, "k") != it {
		t.Error("what was there before is back")
	}
}

func TestAStaleItemDoesNotReplaceAYoungerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		kind, hash := s.Kind(""), s.Memory.Hash("k")
		old := s.Item(kind, "k", "old", hour)
		time.Sleep(time.Second)
		young := s.Item(kind, "k", "young", hour)
		f := lead(s, "k")
		if s.Memory.PutStale(hash, f, old) != old || find(s, "k") != old {
			t.Error("nothing was there, and it was not kept")
		}
		if s.Memory.PutStale(hash, f, young) != young || find(s, "k") != young {
			t.Error("a younger one was not kept")
		}
		if s.Memory.PutStale(hash, f, old) != young || find(s, "k") != young {
			t.Error("an older one was kept")
		}
		for name, test := range map[string]struct {
			it, other *entry.Item
			want      bool
		}{
			"younger":                   {young, old, true},
			"older":                     {old, young, false},
			"itself":                    {old, old, true},
			"expired":                   {old.ExpiredCopy(clock.Now()), old, true},
			"not expired":               {old, old.ExpiredCopy(clock.Now()), false},
			"fresh for longer":          {&entry.Item{FreshUntil: clock.Never, StaleUntil: clock.Never}, &entry.Item{FreshUntil: 5}, false},
			"over":                      {&entry.Item{LoadStarted: 9}, &entry.Item{LoadStarted: 8}, false},
			"younger, though it is old": {&entry.Item{LoadStarted: 9, StaleUntil: clock.Never}, &entry.Item{LoadStarted: 8, StaleUntil: clock.Never}, true},
		} {
			if got := s.Memory.Supersedes(test.it, test.other); got != test.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

func TestInvalidateEndsWhatIsUnderWayForItsKeys(t *testing.T) {
	for name, c := range map[string]store.Config{"with memory": {L1: storetest.L1()}, "without": {L2: &faketier.Shared{}}} {
		s := storetest.New(t, c)
		hash := s.Memory.Hash("k")
		f, other := lead(s, "k"), lead(s, "other")
		s.Memory.RememberFailure(hash, f, memory.NewFailure("k", errDown, clock.Now(), clock.Never, nil))
		mark, changed := s.Memory.Fence.Mark(hash), false
		s.Memory.Invalidate([]string{"k"}, func(i int, h uint64, before fence.Mark) { changed = i == 0 && h == hash && before == mark })
		if changed != s.Memory.Exists() {
			t.Errorf("%s: changed %v", name, changed)
		}
		if !f.Poisoned() || other.Poisoned() || s.Memory.Failed(t.Context(), "k") != nil || s.Memory.Fence.Mark(hash) == mark {
			t.Errorf("%s: something goes on, or too much has ended", name)
		}
	}
}

// race R24: after a gap everything may have been missed. Nothing that is under way is kept,
// and what is there has to be asked about.
func TestAfterAGapEverythingIsUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		kept := load(s, kind, "a", hour)
		f := lead(s, "b")
		s.Memory.RememberFailure(s.Memory.Hash("b"), f, memory.NewFailure("b", errDown, clock.Now(), clock.Never, nil))
		mark := s.Memory.Fence.Mark(7)
		s.Memory.Unconfirm()
		if find(s, "a") != kept || !f.Poisoned() || s.Memory.Failed(t.Context(), "b") != nil || s.Memory.Fence.Mark(7) == mark {
			t.Error("something was left, or too much was dropped")
		}
		if v := s.Memory.CheckLocal(kept, clock.Now()); v != memory.Unverified {
			t.Error("the stamps are believed:", v)
		}
		if v := s.Memory.Check(t.Context(), kept); v != memory.Unconfirmed {
			t.Error("with stamps that have not changed:", v)
		}
		if v := s.Memory.ConfirmAll(t.Context(), []*entry.Item{kept})[0]; v != memory.Unconfirmed {
			t.Error("the shared tier has never had it:", v)
		}
	})
}

func TestExpireMakesAnItemStaleOrRemovesIt(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind := s.Kind("")
	load(s, kind, "grace", hour)
	load(s, kind, "none", policy.Policy{TTL: time.Hour})
	for _, key := range []string{"grace", "none", "absent"} {
		s.Memory.Expire(key, s.Memory.Hash(key))
	}
	if it := find(s, "grace"); it == nil || s.Memory.CheckLocal(it, clock.Now()) != memory.Stale {
		t.Error("not stale:", it)
	}
	if find(s, "none") != nil || find(s, "absent") != nil {
		t.Error("kept without a grace")
	}
}

func TestDeleteSameLeavesAnother(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind, hash := s.Kind(""), s.Memory.Hash("k")
	seen := load(s, kind, "k", hour)
	now := load(s, kind, "k", hour)
	if s.Memory.DeleteSame("k", hash, seen) || find(s, "k") != now {
		t.Error("another was deleted")
	}
	if !s.Memory.DeleteSame("k", hash, now) || find(s, "k") != nil {
		t.Error("not deleted")
	}
}

func TestWithoutAMemoryTierNothingIsKeptAndLoadsAreOrderedAllTheSame(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	kind, hash := s.Kind(""), s.Memory.Hash("user:7")
	it := s.Item(kind, "user:7", "v", hour)
	if s.Memory.Exists() {
		t.Error("it exists")
	}
	f := lead(s, "user:7")
	if !valid(s.Memory.Put("user:7", hash, f, it)) || !f.Kept() {
		t.Error("the flight may not keep its result")
	}
	if s.Memory.PutStale(hash, f, it) != it {
		t.Error("the stale item is not the one to use")
	}
	s.Memory.PutRead(hash, s.Memory.Fence.Mark(hash), it, memory.Fresh)
	prefix := s.Memory.PrefixHash("")
	if find(s, "user:7") != nil || s.Memory.Hit("", prefix, []byte("user:7")) != nil || s.Memory.HitInt("user:", s.Memory.ScopeHash(prefix, "user:"), 7) != nil {
		t.Error("something is there")
	}
	s.Memory.Expire("user:7", hash)
	remove(s, "user:7")
	if valid(s.Memory.Put("user:7", hash, f, it)) {
		t.Error("kept after an invalidation")
	}
	s.Memory.Unconfirm()
	s.Memory.Recheck()
	s.Memory.Stop()
}

// valid is what Put reports first.
func valid(valid bool, _ error) bool { return valid }
