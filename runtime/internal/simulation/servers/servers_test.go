package servers

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	_ "github.com/cachegen/cachegen/runtime/internal/simulation/seeds" // flags
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

const minute = time.Minute

func TestALeaseEndsWithEveryChangeOfItsKey(t *testing.T) {
	item := drivers.Item{Key: "k", Value: []byte("v")}
	for name, change := range map[string]func(*Tier){
		"set":    func(tier *Tier) { tier.Set(item) },
		"remove": func(tier *Tier) { tier.Remove("k") },
		"add":    func(tier *Tier) { tier.Add(item) },
		"swap":   func(tier *Tier) { tier.Swap(drivers.Swap{Key: "k", New: []byte("v")}) },
		"fill":   func(tier *Tier) { tier.Fill(item, "a") },
		"release": func(tier *Tier) {
			if tier.Release("k", "other"); !tier.holds("k", "a") {
				t.Error("another token has ended it")
			}
			tier.Release("k", "a")
		},
		"time": func(*Tier) { time.Sleep(minute) },
	} {
		synctest.Test(t, func(*testing.T) {
			tier := NewTier(TierFaults{})
			if !tier.Lease("k", drivers.LeaseRequest{Token: "a", TTL: minute}).Taken || tier.Lease("k", drivers.LeaseRequest{Token: "b", TTL: minute}).Taken {
				t.Fatal("it is not taken once")
			}
			if change(tier); tier.Fill(item, "a").Stored {
				t.Errorf("after %s the lease is still there", name)
			}
		})
	}
}

func TestEachFaultOfTheTierIsOne(t *testing.T) {
	lease := drivers.LeaseRequest{Token: "a", TTL: minute}
	item := drivers.Item{Key: "k", Value: []byte("v")}
	for name, test := range map[string]struct {
		faults TierFaults
		wrong  func(*Tier) bool
	}{
		"KeepsLeases": {TierFaults{KeepsLeases: true}, func(tier *Tier) bool {
			tier.Lease("k", lease)
			tier.Remove("k")
			return tier.Fill(item, "a").Stored
		}},
		"FillsAlways": {TierFaults{FillsAlways: true}, func(tier *Tier) bool {
			tier.Lease("k", lease)
			return tier.Fill(item, "b").Stored
		}},
		"FillsFree": {TierFaults{FillsFree: true}, func(tier *Tier) bool { return tier.Fill(item, "b").Stored }},
		"KeepsCounters": {TierFaults{KeepsCounters: true}, func(tier *Tier) bool {
			tier.Keep()
			tier.Set(drivers.Item{Key: "!h:1", Value: []byte("v")})
			tier.GoBack()
			return tier.Get("!h:1") != nil
		}},
	} {
		if synctest.Test(t, func(t *testing.T) {
			if !test.wrong(NewTier(test.faults)) || test.wrong(NewTier(TierFaults{})) {
				t.Errorf("%s makes no difference", name)
			}
		}); t.Failed() {
			return
		}
	}
}

func TestATierGoesBack(t *testing.T) {
	tier := NewTier(TierFaults{})
	tier.Set(drivers.Item{Key: "before", Value: []byte("v")})
	tier.Keep()
	tier.Remove("before")
	tier.Set(drivers.Item{Key: "after", Value: []byte("v")})
	if tier.GoBack(); tier.Get("before") == nil || tier.Get("after") != nil || tier.History != 1 {
		t.Errorf("%q, history %d", tier.Keys(), tier.History)
	}
}

func TestAClockThatIsAheadFindsEverythingLate(t *testing.T) {
	record := stamp.Record{Value: stamp.Value{Delete: 1, Expire: 2}, Until: 1000}
	header := entry.Header{FreshUntil: 10, StaleUntil: clock.Never, LoadStarted: 5}
	for key, value := range map[string][]byte{"!s:t": record.Bytes(), "@rows:1": entry.Append(nil, &header, []byte{1})} {
		shifted := Shift(key, value, time.Hour)
		if bytes.Equal(shifted, value) || !bytes.Equal(Shift(key, shifted, -time.Hour), value) {
			t.Errorf("%s: %x, %x", key, shifted, value)
		}
	}
	h, _, err := entry.Parse(Shift("@rows:1", entry.Append(nil, &header, []byte{1}), time.Hour))
	if err != nil || h.FreshUntil != 10+int64(time.Hour) || h.StaleUntil != clock.Never || h.LoadStarted != 5+int64(time.Hour) {
		t.Errorf("%+v, %v", h, err)
	}
	if foreign := []byte("foreign"); !bytes.Equal(Shift("@rows:1", foreign, time.Hour), foreign) {
		t.Error("foreign bytes are changed")
	}
}

func TestStampsAreTimesOnlyWhereTheyAreNew(t *testing.T) {
	old, changed := stamp.Record{Value: stamp.Value{Delete: 1, Expire: 2}}, stamp.Record{Value: stamp.Value{Delete: 1, Expire: 3}}
	r, _ := stamp.Parse(Timed("!s:t", changed.Bytes(), old.Bytes()))
	if r.Delete != 1 || r.Expire == 3 {
		t.Errorf("%+v", r)
	}
}

func TestMessagesAreRenumberedForEachReceiver(t *testing.T) {
	var n Numbers
	for i, m := range []bus.Message{
		{Origin: 1, Number: 5, Last: 4, Changes: []bus.Change{{Kind: bus.Drop, Names: []string{"k"}}}},
		{Origin: 1, Number: 9, Last: 8, Changes: []bus.Change{{Kind: bus.Drop, Names: []string{"k"}}}},
		{Origin: 1, Number: 9, Last: 9},
	} {
		got, err := bus.Parse(n.Renumber(bus.Append(nil, &m)))
		want := [][2]uint64{{1, 0}, {2, 1}, {2, 2}}[i]
		if err != nil || got.Number != want[0] || got.Last != want[1] || len(got.Changes) != len(m.Changes) {
			t.Errorf("message %d: %+v, %v", i, got, err)
		}
	}
}
