package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

var errDown = errors.New("connection refused")

// A delete that did not reach the shared tier: what lies there must not come back,
// neither while the tier is away nor when it is there again. Race R32.
func TestWhatCouldNotBeDeletedIsNotReadAroundTheQueue(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, change := range changes {
		for _, bus := range []bool{false, true} {
			t.Run(fmt.Sprint(name, bus), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					var wire faketier.Bus
					options := func() []runtime.StoreOption {
						o := []runtime.StoreOption{memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour)}
						if bus {
							o = append(o, runtime.Bus(&wire))
						}
						return o
					}
					var src source
					s := newStore(t, options()...)
					c := newCache[int, int](t, s.Namespace("users"))
					other := newCache[int, int](t, newStore(t, options()...).Namespace("users"))
					src.value.Store(1)
					for _, c := range []*runtime.Cache[int, int]{c, other} {
						if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
							t.Fatal(err)
						}
					}
					src.value.Store(2)
					// Only writes and deletes fail: whoever asks can read the old value.
					var cut atomic.Bool
					cut.Store(true)
					shared.SetBefore(func(_ context.Context, op string, _ []string) error {
						if cut.Load() && op != "get" && op != "add" {
							return errDown
						}
						return nil
					})
					if err := change(t.Context(), s, c); !errors.Is(err, errDown) {
						t.Fatalf("got %v", err)
					}
					for range 5 {
						got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
						want(t, got, err, 2)
						if v, ok, err := c.Get(t.Context(), 7); ok && v != 2 || err != nil {
							t.Fatal(v, ok, err)
						}
						time.Sleep(2 * time.Second)
					}
					cut.Store(false)
					time.Sleep(20 * time.Second) // beyond the longest pause between tries, and the trust in stamps
					synctest.Wait()
					for _, c := range []*runtime.Cache[int, int]{c, other} {
						got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
						if !bus && c == other && (name == "Delete" || name == "Expire") {
							continue // nobody tells it of keys
						}
						want(t, got, err, 2)
					}
				})
			})
		}
	}
}

func TestPendingInvalidationsAreCarriedOutInOrderAndTold(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var most, last, told atomic.Int64
		bus.Hold = func([]byte) bool { told.Add(1); return false }
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus),
			runtime.Hooks(event.Hooks{Pending: func(e event.Pending) {
				most.Store(max(most.Load(), int64(e.Pending)))
				last.Store(int64(e.Pending))
			}}))
		c := newCache[string, int](t, s)
		var deleted []string
		var up atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, keys []string) error { // set before anything runs behind
			if op == "delete" && up.Load() {
				for _, key := range keys {
					deleted = append(deleted, strings.TrimPrefix(key, adHocKeys))
				}
			}
			return nil
		})
		shared.Down(errDown)
		for _, key := range []string{"a", "b", "a", "c"} {
			if err := c.Delete(t.Context(), key); !errors.Is(err, errDown) && !errors.Is(err, runtime.ErrL2CircuitBreakerOpen) {
				t.Fatal(err)
			}
		}
		if got := most.Load(); got != 3 {
			t.Fatalf("%d are pending, want one for each key", got)
		}
		before := told.Load()
		up.Store(true)
		shared.Down(nil)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if want := []string{"b", "a", "c"}; !slices.Equal(deleted, want) {
			t.Errorf("deleted %v, want %v", deleted, want)
		}
		if n := told.Load() - before; n != 1 {
			t.Errorf("%d messages, want one for all", n)
		}
		if last.Load() != 0 {
			t.Errorf("%d are pending in the end", last.Load())
		}
	})
}

// race R29: what a later Set has stored is not deleted by an older Delete that had
// to wait.
func TestAPendingDeleteDoesNotRemoveWhatWasSetSince(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared), runtime.L2CircuitBreakerDuration(0))
		c := newCache[int, int](t, s)
		shared.Down(errDown)
		_ = c.Delete(t.Context(), 7)
		shared.Down(nil)
		if err := c.Set(t.Context(), 7, 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got, ok, err := c.Get(t.Context(), 7)
		if !ok {
			t.Fatal("it is gone")
		}
		want(t, got, err, 2)
	})
}

// An Expire after a Delete that did not get through must not make the deleted value
// a grace value.
func TestAPendingDeleteIsNotWeakenedByAnExpire(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.Grace(time.Hour), runtime.L2CircuitBreakerDuration(0)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		shared.Down(errDown)
		_ = c.Delete(t.Context(), 7)
		shared.Down(nil)
		if err := c.Expire(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := c.Get(t.Context(), 7, runtime.AllowStale()); ok || err != nil {
			t.Fatal(v, ok, err)
		}
		time.Sleep(time.Minute)
		if v, ok, err := c.Get(t.Context(), 7, runtime.AllowStale()); ok || err != nil {
			t.Fatal(v, ok, err)
		}
	})
}

func TestAnExpireThatHadToWaitKeepsTheGrace(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.TTL(time.Hour), runtime.Grace(time.Hour)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		var fail atomic.Bool
		fail.Store(true)
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if fail.Load() && op != "get" {
				return errDown
			}
			return nil
		})
		_ = c.Expire(t.Context(), 7)
		fail.Store(false)
		time.Sleep(time.Minute)
		if _, ok, _ := c.Get(t.Context(), 7); ok {
			t.Fatal("it is fresh still")
		}
		v, ok, err := c.Get(t.Context(), 7, runtime.AllowStale())
		if !ok {
			t.Fatal("the grace value is gone")
		}
		want(t, v, err, 1)
	})
}

func TestCloseCarriesOutWhatIsPending(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s, err := runtime.NewStore("test", runtime.L2(&shared), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		shared.Down(errDown)
		for range 5 { // opens the breaker too
			_ = c.Delete(t.Context(), 7)
		}
		shared.Down(nil)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok := shared.Keys()[adHocKeys+"7"]; ok {
			t.Fatal("it is there still")
		}
	})
}

// race R39: what Close could not save it names.
func TestCloseSaysWhichInvalidationsAreLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s, err := runtime.NewStore("test", runtime.L2(&shared), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		shared.Down(errDown)
		_ = c.Delete(t.Context(), 7)
		_ = s.DeleteByTag(t.Context(), "team:1")
		began := time.Now()
		err = s.Close(context.Background())
		var lost *runtime.InvalidationError
		if !errors.As(err, &lost) || lost.Op != "close" || !slices.Equal(lost.Targets, []string{adHocKeys + "7", "tag team:1"}) || !errors.Is(err, errDown) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("it tried for %v", took)
		}
	})
}

func TestCloseTriesForAsLongAsItsContextAllows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s, err := runtime.NewStore("test", runtime.L2(&shared), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		shared.Down(errDown)
		_ = c.Delete(t.Context(), 7)
		go func() {
			time.Sleep(40 * time.Second)
			shared.Down(nil)
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// Beyond the limit nothing is lost either: the store is cleared instead.
func TestTooManyPendingInvalidationsClearTheStore(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "too many invalidations")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Hour))
		c := newCache[string, int](t, s)
		for _, key := range []string{"first", "bystander"} {
			if err := c.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
		}
		shared.Down(errDown)
		keys := make([]string, 60_000)
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
		}
		_ = c.DeleteMany(t.Context(), append(keys, "first")...)
		for i := range keys {
			keys[i] = fmt.Sprint("another", i)
		}
		_ = c.DeleteMany(t.Context(), keys...)
		shared.Down(nil)
		time.Sleep(time.Minute)
		for _, key := range []string{"first", "bystander"} {
			if v, ok, err := c.Get(t.Context(), key); ok || err != nil {
				t.Errorf("%s: %v, %v, %v", key, v, ok, err)
			}
		}
		if err := c.Set(t.Context(), "first", 2); err != nil {
			t.Fatal(err)
		}
		got, _, err := c.Get(t.Context(), "first")
		want(t, got, err, 2)
	})
}

// The bus is away, the shared tier is not: the change is done, and told later.
func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus lossyBus
				var src source
				s, a := process(t, &shared, &bus, runtime.StampTrust(time.Hour))
				_, b := process(t, &shared, &bus, runtime.StampTrust(time.Hour))
				src.value.Store(1)
				if _, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				src.value.Store(2)
				bus.fail.Store(true)
				if err := change(t.Context(), s, a); !errors.Is(err, errDown) {
					t.Fatalf("got %v", err)
				}
				bus.fail.Store(false)
				time.Sleep(10 * time.Second)
				got, err := b.GetOrSet(t.Context(), 7, src.load, runtime.Tags("team:1"))
				want(t, got, err, 2)
			})
		})
	}
}

// A lossyBus fails to publish at times; those who listen do not notice.
type lossyBus struct {
	faketier.Bus
	fail atomic.Bool
}

func (b *lossyBus) Publish(ctx context.Context, channel string, message []byte) error {
	if b.fail.Load() {
		return errDown
	}
	return b.Bus.Publish(ctx, channel, message)
}

// Nothing waits for the tier while the circuit breaker is open.
func TestTheBreakerLeavesAFailingTierAlone(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var states []string
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.L2CircuitBreakerDuration(10*time.Second), runtime.L2Timeout(time.Second),
			runtime.Hooks(event.Hooks{Breaker: func(e event.BreakerChange) { states = append(states, e.State) }}))
		c := newCache[int, int](t, s)
		hang := true
		var asked int
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if hang {
				asked++
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		load := func(context.Context) (int, error) { return 1, nil }
		began := time.Now()
		for k := range 100 {
			got, err := c.GetOrSet(t.Context(), k, load)
			want(t, got, err, 1)
		}
		if took := time.Since(began); took != 3*time.Second || asked != 3 {
			t.Fatalf("100 reads took %v and asked %d times, want 3 that time out", took, asked)
		}
		time.Sleep(10 * time.Second) // since it was opened
		for k := range 100 {
			got, err := c.GetOrSet(t.Context(), 1000+k, load)
			want(t, got, err, 1)
		}
		if asked != 4 {
			t.Fatalf("asked %d times, want one trial", asked)
		}
		hang = false
		time.Sleep(10 * time.Second)
		if _, err := c.GetOrSet(t.Context(), 5000, load); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(states, []string{"open", "half-open", "open", "half-open", "closed"}) {
			t.Fatal(states)
		}
		if shared.Keys()[adHocKeys+"5000"] == nil {
			t.Fatal("it is not used again")
		}
	})
}

// A caller that gives up says nothing about the tier.
func TestACallersOwnCancellationDoesNotOpenTheBreaker(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		shared.SetBefore(func(ctx context.Context, _ string, _ []string) error { <-ctx.Done(); return ctx.Err() })
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, _, err := c.Get(ctx, 7); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
		shared.SetBefore(nil)
		got, ok, err := c.Get(t.Context(), 7)
		if !ok {
			t.Fatal("the tier is not asked")
		}
		want(t, got, err, 1)
	})
}

func TestSuppressL2Errors(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(&shared), runtime.SuppressL2Errors(false), runtime.L2CircuitBreakerDuration(0))
		c := newCache[int, int](t, s)
		var src source
		shared.Down(errDown)
		var failed *runtime.L2Error
		if _, err := c.GetOrSet(t.Context(), 7, src.load); !errors.As(err, &failed) || failed.Op != "read" || failed.Store != "test" || !errors.Is(err, errDown) {
			t.Fatalf("GetOrSet: %v", err)
		}
		if !strings.HasPrefix(failed.Error(), "shared tier of store test: read") {
			t.Error(failed)
		}
		wantLoads(t, &src, 0)
		if _, _, err := c.Get(t.Context(), 7); !errors.Is(err, errDown) {
			t.Fatalf("Get: %v", err)
		}
		if _, _, err := c.Pull(t.Context(), 7); !errors.Is(err, errDown) {
			t.Fatalf("Pull: %v", err)
		}
		if _, err := c.GetOrSetMany(t.Context(), []int{7, 8}, func(context.Context, []int) (map[int]int, error) { return nil, nil }); !errors.Is(err, errDown) {
			t.Fatalf("GetOrSetMany: %v", err)
		}
		// The call decides.
		if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.SuppressL2Errors(true)); err != nil {
			t.Fatal(err)
		}
		shared.Down(nil)
	})
}

// A reader that does not mind loads for itself what another one's flight failed for.
func TestAnL2ErrorIsNotSharedWithThoseWhoSuppressIt(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.L2CircuitBreakerDuration(0)))
		release := make(chan struct{})
		shared.SetBefore(func(context.Context, string, []string) error { <-release; return errDown })
		var src source
		src.value.Store(1)
		strict := make(chan error, 1)
		go func() {
			_, err := c.GetOrSet(context.Background(), 7, src.load, runtime.SuppressL2Errors(false))
			strict <- err
		}()
		synctest.Wait()
		lenient := make(chan error, 1)
		go func() {
			_, err := c.GetOrSet(context.Background(), 7, src.load)
			lenient <- err
		}()
		synctest.Wait()
		close(release)
		if err := <-strict; !errors.Is(err, errDown) {
			t.Errorf("strict: %v", err)
		}
		if err := <-lenient; err != nil {
			t.Errorf("lenient: %v", err)
		}
		wantLoads(t, &src, 1)
	})
}

func TestTheSoftTimeoutOfL2CountsWhereThereIsAGraceValue(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Minute),
			runtime.L2SoftTimeout(50*time.Millisecond), runtime.L2Timeout(2*time.Second))
		c := newCache[int, int](t, s)
		var src source
		if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		shared.SetBefore(func(ctx context.Context, op string, _ []string) error {
			if op != "get" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		src.value.Store(2)
		began := time.Now()
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 2)
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("with a grace value it took %v", took)
		}
		began = time.Now()
		got, err = c.GetOrSet(t.Context(), 8, src.load)
		want(t, got, err, 2)
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("without one it took %v", took)
		}
	})
}

// What is pending for one key does not keep its neighbours from being read.
func TestAPendingKeyAmongOthers(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.L2CircuitBreakerDuration(0)))
		for k := range 4 {
			if err := c.Set(t.Context(), k, 10*k); err != nil {
				t.Fatal(err)
			}
		}
		shared.Down(errDown)
		_ = c.DeleteMany(t.Context(), 0, 2)
		shared.Down(nil)
		got, err := c.GetMany(t.Context(), []int{0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, got, 1, 3)
		before := shared.Calls("get")
		if got, err := c.GetMany(t.Context(), []int{0, 2}); len(got) != 0 || err != nil {
			t.Error(got, err)
		}
		if shared.Calls("get") != before {
			t.Error("the tier was asked for what must not be read")
		}
	})
}

// A driver that breaks its contract is a tier that fails.
func TestADriverThatReturnsTooLittle(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, runtime.L2(shortTier{&faketier.Shared{}})))
		var src source
		src.value.Store(1)
		got, err := c.GetOrSet(t.Context(), 7, src.load)
		want(t, got, err, 1)
		if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.SuppressL2Errors(false)); err == nil || !strings.Contains(err.Error(), "0 results for 4 keys") {
			t.Error(err)
		}
	})
}

type shortTier struct{ drivers.L2 }

func (shortTier) GetMany(context.Context, []string) ([][]byte, error) { return nil, nil }

// A value that cannot be encoded is not stored, and what it replaces goes; if that
// fails too, it goes later.
func TestAValueThatCannotBeEncoded(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "ncode")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var away atomic.Bool
		shared.SetBefore(func(_ context.Context, op string, _ []string) error {
			if away.Load() && op == "delete" {
				return errDown
			}
			return nil
		})
		c := newCache[int, maybe](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L2CircuitBreakerDuration(0)))
		for _, down := range []bool{false, true} {
			if err := c.Set(t.Context(), 7, maybe{text: "1"}); err != nil {
				t.Fatal(err)
			}
			away.Store(down)
			if err := c.Set(t.Context(), 7, maybe{broken: true}); err == nil || down != errors.Is(err, errDown) {
				t.Fatal(err)
			}
			if v, ok, err := c.Get(t.Context(), 7); ok || err != nil {
				t.Error(v, ok, err)
			}
			away.Store(false)
			time.Sleep(time.Second)
			if _, ok := shared.Keys()[adHocKeys+"7"]; ok {
				t.Error("the old value is there still")
			}
		}
	})
}

func TestATagThatWaitedBehindANamespaceReachesLoadsUnderWay(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var l2 faketier.Shared
		a := newNamed(t, "a", memoryTier(), runtime.L2(&l2))
		b := newNamed(t, "b", memoryTier(), runtime.L2(&l2))
		var row atomic.Int64
		row.Store(1)
		stores, err := runtime.NewStores(b)
		if err != nil {
			t.Fatal(err)
		}
		cb, err := open(stores, definition[string, int]{Name: "rows", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"t"} }})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		release := make(chan struct{})
		done := make(chan int)
		go func() {
			v, _ := cb.GetOrSet(ctx, "k", func(context.Context) (int, error) {
				v := int(row.Load())
				<-release
				return v, nil
			})
			done <- v
		}()
		synctest.Wait()
		l2.Down(errSource)
		row.Store(2)
		errNS := a.Namespace("x").Clear(ctx)
		errTag := a.DeleteByTag(ctx, "t")
		if errNS == nil || errTag == nil {
			t.Fatal(errNS, errTag)
		}
		l2.Down(nil)
		time.Sleep(20 * time.Second) // both get through
		close(release)
		<-done
		time.Sleep(time.Second)
		v, ok, err := cb.Get(ctx, "k")
		if ok && v == 1 {
			t.Fatalf("kept %d, loaded before the tag was deleted, %v", v, err)
		}
	})
}

// A shortKeys refuses keys that are too long, as drivers do.
type shortKeys struct{ *faketier.Shared }

func (l *shortKeys) refuse(keys ...string) error {
	for _, k := range keys {
		if len(k) > 100 {
			return fmt.Errorf("fake: %w: a key of %d bytes", drivers.ErrRefused, len(k))
		}
	}
	return nil
}

func (l *shortKeys) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	if err := l.refuse(keys...); err != nil {
		return nil, err
	}
	return l.Shared.GetMany(ctx, keys)
}

func (l *shortKeys) DeleteMany(ctx context.Context, keys []string) error {
	if err := l.refuse(keys...); err != nil {
		return err
	}
	return l.Shared.DeleteMany(ctx, keys)
}

func (l *shortKeys) SetMany(ctx context.Context, items []drivers.Item) error {
	for _, it := range items {
		if err := l.refuse(it.Key); err != nil {
			return err
		}
	}
	return l.Shared.SetMany(ctx, items)
}

func (l *shortKeys) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	for _, it := range items {
		if err := l.refuse(it.Key); err != nil {
			return nil, err
		}
	}
	return l.Shared.AddMany(ctx, items)
}

func TestARefusedInvalidationHoldsUpNoOther(t *testing.T) {
	long := strings.Repeat("x", 200)
	remove := map[string]func(context.Context, *runtime.Store, *runtime.Cache[string, int]) error{
		"key": func(ctx context.Context, s *runtime.Store, c *runtime.Cache[string, int]) error {
			return c.Delete(ctx, "b")
		},
		"tag": func(ctx context.Context, s *runtime.Store, c *runtime.Cache[string, int]) error {
			return s.DeleteByTag(ctx, "t")
		},
	}
	for name, poison := range map[string]func(context.Context, *runtime.Store, *runtime.Cache[string, int]) error{
		"key": func(ctx context.Context, s *runtime.Store, c *runtime.Cache[string, int]) error {
			return c.Delete(ctx, long)
		},
		"tag": func(ctx context.Context, s *runtime.Store, c *runtime.Cache[string, int]) error {
			return s.DeleteByTag(ctx, runtime.Tag(long))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l2 := &shortKeys{&faketier.Shared{}}
				s, err := runtime.NewStore("a", runtime.Logger(silent), memoryTier(), runtime.L2(l2))
				if err != nil {
					t.Fatal(err)
				}
				c := newCache[string, int](t, s)
				other := newCache[string, int](t, newNamed(t, "b", runtime.L2(l2)))
				ctx := t.Context()
				if err := poison(ctx, s, c); !errors.Is(err, drivers.ErrRefused) {
					t.Fatal(err)
				}
				if err := c.Set(ctx, "b", 1, runtime.Tags("t")); err != nil {
					t.Fatal(err)
				}
				l2.Down(errSource)
				if err := remove[name](ctx, s, c); err == nil {
					t.Fatal("no error")
				}
				l2.Down(nil)
				time.Sleep(10 * time.Minute)
				if v, ok, _ := other.Get(ctx, "b"); ok {
					t.Errorf("ten minutes after the tier is back another process still reads %v", v)
				}
				cctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := s.Close(cctx); err != nil {
					t.Errorf("close: %.200v", err)
				}
			})
		})
	}
}
