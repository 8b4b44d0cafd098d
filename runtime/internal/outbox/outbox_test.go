package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("the server is down")
	hour    = policy.Policy{TTL: time.Hour, Grace: time.Hour}
)

func deleteStamp(name string) pending.Target { return outbox.StampTarget(name, false) }
func expireStamp(name string) pending.Target { return outbox.StampTarget(name, true) }

// write stores an item in the shared tier.
func write(t *testing.T, s *storetest.Store, key string) {
	t.Helper()
	kind := s.Kind("")
	packed, err := kind.Pack(s.Item(kind, key, "v", hour))
	if err == nil {
		err = s.Remote.Set(t.Context(), []drivers.Item{packed})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsPendingIsTriedAgainUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s := storetest.New(t, store.Config{L2: &shared, Bus: &b})
		s.Remote.SetBreakFor(0)
		write(t, s, "k")
		shared.Down(errDown)
		began := time.Now()
		var mu sync.Mutex
		var tries []time.Duration
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			mu.Lock()
			defer mu.Unlock()
			if op == "delete" {
				tries = append(tries, time.Since(began))
			}
			return nil
		})
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true, Publish: true}, errDown)
		time.Sleep(5 * time.Second)
		want := []time.Duration{100, 300, 700, 1500, 2500, 3500, 4500} // ms: twice as long each time, but not longer than 1 s
		for i := range want {
			want[i] *= time.Millisecond
		}
		mu.Lock()
		if tries = slices.Compact(tries); !slices.Equal(tries, want) { // each is tried once more at once
			t.Errorf("tried at %v, want %v", tries, want)
		}
		mu.Unlock()
		if s.Lines("published") != nil {
			t.Error("the others were told before the shared tier was changed")
		}
		shared.Down(nil)
		time.Sleep(5 * time.Second)
		if s.Outbox.Len() != 0 || shared.Keys()["k"] != nil || !slices.Equal(s.Lines("published"), []string{"drop k"}) {
			t.Errorf("%d pending, %q", s.Outbox.Len(), s.Lines("published"))
		}
		if got := s.Lines("pending"); got[0] != "1: shared tier: delete: "+errDown.Error() || got[len(got)-1] != "0" {
			t.Errorf("%q", got)
		}
	})
}

// A goroutine runs while something is queued, and only then: the next item starts another.
func TestTheOutboxStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		for _, key := range []string{"a", "b"} {
			write(t, s, key)
			s.Outbox.Wake() // nothing runs, and nothing happens
			s.Outbox.Add([]string{key}, outbox.KeyTarget, pending.Item{Remote: true}, nil)
			s.Outbox.Wake()
			synctest.Wait()
			if s.Outbox.Len() != 0 || shared.Keys()[key] != nil {
				t.Errorf("%s is pending, although the outbox was woken", key)
			}
		}
	})
}

func TestEachKindOfItemIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s, other := storetest.New(t, store.Config{L2: &shared, Bus: &b}), storetest.New(t, store.Config{L2: &shared, Bus: &b})
		kind := s.Kind("")
		cells := kind.Cells([]string{"x", "y"})
		if err := s.Remote.MakeStamps(t.Context(), cells, time.Hour); err != nil {
			t.Fatal(err)
		}
		before := entry.Refs(cells)
		write(t, s, "deleted")
		write(t, s, "expired")
		remote := pending.Item{Remote: true, Publish: true}
		expire := remote
		expire.Expire = true
		s.Outbox.Add([]string{"deleted"}, outbox.KeyTarget, remote, errDown)
		s.Outbox.Add([]string{"expired"}, outbox.KeyTarget, expire, errDown)
		s.Outbox.Add([]string{"t:x"}, deleteStamp, remote, errDown)
		s.Outbox.Add([]string{"t:y"}, expireStamp, remote, errDown)
		s.Outbox.Add([]string{"told"}, outbox.KeyTarget, pending.Item{Publish: true}, errDown)
		time.Sleep(time.Second)
		if s.Outbox.Len() != 0 {
			t.Fatal(s.Outbox.Len(), "are pending")
		}
		h, _, err := entry.Parse(shared.Keys()["expired"])
		if shared.Keys()["deleted"] != nil || err != nil || h.Flags&entry.FlagExpired == 0 {
			t.Errorf("%v, %+v", err, h)
		}
		if err := s.Remote.MakeStamps(t.Context(), cells, time.Hour); err != nil {
			t.Fatal(err)
		}
		after := entry.Refs(cells)
		if after[1].Delete == before[1].Delete || after[2].Delete != before[2].Delete || after[2].Expire == before[2].Expire {
			t.Errorf("%v after %v", after, before)
		}
		got := other.Lines("received")
		slices.Sort(got)
		if want := []string{"delete stamp t:x", "drop told,deleted,expired", "expire stamp t:y"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A key that somebody is changing is left to that change.
func TestAPendingKeyIsLeftToTheChangeThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		write(t, s, "k")
		write(t, s, "other")
		_, turn := s.Memory.Fence.BeginChange([]uint64{s.Memory.Hash("k")})
		s.Outbox.Add([]string{"k", "other"}, outbox.KeyTarget, pending.Item{Remote: true}, errDown)
		time.Sleep(time.Second)
		if keys := shared.Keys(); keys["k"] == nil || keys["other"] != nil || s.Outbox.Len() != 1 {
			t.Errorf("%d are left, %d pending", len(keys), s.Outbox.Len())
		}
		turn.End()
		time.Sleep(time.Second)
		if shared.Keys()["k"] != nil || s.Outbox.Len() != 0 {
			t.Error("not carried out after the change")
		}
	})
}

// race R29: a later change makes up for what is pending.
func TestALaterChangeMakesUpForWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		s.Outbox.Superseded(0, 0, []string{"k"}, outbox.KeyTarget) // of nothing
		s.Outbox.Add([]string{"k", "t"}, outbox.KeyTarget, pending.Item{Remote: true}, errDown)
		write(t, s, "k")
		s.Outbox.Superseded(0, 0, []string{"k"}, outbox.KeyTarget)
		if s.Outbox.Len() != 1 {
			t.Error(s.Outbox.Len())
		}
		time.Sleep(time.Second)
		if shared.Keys()["k"] == nil {
			t.Error("what was stored later is gone")
		}
	})
}

// race R45: a write in doubt that lands late is deleted once more, and nobody reads it
// until then.
func TestAWriteThatTimedOutIsDeletedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s, other := storetest.New(t, store.Config{L2: &shared, Bus: &b}), storetest.New(t, store.Config{L2: &shared, Bus: &b})
		shared.SetBefore(func(ctx context.Context, op string, _ []string) error {
			if op == "set" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k", Value: []byte("late")}})
		shared.SetBefore(nil)
		s.Outbox.RedeleteLater([]string{"never in doubt"})
		if s.Outbox.Len() != 0 {
			t.Error("queued although it is not in doubt")
		}
		s.Outbox.RedeleteLater([]string{"k"}) // it has just been deleted
		time.Sleep(time.Second)
		shared.Put("k", []byte("late")) // and lands
		if !s.Remote.KeyBlocked("k") || s.Outbox.Len() != 1 {
			t.Error("it may be read")
		}
		time.Sleep(2 * time.Second)
		if shared.Keys()["k"] != nil || s.Outbox.Len() != 0 || s.Remote.KeyBlocked("k") {
			t.Errorf("%q is back, %d pending", shared.Keys()["k"], s.Outbox.Len())
		}
		if !other.Told("received", "drop k") { // who may have read it
			t.Error("the others do not know")
		}
	})
}

func TestAnOutboxThatOverflowsClearsTheStoreInstead(t *testing.T) {
	for name, c := range map[string]store.Config{"with a shared tier": {L2: &faketier.Shared{}, L1: storetest.L1()}, "with memory alone": {L1: storetest.L1()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b faketier.Bus
				c.Bus = &b
				s, other := storetest.New(t, c), storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b})
				kind := s.Kind("")
				it := s.Item(kind, "k", "v", hour)
				b.Cut(true)
				names := make([]string, outbox.MaxPending)
				for i := range names {
					names[i] = fmt.Sprint(i)
				}
				s.Outbox.Add(names, outbox.KeyTarget, pending.Item{Remote: s.Remote.Exists(), Publish: true}, errDown)
				if s.Outbox.Len() != outbox.MaxPending || s.Lines("warn") == nil {
					t.Fatal(s.Outbox.Len(), s.Lines("warn"))
				}
				s.Forget()
				s.Outbox.Add([]string{"one more"}, outbox.KeyTarget, pending.Item{Publish: true}, errDown)
				if s.Outbox.Len() != 1 || !s.Told("warn", "the store is cleared instead") {
					t.Errorf("%d pending, %q", s.Outbox.Len(), s.Lines("warn"))
				}
				if v := s.Memory.CheckLocal(it, time.Now().UnixNano()); v >= 2 {
					t.Error("an item from before is worth", v)
				}
				b.Cut(false)
				time.Sleep(time.Minute)
				if s.Outbox.Len() != 0 || !slices.Equal(other.Lines("received"), []string{"delete stamp s"}) {
					t.Errorf("%d pending, %q", s.Outbox.Len(), other.Lines("received"))
				}
			})
		})
	}
}

func TestANameThatIsRefusedIsGivenUpAndTheOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		write(t, s, "a")
		write(t, s, "b")
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "delete" && slices.Contains(keys, "bad") {
				return drivers.ErrRefused
			}
			return nil
		})
		s.Outbox.Add([]string{"a", "bad", "b"}, outbox.KeyTarget, pending.Item{Remote: true}, errDown)
		time.Sleep(time.Second)
		if keys := shared.Keys(); keys["a"] != nil || keys["b"] != nil || s.Outbox.Len() != 0 {
			t.Errorf("%d pending", s.Outbox.Len())
		}
		if got := s.Lines("warn"); len(got) != 1 || !strings.Contains(got[0], "refused") || !strings.Contains(got[0], "name=bad") {
			t.Errorf("%q", got)
		}
	})
}

func TestAMessageThatIsLostIsPublishedAgainAndNothingElseIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s, other := storetest.New(t, store.Config{L2: &shared, Bus: &b}), storetest.New(t, store.Config{L2: &shared, Bus: &b})
		b.Cut(true)
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true, Publish: true}, errDown)
		time.Sleep(time.Minute)
		if n := shared.Calls("delete"); n != 1 || s.Outbox.Len() != 1 {
			t.Errorf("deleted %d times, %d pending", n, s.Outbox.Len())
		}
		if s.Remote.KeyBlocked("k") {
			t.Error("the shared tier may not be read although it has been changed")
		}
		b.Cut(false)
		time.Sleep(time.Minute)
		if s.Outbox.Len() != 0 || !other.Told("received", "drop k") {
			t.Error("not published again")
		}
	})
}

func TestADriverThatPanicsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		panics := 2
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "delete" && panics > 0 {
				panics--
				panic("boom")
			}
			return nil
		})
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true}, errDown)
		time.Sleep(time.Minute)
		if s.Outbox.Len() != 0 || !s.Told("pending", "boom") {
			t.Errorf("%d pending, %q", s.Outbox.Len(), s.Lines("pending"))
		}
	})
}

// race R39: closing carries out what is pending, and says what is lost.
func TestDrainSaysWhatIsLostAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, BreakFor: time.Hour})
		shared.Down(errDown)
		remote := pending.Item{Remote: true}
		s.Outbox.Add([]string{"a", "b"}, outbox.KeyTarget, remote, errDown)
		s.Outbox.Add([]string{"t:x", "c::a.Load"}, deleteStamp, remote, errDown)
		s.Outbox.Add([]string{"t:x"}, expireStamp, remote, errDown)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		lost, err := s.Outbox.Drain(ctx)
		if want := []string{"a", "b", "tag x", "cache a.Load"}; !slices.Equal(lost, want) || !errors.Is(err, errDown) || time.Since(began) != 10*time.Second {
			t.Errorf("%q, %v after %v; want %q", lost, err, time.Since(began), want)
		}
		shared.Down(nil)
		s.Outbox.Add([]string{"later"}, outbox.KeyTarget, remote, errDown) // no goroutine begins any more
		time.Sleep(time.Minute)
		if s.Outbox.Len() == 0 {
			t.Error("it still runs")
		}
		lost, err = s.Outbox.Drain(t.Context()) // whatever the breaker says
		if lost != nil || err != nil || s.Outbox.Len() != 0 {
			t.Errorf("%q, %v", lost, err)
		}
	})
}

// What waits for its time is not due before it, not even for who is closing.
func TestDrainWaitsForWhatHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		shared.Down(errDown)
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}})
		shared.Down(nil)
		s.Outbox.RedeleteLater([]string{"k"})
		began := time.Now()
		if lost, err := s.Outbox.Drain(t.Context()); lost != nil || err != nil || time.Since(began) < 2*time.Second {
			t.Errorf("%q, %v after %v", lost, err, time.Since(began))
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true}, nil)
		if lost, err := s.Outbox.Drain(gone); !slices.Equal(lost, []string{"k"}) || !errors.Is(err, context.Canceled) {
			t.Errorf("%q, %v", lost, err)
		}
		_, _ = s.Outbox.Drain(t.Context())
	})
}

func TestWithoutASharedTierAndABusNothingIsPendingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		if s.Outbox.HasBus() {
			t.Error("it has a bus")
		}
		s.Outbox.RedeleteLater([]string{"k"})
		s.Outbox.Superseded(0, 0, []string{"k"}, outbox.KeyTarget)
		for _, target := range []func(string) pending.Target{outbox.KeyTarget, deleteStamp, expireStamp} {
			s.Outbox.Add([]string{"k"}, target, pending.Item{Remote: true, Publish: true}, nil)
		}
		time.Sleep(time.Second)
		if s.Outbox.Len() != 0 || s.Lines("warn") != nil || s.Lines("breaker") != nil {
			t.Errorf("%d pending, %q", s.Outbox.Len(), s.Lines("warn"))
		}
	})
}

func TestAKeyThatIsToBeExpiredAndDeletedIsDeletedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		shared.Down(errDown)
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}})
		s.Outbox.RedeleteLater([]string{"k"})
		s.Outbox.Add([]string{"k"}, outbox.KeyTarget, pending.Item{Remote: true, Expire: true}, errDown)
		time.Sleep(4 * time.Second) // the doubt is over
		shared.Down(nil)
		time.Sleep(20 * time.Second)
		if n := shared.Calls("delete"); n != 1 || s.Outbox.Len() != 0 {
			t.Errorf("%d deletes, %d pending", n, s.Outbox.Len())
		}
	})
}

// What only has to be told, to a bus that is down, holds up nothing that has to change the
// shared tier, however much of it there is; nor the other way round.
func TestWhatTheBusDoesNotTakeHoldsUpNothingOfTheSharedTierNorTheOtherWayRound(t *testing.T) {
	many := make([]string, 1200) // more than two batches
	for i := range many {
		many[i] = fmt.Sprintf("k%d", i)
	}
	tell, change := pending.Item{Publish: true}, pending.Item{Remote: true, Publish: true}
	for name, test := range map[string]struct {
		target func(string) pending.Target
		stamp  bool
	}{
		"a key":                 {target: outbox.KeyTarget},
		"a stamp to be deleted": {target: deleteStamp, stamp: true},
		"a stamp that expires":  {target: expireStamp, stamp: true},
		"a key to be redeleted": {target: func(name string) pending.Target { return pending.Target{Kind: pending.Redelete, Name: name} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				var b faketier.Bus
				s := storetest.New(t, store.Config{L2: &shared, Bus: &b})
				write(t, s, "x")
				shared.Put(remote.StampKeyOf(s.Prefix, "x"), []byte("any"))
				b.Cut(true)
				s.Outbox.Add(many, outbox.KeyTarget, tell, errDown)
				s.Outbox.Add([]string{"x"}, test.target, change, errDown)
				time.Sleep(200 * time.Millisecond)
				held := shared.Keys()["x"]
				if test.stamp {
					held = shared.Keys()[remote.StampKeyOf(s.Prefix, "x")]
				}
				if held != nil {
					t.Error("still in the shared tier")
				}
				if n := s.Outbox.Len(); n != len(many)+1 {
					t.Errorf("%d are pending", n)
				}
				b.Cut(false)
				time.Sleep(time.Minute)
				if n := s.Outbox.Len(); n != 0 {
					t.Errorf("%d are pending with a bus", n)
				}
				shared.Down(errDown)
				s.Outbox.Add(many, outbox.KeyTarget, change, errDown)
				s.Outbox.Add([]string{"x"}, test.target, tell, errDown)
				s.Forget()
				time.Sleep(200 * time.Millisecond)
				if n := s.Outbox.Len(); n != len(many) || len(s.Lines("published")) != 1 {
					t.Errorf("%d are pending, published %q", n, s.Lines("published"))
				}
				shared.Down(nil)
			})
		})
	}
}
