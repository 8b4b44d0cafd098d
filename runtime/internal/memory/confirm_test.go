package memory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// stored returns an item that memory and the shared tier have.
func stored(t *testing.T, s *storetest.Store, kind *entry.Kind, key string, tags ...string) *entry.Item {
	t.Helper()
	if err := s.Invalidate.Set(t.Context(), kind, key, "v", &hour, tags); err != nil {
		t.Fatal(err)
	}
	return find(s, key)
}

// ofAnotherBuild returns the bytes of key k after another build has stored its entry beside
// what was there before.
func ofAnotherBuild(s *storetest.Store, before []byte) []byte {
	kind := s.Kind("")
	kind.Fingerprint++
	packed, _, err := kind.PackBeside(s.Item(kind, "k", "another", hour), before)
	if err != nil {
		panic(err)
	}
	return packed.Value
}

// What the shared tier holds unchanged is confirmed, and nothing else.
func TestAnItemIsConfirmedByWhatTheSharedTierHolds(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *storetest.Store, shared *faketier.Shared)
		want   memory.Verdict
	}{
		"the same":       {func(*storetest.Store, *faketier.Shared) {}, memory.Fresh},
		"nothing":        {func(_ *storetest.Store, shared *faketier.Shared) { shared.Evict("k") }, memory.Unconfirmed},
		"something else": {func(_ *storetest.Store, shared *faketier.Shared) { shared.Put("k", []byte("x")) }, memory.Unconfirmed},
		"what is too short": {func(_ *storetest.Store, shared *faketier.Shared) {
			shared.Put("k", []byte{})
		}, memory.Unconfirmed},
		"the same, but one byte": {func(_ *storetest.Store, shared *faketier.Shared) {
			b := shared.Keys()["k"]
			shared.Put("k", append(b, 0))
		}, memory.Unconfirmed},
		"the same, expired": {func(s *storetest.Store, _ *faketier.Shared) {
			_ = s.Remote.Expire(context.Background(), []string{"k"})
		}, memory.Unconfirmed},
		"the same beside that of another build": {func(s *storetest.Store, shared *faketier.Shared) {
			shared.Put("k", ofAnotherBuild(s, shared.Keys()["k"]))
		}, memory.Fresh},
		"that of another build alone": {func(s *storetest.Store, shared *faketier.Shared) {
			shared.Put("k", ofAnotherBuild(s, nil))
		}, memory.Unconfirmed},
		"another stamp": {func(_ *storetest.Store, shared *faketier.Shared) {
			shared.Put("!s:t:x", []byte("another"))
		}, memory.Invalid},
		"no answer": {func(_ *storetest.Store, shared *faketier.Shared) { shared.Down(errDown) }, memory.Unconfirmed},
		"what is to be deleted": {func(s *storetest.Store, _ *faketier.Shared) {
			s.Remote.Pending.Add(pending.Item{Target: pending.Target{Kind: pending.Key, Name: "k"}, Remote: true})
		}, memory.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
			it := stored(t, s, s.Kind(""), "k", "x")
			s.Memory.Unconfirm()
			test.change(s, &shared)
			if got := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it, nil})[0]; got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
			shared.Down(nil)
		})
	}
}

// What is missed while the answer is on its way is not confirmed by it.
func TestAGapWhileAnItemIsConfirmedLeavesItUnconfirmed(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	it := stored(t, s, s.Kind(""), "k")
	s.Memory.Unconfirm()
	var once sync.Once
	shared.SetAfter(func(string, []string) { once.Do(s.Memory.Unconfirm) })
	if got := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; got >= memory.Stale {
		t.Error(got)
	}
	if got := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; got != memory.Fresh {
		t.Error(got)
	}
}

// While the bus is disconnected, an item is asked about once in the time that stamps are
// trusted, and not loaded.
func TestWhileTheBusIsDisconnectedItemsAreConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b})
		it := stored(t, s, s.Kind(""), "k")
		b.Cut(true)
		reads := shared.Calls("get")
		for range 100 {
			if got := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; got != memory.Fresh {
				t.Fatal(got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := shared.Calls("get") - reads; n > 20 { // of stamps, too
			t.Error(n, "reads")
		}
		b.Cut(false)
	})
}

// A round is one round trip: it does not grow without bound, and a large one does not keep
// who asks for one item waiting.
func TestARoundIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		var items []*entry.Item
		for i := range 2000 {
			items = append(items, stored(t, s, kind, fmt.Sprint("k", i), fmt.Sprint("tag", i)))
		}
		s.Memory.Unconfirm()
		var mu sync.Mutex
		var largest, atOnce, running int
		shared.SetBefore(func(_ context.Context, _ string, keys []string) error {
			mu.Lock()
			running++
			atOnce, largest = max(atOnce, running), max(largest, len(keys))
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			running--
			return nil
		})
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for _, v := range s.Memory.ConfirmAll(t.Context(), items[20*i:20*i+20]) {
					if v != memory.Fresh {
						t.Error(v)
					}
				}
			})
		}
		all.Wait()
		if largest > 512 || atOnce > 4 {
			t.Errorf("%d records in a round trip, %d round trips at once", largest, atOnce)
		}
	})
}

// Who does not wait any more leaves the others their answer.
func TestWhoGivesUpLeavesTheRoundToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		it := stored(t, s, s.Kind(""), "k")
		s.Memory.Unconfirm()
		shared.SetBefore(func(context.Context, string, []string) error { time.Sleep(10 * time.Millisecond); return nil })
		gone, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var all sync.WaitGroup
		all.Go(func() { s.Memory.ConfirmAll(gone, []*entry.Item{it}) })
		time.Sleep(time.Microsecond)
		if v := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; v != memory.Fresh {
			t.Error(v)
		}
		all.Wait()
	})
}

// A driver that hangs, or panics, holds nobody for longer than one operation.
func TestADriverThatFailsInARoundHoldsNobody(t *testing.T) {
	for name, before := range map[string]func(ctx context.Context) error{
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"panics": func(context.Context) error { panic("driver") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
				it := stored(t, s, s.Kind(""), "k")
				s.Memory.Unconfirm()
				shared.SetBefore(func(ctx context.Context, _ string, _ []string) error { return before(ctx) })
				began := time.Now()
				func() {
					defer func() { _ = recover() }()
					if v := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; v >= memory.Stale {
						t.Error(v)
					}
				}()
				if took := time.Since(began); took > 2*time.Second {
					t.Error(took)
				}
				shared.SetBefore(nil)
				time.Sleep(time.Minute)
				if v := s.Memory.ConfirmAll(t.Context(), []*entry.Item{it})[0]; v != memory.Fresh {
					t.Error(v)
				}
			})
		})
	}
}

// An item that has been replaced meanwhile may be asked for together with the new one.
func TestTwoItemsOfOneKeyInARound(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	before := stored(t, s, kind, "k")
	now := stored(t, s, kind, "k", "x")
	s.Memory.Unconfirm()
	got := s.Memory.ConfirmAll(t.Context(), []*entry.Item{before, now})
	if got[0] != memory.Unconfirmed || got[1] != memory.Fresh {
		t.Error(got)
	}
}

// What may have been changed is no younger than what was just read.
func TestAnUnconfirmedItemSupersedesNoOtherEntry(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	older := stored(t, s, kind, "k")
	time.Sleep(time.Microsecond)
	younger := stored(t, s, kind, "k")
	if !s.Memory.Supersedes(younger, older) {
		t.Fatal("the younger one does not")
	}
	s.Memory.Unconfirm()
	s.Remote.RefreshStamps(t.Context(), time.Second, kind.Required)
	older.Confirm(s.Stamps.Generation(), 0)
	if s.Memory.Supersedes(younger, older) {
		t.Error("though it may have been deleted")
	}
}
