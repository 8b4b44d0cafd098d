package entry

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

func TestAnItemIsGoodAtItsEpochUntilItsTimeLessTheClocksLag(t *testing.T) {
	var it Item
	until := int64(time.Hour)
	it.SetGood(5, until)
	if !it.Good(5, until-int64(clock.Lag)-1) || it.Good(5, until-int64(clock.Lag)) || it.Good(6, 0) || it.Good(4, 0) {
		t.Error("not good exactly until then, at that epoch")
	}
	it.SetGood(4, 2*until) // who found it good before the stamps changed comes late
	if it.Good(4, 0) || !it.Good(5, 0) || it.Good(5, until) {
		t.Error("the older epoch has won")
	}
}

// Nobody sees the time of one epoch with the number of another.
func TestAnItemThatManyFindGoodIsNeverGoodForLongerThanAnyFoundIt(t *testing.T) {
	var it Item
	var wg sync.WaitGroup
	for i := range uint64(4) {
		wg.Go(func() {
			for n := range uint64(1000) {
				epoch := 4*n + i + 1
				it.SetGood(epoch, int64(epoch)*int64(time.Hour))
			}
		})
	}
	wg.Go(func() {
		for range 4000 {
			if epoch := it.epoch.Load(); it.Good(epoch, int64(4001)*int64(time.Hour)) {
				t.Error("good beyond every time that was given")
			}
		}
	})
	wg.Wait()
	if !it.Good(4000, int64(3999)*int64(time.Hour)) {
		t.Error("the last epoch is not the one that holds")
	}
}

func TestAnItemOfAnIntegerKeyIsFoundByItsParts(t *testing.T) {
	for key, want := range map[string]bool{"user:7": true, "user:07": false, "user:8": false, "x:user:7": false, "7": false} {
		it := &Item{Key: key}
		it.splitKey()
		if it.IsInt("user:", 7) != want {
			t.Errorf("%s: not %v", key, want)
		}
	}
	if new(Item).IsInt("", 0) {
		t.Error("a key without an integer is the integer zero")
	}
}

func TestAFailedLoaderIsNotCalledDuringItsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := clock.Now()
		it := &Item{RefreshAt: now, FreshUntil: now + int64(time.Minute)}
		if !it.Due(now) || it.BackingOff(now) {
			t.Fatal("not due")
		}
		it.BackOff(10 * time.Second)
		// race R9: it counts from the failure, not from the end of the TTL.
		for at, backing := range map[time.Duration]bool{0: true, 10*time.Second - 1: true, 10 * time.Second: false} {
			at := now + int64(at)
			if it.BackingOff(at) != backing || it.Due(at) == backing {
				t.Errorf("after %v: %v, %v", time.Duration(at-now), it.BackingOff(at), it.Due(at))
			}
		}
		if it.Due(it.FreshUntil) {
			t.Error("due although it is over")
		}
		it.Expired = true
		if it.Due(now + int64(20*time.Second)) {
			t.Error("due although a user has expired it")
		}
	})
}

func TestAnExpiredCopyKeepsTheGraceAndLeavesTheItemAsItIs(t *testing.T) {
	table := stamp.NewTable(anyNumber)
	refs := []StampRef{{table.Cell("s"), stamp.Value{Delete: 1, Expire: 2}}}
	it := &Item{
		Key: "user:7", Value: "v", FreshUntil: 100, StaleUntil: 150, Grace: 50, LoadStarted: 1, ObtainedAt: 2, RecheckAt: 60, RefreshAt: 70,
		FlightID: 3, FromRemote: true, LocalOnly: true, Presence: Absent, Stamps: refs, Size: 9,
	}
	it.splitKey()
	it.SetGood(1, clock.Never)
	c := it.ExpiredCopy(10)
	if c == nil || !c.Expired || c.FreshUntil != 10 || c.StaleUntil != 60 || c.RefreshAt != clock.Never || c.Good(1, 0) {
		t.Fatalf("%+v", c)
	}
	if it.Expired || it.FreshUntil != 100 || !it.Good(1, 0) {
		t.Errorf("the item has changed: %+v", it)
	}
	if c.Key != it.Key || !c.IsInt("user:", 7) || c.Value != "v" || c.Grace != 50 || c.LoadStarted != 1 || c.ObtainedAt != 2 || c.RecheckAt != 60 ||
		!c.FromRemote || !c.LocalOnly || c.Presence != Absent || c.Size != 9 || len(c.Stamps) != 1 || !c.HasGrace() {
		t.Errorf("it lacks something: %+v", c)
	}
	if c := (&Item{FreshUntil: 100, StaleUntil: 100}).ExpiredCopy(10); c != nil {
		t.Errorf("without a grace: %+v", c)
	}
	if c := it.ExpiredCopy(150); c != nil {
		t.Errorf("when the grace is over: %+v", c)
	}
}

func TestALifetimeIsZeroOnlyForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if Lifetime(clock.Now(), clock.Never) != 0 {
			t.Error("for ever is not zero")
		}
		if got := Lifetime(clock.Now(), clock.Now()+5); got != 5 {
			t.Error(got)
		}
		for _, until := range []int64{clock.Now(), clock.Now() - 5, 0} { // zero would keep it for ever
			if got := Lifetime(clock.Now(), until); got <= 0 {
				t.Errorf("until %d: %v", until, got)
			}
		}
	})
}

func TestWithAnL1TTLAloneTheItemIsFreshForThatLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.Policy{TTL: time.Hour, L1TTL: time.Minute, Grace: time.Second}
		now := clock.Now()
		alone := newKind(false).New("k", "v", Present, &p, now, nil)
		if alone.FreshUntil != now+int64(time.Minute) || alone.RecheckAt != clock.Never || alone.StaleUntil != alone.FreshUntil+int64(time.Second) {
			t.Errorf("without a shared tier: %+v", alone)
		}
		both := newKind(true).New("k", "v", Present, &p, now, nil)
		if both.FreshUntil != now+int64(time.Hour) || both.RecheckAt != now+int64(time.Minute) {
			t.Errorf("with one: %+v", both)
		}
	})
}

func TestDistinctKeepsTheFirstOfEach(t *testing.T) {
	for _, list := range [][]string{nil, {}, {"a"}, {"a", "b"}, {"b", "a", "b", "a", "c"}} {
		got := Distinct(slices.Clone(list))
		want := slices.Compact(slices.Sorted(slices.Values(list)))
		if !slices.Equal(slices.Sorted(slices.Values(got)), want) || len(list) > 0 && got[0] != list[0] {
			t.Errorf("%q of %q", got, list)
		}
	}
}
