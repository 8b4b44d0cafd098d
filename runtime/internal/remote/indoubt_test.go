package remote_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// race R45: a write without a clear outcome stays in doubt.
func TestAWriteThatMayStillTakeEffectIsInDoubtForTwiceTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, Prefix: "app"})
		set(t, s.Remote, "app:kept", "v")
		shared.Down(errDown)
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "app:k"}, {Key: "app:!s:s"}})
		now := time.Now()
		if got := s.Remote.InDoubtUntil("app:k"); got != now.Add(2*time.Second).UnixNano() {
			t.Errorf("until %v", time.Unix(0, got).Sub(now))
		}
		for _, key := range []string{"app:kept", "app:!s:s", "app:never"} { // of a stamp, any that differs will do
			if got := s.Remote.InDoubtUntil(key); got != 0 {
				t.Errorf("%s is in doubt", key)
			}
		}
		time.Sleep(2*time.Second - 1)
		if s.Remote.InDoubtUntil("app:k") == 0 {
			t.Error("no longer in doubt, too early")
		}
		time.Sleep(time.Nanosecond)
		if s.Remote.InDoubtUntil("app:k") != 0 {
			t.Error("still in doubt")
		}
		shared.Down(nil)
	})
}

func TestWhatNobodyHasTakenIsNotInDoubt(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, errDown: true, context.DeadlineExceeded: true, context.Canceled: true,
		drivers.ErrRefused: false, remote.ErrCircuitOpen: false, fmt.Errorf("write: %w", drivers.ErrRefused): false, fmt.Errorf("write: %w", remote.ErrCircuitOpen): false,
	} {
		if remote.MayTakeEffect(err) != want {
			t.Errorf("%v: not %v", err, want)
		}
	}
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k", TTL: -1}}) // refused
	if s.Remote.InDoubtUntil("k") != 0 {
		t.Error("in doubt although it was refused")
	}
	shared.Down(errDown)
	for range 3 {
		_ = s.Remote.Delete(t.Context(), []string{"k"})
	}
	if err := s.Remote.Fill(t.Context(), []drivers.Item{{Key: "k"}}); !errors.Is(err, remote.ErrCircuitOpen) || s.Remote.InDoubtUntil("k") != 0 {
		t.Error("in doubt although the breaker was open:", err)
	}
	shared.Down(nil)
}

// What is remembered is bounded: beyond that every key is taken for one in doubt, and
// none is forgotten.
func TestWithTooManyWritesInDoubtEveryKeyIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		s.Remote.SetBreakFor(0)
		shared.Down(errDown)
		fail := func(prefix string, n int) {
			items := make([]drivers.Item, n)
			for i := range items {
				items[i].Key = fmt.Sprintf("%s%d", prefix, i)
			}
			for some := range slices.Chunk(items, 500) { // one that is not tried is not in doubt
				_ = s.Remote.Set(t.Context(), some)
			}
		}
		fail("a", 6000)
		time.Sleep(time.Second)
		fail("b", 6000)
		for _, key := range []string{"a0", "a5999", "b0", "b5999", "never"} {
			if got := s.Remote.InDoubtUntil(key); got != time.Now().Add(2*time.Second).UnixNano() {
				t.Errorf("%s: until %v", key, time.Duration(got-time.Now().UnixNano()))
			}
		}
		time.Sleep(time.Second) // the first are over, which makes room
		fail("c", 6000)
		if s.Remote.InDoubtUntil("c0") == 0 || s.Remote.InDoubtUntil("a0") == 0 {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if s.Remote.InDoubtUntil("a0") != 0 || s.Remote.InDoubtUntil("never") != 0 || s.Remote.InDoubtUntil("c0") == 0 {
			t.Error("the time of the rest did not end by itself")
		}
		time.Sleep(time.Second)
		if s.Remote.InDoubtUntil("c0") != 0 {
			t.Error("for ever in doubt")
		}
		shared.Down(nil)
	})
}
