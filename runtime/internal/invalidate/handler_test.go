package invalidate_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestWhatIsHeardIsTakenOverInEveryShapeOfStore(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		kind := s.Kind("")
		h := invalidate.Handler{Invalidator: s.Invalidate}
		for name, test := range map[string]struct {
			m      bus.Change
			memory memory.Verdict // of what is there then
		}{
			"drop":         {bus.Change{Kind: bus.Drop, Names: []string{"other", "k"}}, memory.Invalid},
			"expire":       {bus.Change{Kind: bus.Expire, Names: []string{"k"}}, memory.Stale},
			"delete stamp": {bus.Change{Kind: bus.DeleteStamp, Names: []string{"t:x"}}, memory.Invalid},
			"expire stamp": {bus.Change{Kind: bus.ExpireStamp, Names: []string{"t:never", "t:x"}}, memory.Stale},
			"of another":   {bus.Change{Kind: bus.Drop, Names: []string{"other"}}, memory.Fresh},
		} {
			set(t, s, kind, "k", "v", "x")
			f := s.Memory.Flights.Join("k", false, new(flight.Batch), s.Stamps.Epoch).Flight
			h.Received(test.m)
			if stamps := test.m.Kind >= bus.DeleteStamp; f.Poisoned() == stamps && name != "of another" {
				t.Errorf("%s: poisoned: %v", name, f.Poisoned())
			}
			f.Finish(nil, nil, false)
			if !s.Memory.Exists() {
				continue
			}
			it := s.Memory.Find("k", s.Memory.Hash("k"))
			got := memory.Invalid
			if it != nil {
				got = s.Memory.CheckLocal(it, clock.Now())
			}
			want := test.memory
			if s.Remote.Exists() && test.m.Kind >= bus.DeleteStamp {
				want = memory.Invalid // the new half is not known before it is read
				if test.m.Kind == bus.ExpireStamp {
					want = memory.Unverified
				}
				if got == memory.Unverified && test.m.Kind == bus.DeleteStamp {
					got = memory.Invalid
				}
			}
			if got != want {
				t.Errorf("%s: %d, want %d", name, got, want)
			}
		}
	})
}

// What may have been said and was not heard may concern anything. And that leases have ended
// concerns those who wait for them alone.
func TestWhatWasMissedAndWhatIsWokenIsHandedOn(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		h := invalidate.Handler{Invalidator: s.Invalidate}
		set(t, s, s.Kind(""), "k", "v")
		generation := s.Stamps.Generation()
		h.Woken([]string{"nobody waits"})
		woken, stop := s.Memory.Waiters.Wait([]string{"k"})
		defer stop()
		h.Woken([]string{"k"})
		select {
		case <-woken:
		default:
			t.Error("who waits is not woken")
		}
		if s.Stamps.Generation() != generation {
			t.Error("that a lease has ended counts as a change")
		}
		h.Missed()
		if s.Stamps.Generation() != generation+1 {
			t.Error("confirmed although something was missed")
		}
	})
}

// A message that comes late or twice does no harm: the shared tier is asked, not believed
// to have what somebody says.
func TestAMessageThatComesTwiceOrLateDoesNoHarm(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	h := invalidate.Handler{Invalidator: s.Invalidate}
	set(t, s, kind, "k", "v", "x")
	for range 2 {
		for _, kindOf := range []bus.Kind{bus.DeleteStamp, bus.ExpireStamp, bus.Drop} { // nothing has happened in the shared tier
			h.Received(bus.Change{Kind: kindOf, Names: []string{"t:x", "k"}})
		}
		if value, stale := get(t, s, kind, "k"); value != "v" || stale {
			t.Errorf("%v, stale %v: what the shared tier has is lost", value, stale)
		}
	}
}

// race R24, R25: after a gap, nothing that was read before it is fresh, and what is pending
// is tried at once.
func TestAfterAGapNothingIsFreshAndWhatIsPendingIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s, other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b}), storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b})
		kind := s.Kind("")
		set(t, s, kind, "k", "old")
		b.Cut(true)
		time.Sleep(30 * time.Second)
		if err := other.Invalidate.Set(t.Context(), other.Kind(""), "k", "new", &hour, nil); err == nil {
			t.Error("nobody was told, and the caller does not know")
		}
		s.Outbox.Add([]string{"mine"}, outbox.KeyTarget, pending.Item{Publish: true}, errDown)
		time.Sleep(10 * time.Second) // the next try is some seconds away
		b.Cut(false)
		if it := s.Memory.Find("k", s.Memory.Hash("k")); s.Memory.Check(t.Context(), it) >= memory.Stale {
			t.Error("the old value is fresh")
		}
		synctest.Wait()
		if s.Outbox.Len() != 0 {
			t.Error("still pending")
		}
		if value, _ := get(t, s, kind, "k"); value != "new" {
			t.Error(value)
		}
	})
}

// What this process has written too late is deleted again, whoever has deleted it.
func TestAWriteInDoubtThatAnotherProcessInvalidatesIsDeletedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		shared.Down(errDown)
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}})
		shared.Down(nil)
		invalidate.Handler{Invalidator: s.Invalidate}.Received(bus.Change{Kind: bus.Drop, Names: []string{"k", "other"}})
		if s.Outbox.Len() != 1 || !s.Remote.KeyBlocked("k") {
			t.Error(s.Outbox.Len(), "are pending")
		}
		shared.Put("k", []byte("late"))
		time.Sleep(time.Minute)
		if shared.Keys()["k"] != nil || s.Outbox.Len() != 0 {
			t.Error("it is back")
		}
	})
}

// A bus that watches the tier itself tells of changes that were made by hand, too.
func TestAKeyThatSomebodyHasChangedByHandIsDropped(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Prefix: "app"})
	kind := s.Kind("")
	set(t, s, kind, "app:k", "v", "x")
	set(t, s, kind, "app:other", "v")
	h := invalidate.Handler{Invalidator: s.Invalidate}
	find := func(key string) bool { return s.Memory.Find(key, s.Memory.Hash(key)) != nil }
	h.Changed([]string{"foreign:k", "ap", "app:!t"})
	if !find("app:k") || s.Lines("received") != nil {
		t.Error("dropped for what does not concern it")
	}
	it := s.Memory.Find("app:k", s.Memory.Hash("app:k"))
	for range 2 {
		if err := s.Remote.MakeStamps(t.Context(), kind.Cells([]string{"x"}), time.Hour); err != nil {
			t.Fatal(err)
		}
		if v := s.Memory.Check(t.Context(), it); v != memory.Fresh {
			t.Fatal(v)
		}
		h.Changed([]string{"app:!s:t:x"})
		if v := s.Memory.CheckLocal(it, clock.Now()); v >= memory.Unconfirmed {
			t.Errorf("the stamp is believed, %d", v)
		}
	}
	h.Changed([]string{"app:k"})
	if find("app:k") || !find("app:other") || !slices.Equal(s.Lines("received"), []string{"changed app:k"}) {
		t.Errorf("%q", s.Lines("received"))
	}
}

// What a message of another process costs the one that hears it: of one key that memory has not.
func BenchmarkAMessageOfOneKey(b *testing.B) {
	var broker faketier.Bus
	storetest.New(b, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &broker, StampTrust: time.Hour})
	m := bus.Message{Origin: 7, Changes: []bus.Change{{Kind: bus.Drop, Names: []string{"app:@users@User:user:1234567"}}}}
	buf := bus.Append(nil, &m)
	b.ReportAllocs()
	for b.Loop() {
		m.Last = m.Number
		m.Number++
		m.Sent += time.Microsecond
		buf = bus.Append(buf[:0], &m)
		_ = broker.Publish(b.Context(), "cachegen:!bus", buf)
	}
	b.ReportMetric(float64(len(buf)), "B/message")
}
