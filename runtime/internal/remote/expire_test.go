package remote_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// withAndWithoutSwap runs a test over a tier that can compare and swap, and over one that
// cannot.
func withAndWithoutSwap(t *testing.T, f func(t *testing.T, shared *faketier.Shared, driver drivers.L2)) {
	for name, tier := range map[string]func(*faketier.Shared) drivers.L2{
		"with swap":    func(shared *faketier.Shared) drivers.L2 { return shared },
		"without swap": func(shared *faketier.Shared) drivers.L2 { return basic{shared} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				f(t, &shared, tier(&shared))
			})
		})
	}
}

// stored returns the header of what the tier holds under key, or nil.
func stored(shared *faketier.Shared, key string) *entry.Header {
	h, _, err := entry.Parse(shared.Keys()[key])
	if err != nil {
		return nil
	}
	return &h
}

// race R33: an expired value stays in the shared tier for its grace, marked as expired.
func TestAnExpiredEntryKeepsItsGraceAndEveryOtherIsDeleted(t *testing.T) {
	withAndWithoutSwap(t, func(t *testing.T, shared *faketier.Shared, driver drivers.L2) {
		s := storetest.New(t, store.Config{L2: driver})
		kind, noGrace := s.Kind(""), policy.Policy{TTL: time.Hour}
		for _, key := range []string{"grace", "pending", "other"} {
			write(t, s, s.Item(kind, key, "v", hour), kind)
		}
		write(t, s, s.Item(kind, "none", "v", noGrace), kind)
		shared.Put("foreign", []byte("foreign"))
		pend(s, outbox.KeyTarget, "pending")
		time.Sleep(time.Minute)
		now := time.Now().UnixNano()
		if err := s.Remote.Expire(t.Context(), []string{"grace", "pending", "none", "foreign", "absent"}); err != nil {
			t.Fatal(err)
		}
		h := stored(shared, "grace")
		if h == nil || h.FreshUntil != now || h.StaleUntil != now+int64(time.Hour) || h.Flags&entry.FlagExpired == 0 {
			t.Errorf("%+v", h)
		}
		if keys := shared.Keys(); len(keys) != 2 {
			t.Errorf("%d are left", len(keys))
		}
		if h := stored(shared, "other"); h == nil || h.Flags != 0 {
			t.Errorf("another was expired: %+v", h)
		}
		time.Sleep(time.Hour)
		if values, err := s.Remote.Read(t.Context(), time.Second, []string{"grace"}, nil); err != nil || values[0] != nil {
			t.Error("it is kept beyond its grace", err)
		}
	})
}

// What another process stores meanwhile is younger than what was to be expired.
func TestAnExpireDoesNotOverwriteWhatAnotherProcessStoresMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		kind := s.Kind("")
		write(t, s, s.Item(kind, "k", "old", hour), kind)
		changes := 1
		shared.SetAfter(func(op string, _ []string) {
			if op == "get" && changes > 0 {
				changes--
				time.Sleep(time.Minute)
				packed, _ := kind.Pack(s.Item(kind, "k", "new", hour))
				shared.Put("k", packed.Value)
			}
		})
		if err := s.Remote.Expire(t.Context(), []string{"k"}); err != nil {
			t.Fatal(err)
		}
		_, value, _ := entry.Parse(shared.Keys()["k"])
		if h := stored(&shared, "k"); string(value) != "new" || h.Flags&entry.FlagExpired == 0 {
			t.Errorf("%q, %+v: the old one came back, or nothing was expired", value, h)
		}
		changes = 100 // and one that changes all the time is deleted in the end
		if err := s.Remote.Expire(t.Context(), []string{"k"}); err != nil || stored(&shared, "k") != nil {
			t.Error(err, stored(&shared, "k"))
		}
	})
}

func TestWhatCannotBeExpiredIsDeletedAndTheErrorIsTold(t *testing.T) {
	withAndWithoutSwap(t, func(t *testing.T, shared *faketier.Shared, driver drivers.L2) {
		s := storetest.New(t, store.Config{L2: driver})
		kind := s.Kind("")
		for _, broken := range []string{"get", "set swap"} {
			write(t, s, s.Item(kind, "k", "v", hour), kind)
			shared.SetBefore(func(_ context.Context, op string, _ []string) error {
				if op == broken || broken != "get" && (op == "set" || op == "swap") {
					return errDown
				}
				return nil
			})
			if err := s.Remote.Expire(t.Context(), []string{"k"}); !errors.Is(err, errDown) {
				t.Errorf("%s: %v", broken, err)
			}
			if stored(shared, "k") != nil {
				t.Errorf("%s: it is still there", broken)
			}
			shared.SetBefore(nil)
		}
	})
}

// A tier that refuses the expired entry holds nothing under the key: nothing has failed.
func TestAnExpiredEntryThatIsRefusedIsDeletedWithoutAnError(t *testing.T) {
	withAndWithoutSwap(t, func(t *testing.T, shared *faketier.Shared, driver drivers.L2) {
		s := storetest.New(t, store.Config{L2: driver})
		kind := s.Kind("")
		write(t, s, s.Item(kind, "k", "v", hour), kind)
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "set" || op == "swap" {
				return drivers.ErrRefused
			}
			return nil
		})
		if err := s.Remote.Expire(t.Context(), []string{"k"}); err != nil || stored(shared, "k") != nil || !s.Told("warn", "refused") {
			t.Error(err, s.Lines("warn"))
		}
	})
}

func TestAnExpireThatCannotDeleteTellsSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		pend(s, outbox.KeyTarget, "k")
		shared.Down(errDown)
		if err := s.Remote.Expire(t.Context(), []string{"k"}); !errors.Is(err, errDown) {
			t.Error(err)
		}
		shared.Down(nil)
	})
}

func TestCompareAndDeleteTakesOnlyWhatWasSeen(t *testing.T) {
	withAndWithoutSwap(t, func(t *testing.T, shared *faketier.Shared, driver drivers.L2) {
		s := storetest.New(t, store.Config{L2: driver})
		take := func(key, value string) bool {
			deleted, err := s.Remote.CompareAndDelete(t.Context(), key, []byte(value))
			if err != nil {
				t.Error(err)
			}
			return deleted
		}
		set(t, s.Remote, "k", "new")
		if take("k", "old") || take("absent", "old") || len(shared.Keys()) != 1 {
			t.Error("something else was taken")
		}
		if !take("k", "new") || take("k", "new") || len(shared.Keys()) != 0 {
			t.Error("not taken once")
		}
		set(t, s.Remote, "k", "v")
		pend(s, outbox.KeyTarget, "k")
		if take("k", "v") || shared.Keys()["k"] == nil {
			t.Error("an entry was taken that is to go")
		}
		shared.Down(errDown)
		if deleted, err := s.Remote.CompareAndDelete(t.Context(), "other", nil); deleted || !errors.Is(err, errDown) {
			t.Error(deleted, err)
		}
		shared.Down(nil)
	})
}

func TestEnsureAbsentRemovesWhatIsToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		absent := func(key string) bool {
			absent, err := s.Remote.EnsureAbsent(t.Context(), key)
			if err != nil {
				t.Error(err)
			}
			return absent
		}
		set(t, s.Remote, "k", "v")
		if absent("k") || !absent("other") || shared.Keys()["k"] == nil {
			t.Error("what is there is not absent, and stays")
		}
		pend(s, outbox.KeyTarget, "k")
		if !absent("k") || shared.Keys()["k"] != nil {
			t.Error("what was to go is still there")
		}
		shared.Down(errDown)
		for _, key := range []string{"k", "other"} {
			if absent, err := s.Remote.EnsureAbsent(t.Context(), key); absent || !errors.Is(err, errDown) {
				t.Error(key, absent, err)
			}
		}
		shared.Down(nil)
	})
}
