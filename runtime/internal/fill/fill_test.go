package fill_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/fill"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A poison is a flight whose key has been invalidated, or not.
type poison struct{ atomic.Bool }

func (p *poison) Claim() bool    { return !p.Load() }
func (p *poison) Poisoned() bool { return p.Load() }

// A filling is a store and its filler.
type filling struct {
	*storetest.Store
	*fill.Filler
	tier    faketier.Shared
	conn    *faketier.Conn
	leases  *lease.Leases
	holding lease.Holding
	batch   flight.Batch
	flights map[string]*poison
}

// nobody is a load that hears nothing of its keys.
type nobody struct{}

func (nobody) Refreshes() bool                       { return false }
func (nobody) Changed(context.Context, []*lease.Key) {}
func (nobody) Elsewhere(context.Context, *lease.Key) {}
func (nobody) Waited(context.Context, *lease.Key)    {}
func (nobody) Again(*lease.Key)                      {}
func (nobody) Cancelled(_ *lease.Key, _ error)       {}
func (f *filling) hold(t *testing.T, names ...string) { // takes the leases of keys
	t.Helper()
	f.holding.Begin(f.leases, nobody{}, &f.batch, 7)
	var keys []*lease.Key
	for _, name := range names {
		keys = append(keys, &lease.Key{Name: name, Flight: f.flight(name)})
	}
	if got := f.holding.Ask(t.Context(), keys); len(got.Ready) != len(names) || !got.Ready[0].Taken {
		t.Fatal("no leases")
	}
}

func (f *filling) flight(key string) *poison {
	if f.flights[key] == nil {
		f.flights[key] = new(poison)
	}
	return f.flights[key]
}

func (f *filling) change(key, value string) *fill.Change {
	return &fill.Change{Key: key, Hash: f.Memory.Hash(key), Flight: f.flight(key), Item: drivers.Item{Key: key, Value: []byte(value)}}
}

func (f *filling) removal(key string) *fill.Change {
	c := f.change(key, "")
	c.Item, c.Remove = drivers.Item{}, true
	return c
}

func (f *filling) holds(t *testing.T, key, want string) {
	t.Helper()
	if got := string(f.tier.Keys()[key]); got != want {
		t.Errorf("the tier holds %q under %s, want %q", got, key, want)
	}
}

// fillings runs a test of a store whose tier gives leases.
func fillings(t *testing.T, test func(t *testing.T, f *filling)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &filling{flights: make(map[string]*poison)}
		f.conn = &faketier.Conn{Tier: &f.tier}
		f.Store = storetest.New(t, store.Config{L2: f.conn})
		f.Filler = &fill.Filler{Remote: f.Store.Remote, Outbox: f.Store.Outbox, Fence: &f.Memory.Fence, Emit: f.Store.Emit}
		f.leases = lease.New(f.Store.Remote, &f.Memory.Waiters, f.Work, f.Store.Emit, random.ForStore(t.Name()))
		test(t, f)
		f.holding.Close()
		synctest.Wait()
		f.leases.Stop()
	})
}

func TestUnderALeaseOnlyWhatHasNotChangedIsStored(t *testing.T) {
	fillings(t, func(t *testing.T, f *filling) {
		f.hold(t, "kept", "changed", "poisoned", "changing")
		all := []*fill.Change{f.change("kept", "v"), f.change("changed", "v"), f.change("poisoned", "v"), f.change("changing", "v")}
		if err := f.tier.DeleteMany(t.Context(), []string{"changed"}); err != nil { // by another process
			t.Fatal(err)
		}
		f.flight("poisoned").Store(true)
		_, turn := f.Fence.BeginChange([]uint64{f.Memory.Hash("changing")})
		// Nobody waits for a turn, and this waits for nobody's.
		other := f.Fence.BeginFill([]uint64{f.Memory.Hash("kept")}, func(int) bool { return true })
		began := time.Now()
		if !f.UnderLeases(t.Context(), "cache", &f.holding, all) || time.Since(began) != 0 {
			t.Error("not answered at once")
		}
		turn.End()
		other.End()
		f.holds(t, "kept", "v")
		for _, key := range []string{"changed", "poisoned", "changing"} {
			f.holds(t, key, "")
		}
		for i, want := range []struct{ done, may, lost bool }{{true, true, false}, {false, false, true}, {}, {}} {
			if c := all[i]; c.Done != want.done || c.May != want.may || c.Lost != want.lost {
				t.Errorf("%s: %+v", c.Key, c)
			}
		}
		if !f.UnderLeases(t.Context(), "cache", &f.holding, nil) {
			t.Error("nothing is answered")
		}
	})
}

// race R56: what is stored under a lease makes up for what is pending since before, and for nothing
// that came later.
func TestAFillMakesUpForWhatIsPendingSinceBefore(t *testing.T) {
	fillings(t, func(t *testing.T, f *filling) {
		f.hold(t, "before", "after")
		pend := func(key string) {
			f.Outbox.Add([]string{key}, outbox.KeyTarget, pending.Item{Remote: true, Order: uint64(f.Fence.NextOrder())}, errors.New("away"))
		}
		pend("before")
		f.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "fill" {
				pend("after")
			}
			return nil
		})
		f.UnderLeases(t.Context(), "cache", &f.holding, []*fill.Change{f.change("before", "v"), f.change("after", "v")})
		if f.Remote.KeyBlocked("before") || !f.Remote.KeyBlocked("after") {
			t.Error("pending:", f.Remote.KeyBlocked("before"), f.Remote.KeyBlocked("after"))
		}
		time.Sleep(time.Minute)
		f.holds(t, "before", "v")
		f.holds(t, "after", "")
	})
}

func TestWhatIsTooMuchIsStoredAlone(t *testing.T) {
	fillings(t, func(t *testing.T, f *filling) {
		f.hold(t, "a", "b", "c")
		f.conn.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "fill" && (len(keys) > 1 || keys[0] != "c" && f.tier.Calls("fill") == 0) {
				return drivers.ErrRefused
			}
			return nil
		})
		all := []*fill.Change{f.change("a", "a beside"), f.change("b", "b"), f.change("c", "c")}
		all[0].Alone = drivers.Item{Key: "a", Value: []byte("a")}
		if !f.UnderLeases(t.Context(), "cache", &f.holding, all) {
			t.Error("a refusal is an answer")
		}
		f.holds(t, "a", "a")
		f.holds(t, "b", "")
		f.holds(t, "c", "c")
		if all[0].Refused != nil || !all[0].Done || !errors.Is(all[1].Refused, drivers.ErrRefused) || all[1].May || all[2].Refused != nil {
			t.Error(all[0], all[1], all[2])
		}
		if !f.Told("warn", "kept in memory only") {
			t.Error(f.Lines("warn"))
		}
	})
}

// Without an answer, another process may have the value, and the load does not go on with the rest.
func TestATierThatDoesNotAnswer(t *testing.T) {
	away := errors.New("away")
	fillings(t, func(t *testing.T, f *filling) {
		f.hold(t, "a")
		f.conn.SetAfter(func(_ context.Context, op string, _ []string) error { return away })
		under, turned := f.change("a", "v"), f.change("b", "v")
		if f.UnderLeases(t.Context(), "cache", &f.holding, []*fill.Change{under}) || f.InTurn(t.Context(), "cache", []*fill.Change{turned}) {
			t.Error("answered")
		}
		for _, c := range []*fill.Change{under, turned} {
			if c.Done || !c.May || c.Lost || c.Refused != nil {
				t.Errorf("%+v", c)
			}
		}
		f.conn.SetAfter(nil)
	})
}

func TestInTurn(t *testing.T) {
	fillings(t, func(t *testing.T, f *filling) {
		f.tier.Put("gone", []byte("old"))
		f.flight("poisoned").Store(true)
		all := []*fill.Change{f.change("a", "v"), f.change("poisoned", "v"), f.removal("gone")}
		hash := []uint64{f.Memory.Hash("a")}
		before := f.Fence.BeginFill(hash, func(int) bool { return true })
		time.AfterFunc(time.Second/2, before.End)
		began := time.Now()
		if !f.InTurn(t.Context(), "cache", all) || time.Since(began) != time.Second/2 {
			t.Errorf("after %v", time.Since(began))
		}
		f.holds(t, "a", "v")
		f.holds(t, "poisoned", "")
		f.holds(t, "gone", "")
		if !all[0].Done || all[1].Done || all[1].May || !all[2].Done {
			t.Error(all[0], all[1], all[2])
		}
		if !f.InTurn(t.Context(), "cache", []*fill.Change{all[1]}) || f.tier.Calls("set") != 1 {
			t.Error("there is nothing to do")
		}
		// Whose turn does not come in time does not write.
		before = f.Fence.BeginFill(hash, func(int) bool { return true })
		late := f.change("a", "late")
		if f.InTurn(budget.Read(t.Context(), clock.Mono(), time.Second), "cache", []*fill.Change{late}) || late.Done || late.May {
			t.Errorf("%+v", late)
		}
		before.End()
		f.holds(t, "a", "v")
		if !f.Told("warn", "an earlier write of the keys has not ended") {
			t.Error(f.Lines("warn"))
		}
		// One that is refused keeps no other from being written.
		f.conn.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "set" && slices.Contains(keys, "bad") {
				return drivers.ErrRefused
			}
			return nil
		})
		some := []*fill.Change{f.change("bad", "v"), f.change("good", "v")}
		if !f.InTurn(t.Context(), "cache", some) || some[0].Refused == nil || !some[1].Done {
			t.Error(some[0], some[1])
		}
		f.holds(t, "good", "v")
	})
}

// race R44, on a tier without leases: whoever hears that a key was changed while he writes it has it
// deleted once more.
func TestWhatOthersHaveChangedDuringAWriteIsDeletedOnceMore(t *testing.T) {
	fillings(t, func(t *testing.T, f *filling) {
		f.conn.SetAfter(func(_ context.Context, op string, keys []string) error {
			if op == "set" {
				f.flight("changed").Store(true)
			}
			return nil
		})
		f.InTurn(t.Context(), "cache", []*fill.Change{f.change("changed", "old"), f.change("other", "v")})
		if !f.Remote.KeyBlocked("changed") || f.Remote.KeyBlocked("other") {
			t.Error("what was changed is read from the tier")
		}
		time.Sleep(time.Second)
		f.holds(t, "changed", "")
		f.holds(t, "other", "v")
	})
}
