package invalidate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func pull(t *testing.T, s *storetest.Store, kind *entry.Kind, key string) any {
	t.Helper()
	it, err := s.Invalidate.Pull(t.Context(), kind, &hour, key)
	if err != nil {
		t.Error(err)
	}
	if it == nil {
		return nil
	}
	return it.Value
}

func TestOfManyPullsOfOneValueOneGetsIt(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		kind := s.Kind("")
		for range 20 {
			set(t, s, kind, "k", "v")
			var got atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if pull(t, s, kind, "k") == "v" {
						got.Add(1)
					}
				})
			}
			wg.Wait()
			if got.Load() != 1 {
				t.Fatalf("%d got it", got.Load())
			}
			if value, _ := get(t, s, kind, "k"); value != nil {
				t.Error("it is still there")
			}
		}
		if got := s.Lines("deleted"); len(got) != 20 {
			t.Errorf("told %d times", len(got))
		}
	})
}

func TestOfTwoProcessesThatPullOneValueOneGetsIt(t *testing.T) {
	var shared faketier.Shared
	here, there := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared}), storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	set(t, here, here.Kind(""), "k", "v")
	var elsewhere any
	once := false
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "swap" && !once { // here has read it, and there is faster
			once = true
			elsewhere = pull(t, there, there.Kind(""), "k")
		}
		return nil
	})
	if got := pull(t, here, here.Kind(""), "k"); got != nil || elsewhere != "v" {
		t.Errorf("%v here, %v elsewhere", got, elsewhere)
	}
	// Memory here still had it; it must not be served, nor pulled.
	if value, _ := get(t, here, here.Kind(""), "k"); value != nil || pull(t, here, here.Kind(""), "k") != nil {
		t.Errorf("%v is still here", value)
	}
}

// What memory has, and the shared tier does not have any more, somebody may have pulled.
func TestWhatTheSharedTierHasLostIsNotPulledFromMemory(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	set(t, s, kind, "k", "v")
	shared.Evict("k")
	if got := pull(t, s, kind, "k"); got != nil || s.Memory.Find("k", s.Memory.Hash("k")) != nil {
		t.Errorf("%v was pulled, or stays", got)
	}
}

func TestWhatOnlyMemoryHasHadIsPulledFromThere(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	local := policy.Policy{TTL: time.Hour, SkipL2Write: true}
	keep := func() {
		if err := s.Invalidate.Set(t.Context(), kind, "k", "local", &local, nil); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	if got := pull(t, s, kind, "k"); got != "local" || pull(t, s, kind, "k") != nil {
		t.Errorf("%v", got)
	}
	// What lies in the shared tier, and is worth nothing, goes with it.
	keep()
	shared.Put("k", []byte("foreign"))
	if got := pull(t, s, kind, "k"); got != "local" || shared.Keys()["k"] != nil {
		t.Errorf("%v, %q", got, shared.Keys()["k"])
	}
}

func TestAPullTakesFreshValuesAlone(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		kind := s.Kind("")
		kind.Absent = func(v any) bool { return v == "" }
		set(t, s, kind, "stale", "v")
		set(t, s, kind, "none", "")
		if err := s.Invalidate.Expire(t.Context(), []string{"stale"}, invalidate.Mode{}); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"stale", "none", "never"} {
			if got := pull(t, s, kind, key); got != nil || !slices.Contains(s.Lines("miss"), key) {
				t.Errorf("%s: %v", key, got)
			}
		}
		set(t, s, kind, "old", "v")
		time.Sleep(time.Hour)
		if got := pull(t, s, kind, "old"); got != nil {
			t.Errorf("after its TTL: %v", got)
		}
	})
}

// Who may take the value cannot be known, so nobody does.
func TestNobodyPullsWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		shared.Down(errDown)
		if it, err := s.Invalidate.Pull(t.Context(), kind, &hour, "k"); it != nil || !errors.Is(err, errDown) {
			t.Error(it, err)
		}
		p := hour
		p.SuppressL2Errors = true
		if it, err := s.Invalidate.Pull(t.Context(), kind, &p, "k"); it != nil || err != nil || !s.Told("warn", "read") {
			t.Error(it, err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if it, err := s.Invalidate.Pull(gone, kind, &p, "k"); it != nil || !errors.Is(err, context.Canceled) {
			t.Error(it, err)
		}
		shared.Down(nil)
		s.Remote.CloseBreaker()
		if got := pull(t, s, kind, "k"); got != "v" {
			t.Error(got)
		}
	})
}

// A pull whose removal is not certain is given to its caller, and to nobody else after.
func TestAPullThatMayNotHaveRemovedTheValueIsGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "swap" {
				return errDown
			}
			return nil
		})
		it, err := s.Invalidate.Pull(t.Context(), kind, &hour, "k")
		if it == nil || !errors.Is(err, errDown) || !strings.Contains(err.Error(), "pull k") || s.Outbox.Len() != 1 {
			t.Errorf("%v, %v, %d pending", it, err, s.Outbox.Len())
		}
		if got := pull(t, s, kind, "k"); got != nil {
			t.Error("given twice:", got)
		}
		time.Sleep(time.Second)
		if shared.Keys()["k"] != nil || s.Outbox.Len() != 0 {
			t.Error("not removed in the end")
		}
	})
}

// Others may be taking it all the time.
func TestAPullThatIsAlwaysTooLateGivesUp(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	set(t, s, kind, "k", "v")
	swaps := 0
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "swap" {
			swaps++
			packed, _ := kind.Pack(s.Item(kind, "k", "another", hour))
			shared.Put("k", packed.Value)
			time.Sleep(time.Nanosecond)
		}
		return nil
	})
	if got := pull(t, s, kind, "k"); got != nil || swaps != 10 {
		t.Errorf("%v after %d tries", got, swaps)
	}
}

// A driver that panics does not keep the key locked.
func TestAPullThatPanicsLetsTheNextOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		kind.Decode = func([]byte) (any, error) { panic("boom") }
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Invalidate.Pull(t.Context(), kind, &hour, "k")
		}()
		if got := pull(t, s, s.Kind(""), "k"); got != "v" {
			t.Error(got)
		}
	})
}

// While one pulls, who waits and gives up leaves.
func TestAPullThatWaitsEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, L2Timeout: time.Minute})
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		shared.SetBefore(func(context.Context, string, []string) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		go pull(t, s, kind, "k")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := s.Invalidate.Pull(ctx, kind, &hour, "k"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Error(err, time.Since(began))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		shared.SetBefore(nil)
	})
}

// Where the errors of invalidations are logged, those of a pull that has taken nothing are not: it
// would look as if there were no value.
func TestAPullThatTakesNothingReportsItsErrorAlthoughInvalidationsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var fails atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "swap" && fails.Load() {
				return errDown
			}
			return nil
		})
		s := storetest.New(t, store.Config{L2: &shared})
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		log := hour
		log.InvalidationErrors = policy.Log
		shared.Down(errDown)
		if it, err := s.Invalidate.Pull(t.Context(), kind, &log, "k"); it != nil || !errors.Is(err, errDown) {
			t.Error(it, err)
		}
		if s.Told("warn", "not reached everyone") {
			t.Error("logged as an invalidation")
		}
		shared.Down(nil)
		time.Sleep(time.Minute)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if it, err := s.Invalidate.Pull(gone, kind, &log, "k"); it != nil || !errors.Is(err, context.Canceled) {
			t.Error(it, err)
		}
		fails.Store(true)
		if it, err := s.Invalidate.Pull(t.Context(), kind, &log, "k"); it == nil || err != nil || s.Outbox.Len() == 0 {
			t.Error("a value that could not be deleted:", it, err)
		}
		fails.Store(false)
		time.Sleep(time.Minute)
	})
}
