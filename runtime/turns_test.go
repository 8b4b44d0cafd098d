package runtime_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func openTeam(t *testing.T, shared *faketier.Shared, bus *faketier.Bus) (*runtime.Store, *runtime.Cache[int, int]) {
	o := []runtime.StoreOption{memoryTier(), runtime.L2(shared), runtime.TTL(time.Hour)}
	if bus != nil {
		o = append(o, runtime.Bus(bus))
	}
	s := newStore(t, o...)
	stores, _ := runtime.NewStores(s)
	c, err := open(stores, definition[int, int]{Name: "n", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"team"} }})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// race R2: another load of this process learns the tag first, after the deletion.
func TestATagFirstUsedDuringALoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		_, c1 := openTeam(t, &shared, nil)
		s2, c2 := openTeam(t, &shared, nil)
		go c1.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
		synctest.Wait()                                             // has read row 1
		if err := s2.DeleteByTag(t.Context(), "team"); err != nil { // row is 2
			t.Fatal(err)
		}
		c1.GetOrSet(t.Context(), 8, func(context.Context) (int, error) { return 2, nil }) // begins after; learns team
		time.Sleep(20 * time.Second)
		got, err := c2.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// race R2: the same with a bus whose message is a moment late.
func TestATagFirstUsedDuringALoadWithALateMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		_, c1 := openTeam(t, &shared, &bus)
		s2, c2 := openTeam(t, &shared, &bus)
		var late []byte
		bus.Hold = func(m []byte) bool { late = m; return true }
		release := make(chan struct{})
		go c1.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { <-release; return 1, nil })
		synctest.Wait()
		s2.DeleteByTag(t.Context(), "team")
		c1.GetOrSet(t.Context(), 8, func(context.Context) (int, error) { return 2, nil })
		close(release)
		synctest.Wait()
		bus.Hold = nil
		bus.Publish(t.Context(), "cachegen:!bus", late)
		time.Sleep(20 * time.Second)
		got, err := c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
		got, err = c2.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// The tag is absent in L2; the deletion comes between the read and the add.
func TestATagDeletedWhileItsStampIsMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		_, c1 := openTeam(t, &shared, nil)
		s2, c2 := openTeam(t, &shared, nil)
		var armed atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "add" && keys[0] == "!s:t:team" && armed.CompareAndSwap(true, false) {
				s2.DeleteByTag(context.Background(), "team")
			}
			return nil
		})
		armed.Store(true)
		got, err := c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		want(t, got, err, 1)
		if armed.Load() {
			t.Fatal("no add")
		}
		time.Sleep(20 * time.Second)
		got, err = c2.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// Every operation keeps to the limit, yet the queue is longer than two limits: the deletion
// does not wait for its turn, and is made all the same.
func TestADeleteBehindSeveralSlowWrites(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation")...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L2Timeout(time.Second)))
		c.Set(t.Context(), 7, 0)
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "set" && keys[0] == adHocKeys+"7" {
				time.Sleep(900 * time.Millisecond)
			}
			return nil
		})
		for range 4 {
			go c.Set(context.Background(), 7, 1)
		}
		synctest.Wait()
		wantQueued(t, c.Delete(t.Context(), 7))
		time.Sleep(10 * time.Second)
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// wantQueued fails if err is not that of an invalidation that is left for later.
func wantQueued(t *testing.T, err error) {
	t.Helper()
	var failed *runtime.InvalidationError
	if !errors.As(err, &failed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want an InvalidationError", err)
	}
}

// One fill and one expire are enough.
func TestADeleteBehindAFillAndAnExpire(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation")...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L2Timeout(time.Second), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		c.Set(t.Context(), 7, 0)
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if keys[0] == adHocKeys+"7" && op != "delete" {
				time.Sleep(900 * time.Millisecond)
			}
			return nil
		})
		go c.Set(context.Background(), 7, 1)
		synctest.Wait()
		go c.Expire(context.Background(), 7)
		synctest.Wait()
		wantQueued(t, c.Delete(t.Context(), 7))
		time.Sleep(10 * time.Second)
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 2, nil })
		want(t, got, err, 2)
	})
}

// A driver that panics in a pull does not keep the next one waiting.
func TestAPanicInAPullHoldsUpNobody(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var armed atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if armed.CompareAndSwap(true, false) {
				panic("driver")
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		c.Set(t.Context(), 7, 1)
		armed.Store(true)
		func() { defer func() { recover() }(); c.Pull(t.Context(), 7) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, _, err := c.Pull(ctx, 7)
		want(t, got, err, 1)
	})
}

// The grace value ends while its caller waits for a load that was given up.
func TestStandingByOutlivesTheGrace(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.MaxBackground(0), runtime.TTL(time.Second), runtime.Grace(3*time.Second), runtime.Timeout(time.Second)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Second)
		stubborn := func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 0, errSource }
		got, err := c.GetOrSet(t.Context(), 7, stubborn) // t=3: served, the load is cancelled and goes on
		want(t, got, err, 1)
		time.Sleep(500 * time.Millisecond)
		got, err = c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil }) // grace ends at 4
		want(t, got, err, 2)
	})
}

// The hard timeout asks the shared tier in a goroutine of its own, where nobody else
// catches a driver's panic.
func TestADriversPanicAtTheHardTimeout(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var armed atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if armed.Load() {
				panic("driver")
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.Timeout(10*time.Second), runtime.HardTimeout(20*time.Second)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Second)
		c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
			time.Sleep(15 * time.Second)
			armed.Store(true)
			time.Sleep(10 * time.Second)
			armed.Store(false)
			return 2, nil
		})
		time.Sleep(30 * time.Second)
	})
}
