package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestASlowSetDoesNotLandAfterADelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		hold := make(chan struct{})
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "set" && keys[0] == adHocKeys+"7" && armed.CompareAndSwap(true, false) {
				<-hold
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		armed.Store(true)
		go func() { _ = c.Set(context.Background(), 7, 1) }() // row was 1
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- c.Delete(t.Context(), 7) }() // row is 2 now
		synctest.Wait()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		default: // a mended Delete waits for the write
			close(hold)
			<-done
			hold = nil
		}
		if hold != nil {
			close(hold)
		}
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// Expire reads the shared tier and writes it again.
func TestExpireDoesNotBringBackWhatWasDeleted(t *testing.T) {
	for _, op := range []string{"delete", "set"} {
		for _, l1 := range []bool{true, false} {
			t.Run(fmt.Sprint(op, l1), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					hold := make(chan struct{})
					var armed atomic.Bool
					shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
						if op == "set" && keys[0] == adHocKeys+"7" && armed.CompareAndSwap(true, false) {
							<-hold
						}
						return nil
					})
					o := []runtime.StoreOption{runtime.L2(&shared), runtime.Grace(time.Hour)}
					if l1 {
						o = append(o, memoryTier())
					}
					c := newCache[int, int](t, newStore(t, o...))
					if err := c.Set(t.Context(), 7, 1); err != nil {
						t.Fatal(err)
					}
					armed.Store(true)
					go func() { _ = c.Expire(context.Background(), 7) }()
					synctest.Wait()
					done := make(chan error, 1)
					go func() {
						if op == "delete" {
							done <- c.Delete(context.Background(), 7)
						} else {
							done <- c.Set(context.Background(), 7, 2)
						}
					}()
					synctest.Wait()
					select {
					case err := <-done:
						if err != nil {
							t.Fatal(err)
						}
						close(hold)
					default:
						close(hold)
						<-done
					}
					synctest.Wait()
					got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil })
					want(t, got, err, 2)
				})
			})
		}
	}
}

func TestEveryDeleteWaitsForAFillUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		hold := make(chan struct{})
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "set" && keys[0] == adHocKeys+"7" && armed.CompareAndSwap(true, false) {
				<-hold
			}
			return nil
		})
		// D1's own delete is slow after the fill landed.
		var deletes atomic.Int64
		before := shared.Before()
		holdD1 := make(chan struct{})
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "delete" && deletes.Add(1) == 2 {
				<-holdD1
			}
			return before(ctx, op, keys)
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		armed.Store(true)
		go func() { c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { return 1, nil }) }()
		synctest.Wait() // the fill of 1 is on its way
		d1, d2 := make(chan error, 1), make(chan error, 1)
		go func() { d1 <- c.Delete(context.Background(), 7) }()
		synctest.Wait()
		go func() { d2 <- c.Delete(context.Background(), 7) }()
		synctest.Wait()
		returned := false
		select {
		case err := <-d2:
			if err != nil {
				t.Fatal(err)
			}
			returned = true
		default:
		}
		close(hold) // the fill lands
		synctest.Wait()
		if returned {
			got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
			close(holdD1)
			want(t, got, err, 2)
		} else {
			close(holdD1)
		}
		<-d1
	})
}

// race R27
func TestALateMessageBringsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		s1, c1 := process(t, &shared, &bus)
		s2, _ := process(t, &shared, &bus)
		var held [][]byte
		bus.Hold = func(m []byte) bool { held = append(held, m); return true }
		if err := s2.DeleteByTag(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		late := held[0]
		bus.Hold = nil
		got, err := c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }, runtime.Tags("t"))
		want(t, got, err, 1)
		if err := s1.DeleteByTag(t.Context(), "t"); err != nil { // row is 2 now
			t.Fatal(err)
		}
		if err := bus.Publish(t.Context(), "cachegen:!bus", late); err != nil {
			t.Fatal(err)
		}
		got, err = c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil }, runtime.Tags("t"))
		want(t, got, err, 2)
	})
}

func TestAMessageThatComesTwiceBringsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		mk := func() (*runtime.Store, *runtime.Cache[int, int]) {
			s := newStore(t, memoryTier(), runtime.Bus(&bus), runtime.TTL(time.Hour))
			return s, newCache[int, int](t, s)
		}
		s1, c1 := mk()
		s2, _ := mk()
		c1.GetOrSet(t.Context(), 8, func(context.Context) (int, error) { return 0, nil }, runtime.Tags("t")) // the tag is known
		var late []byte
		bus.Hold = func(m []byte) bool { late = m; return false }
		s2.DeleteByTag(t.Context(), "t")
		bus.Hold = nil
		got, err := c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }, runtime.Tags("t"))
		want(t, got, err, 1)
		if err := s1.DeleteByTag(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		bus.Publish(t.Context(), "cachegen:!bus", late) // again
		time.Sleep(30 * time.Minute)
		got, err = c1.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil }, runtime.Tags("t"))
		want(t, got, err, 2)
	})
}

func TestTagDeletionsThatEndOutOfOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		hold := make(chan struct{})
		var armed atomic.Bool
		shared.SetAfter(func(op string, keys []string) {
			if op == "set" && keys[0] == "!s:t:t" && armed.CompareAndSwap(true, false) {
				<-hold
			}
		})
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour))
		c := newCache[int, int](t, s)
		armed.Store(true)
		r1 := make(chan error, 1)
		go func() { r1 <- s.DeleteByTag(context.Background(), "t") }()
		synctest.Wait() // written, but not known here yet
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }, runtime.Tags("t"))
		want(t, got, err, 1)
		if err := s.DeleteByTag(t.Context(), "t"); err != nil { // row is 2
			t.Fatal(err)
		}
		close(hold)
		<-r1
		got, err = c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil }, runtime.Tags("t"))
		want(t, got, err, 2)
	})
}

func TestNobodySpinsOnAnInvalidatedGraceValue(t *testing.T) {
	var shared faketier.Shared
	s := newStore(t, runtime.L2(&shared), runtime.TTL(20*time.Millisecond), runtime.Grace(time.Hour))
	var tagged atomic.Int64
	stores, _ := runtime.NewStores(s)
	c, err := open(stores, definition[int, int]{Name: "n", Tags: func(int) []runtime.Tag { tagged.Add(1); return []runtime.Tag{"t"} }})
	if err != nil {
		t.Fatal(err)
	}
	c.Set(t.Context(), 7, 1)
	time.Sleep(30 * time.Millisecond)
	release := make(chan struct{})
	slow := func(context.Context) (int, error) { <-release; return 2, nil }
	got, err := c.GetOrSet(t.Context(), 7, slow)
	want(t, got, err, 1) // the grace value, the load goes on
	if err := s.DeleteByTag(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	ctx := &countingCtx{Context: t.Context()}
	done := make(chan struct{})
	go func() { defer close(done); c.GetOrSet(ctx, 7, slow) }()
	time.Sleep(300 * time.Millisecond)
	n := ctx.errs.Load()
	close(release)
	<-done
	if n > 10 {
		t.Fatalf("the waiting caller went round its loop %d times in 300 ms", n)
	}
}

type countingCtx struct {
	context.Context
	errs atomic.Int64
	hook func()
}

func (c *countingCtx) Err() error {
	c.errs.Add(1)
	if c.hook != nil {
		h := c.hook
		c.hook = nil
		h()
	}
	return c.Context.Err()
}

// The shared tier and the bus are one server, and the source is down too.
func TestGraceIsServedWhileEverythingIsAway(t *testing.T) {
	mayTell(t, theBusFails...)
	mayTell(t, theSharedTierFails...)
	mayTell(t, "load failed")
	for _, fresh := range []bool{true, false} {
		t.Run(fmt.Sprint("fresh=", fresh), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var bus faketier.Bus
				ttl := time.Second
				if fresh {
					ttl = time.Hour
				}
				_, c := process(t, &shared, &bus, runtime.TTL(ttl), runtime.Grace(6*time.Hour))
				var src source
				src.value.Store(1)
				got, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 1)
				shared.Down(errSource)
				bus.Cut(true)
				src.fail.Store(true)
				time.Sleep(10 * time.Second)
				got, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 1)
			})
		})
	}
}

// It may come from another cache inside the loader.
func TestAPanicErrorThatALoaderReturnsIsAnError(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		inner := newCache[int, int](t, s.Namespace("inner"))
		outer := newCache[int, int](t, s.Namespace("outer"))
		go func() {
			defer func() { recover() }()
			inner.GetOrSet(context.Background(), 1, func(context.Context) (int, error) { time.Sleep(time.Second); panic("boom") })
		}()
		synctest.Wait()
		defer func() {
			if p := recover(); p != nil {
				t.Fatalf("outer's loader returned an error, its caller panicked")
			}
		}()
		_, err := outer.GetOrSet(t.Context(), 1, func(ctx context.Context) (int, error) {
			n, err := inner.GetOrSet(ctx, 1, func(context.Context) (int, error) { return 0, nil })
			if err != nil {
				return 0, fmt.Errorf("inner: %w", err)
			}
			return n, nil
		})
		if err == nil {
			t.Fatal("no error")
		}
	})
}

func TestLoadsLeftBehindAreBounded(t *testing.T) {
	mayTell(t, "load failed", "not loaded in the background")
	for _, l2 := range []bool{false, true} {
		t.Run(fmt.Sprint("l2only=", l2), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o := []runtime.StoreOption{runtime.MaxBackground(2), runtime.TTL(time.Second), runtime.Grace(time.Hour)}
				if l2 {
					o = append(o, runtime.L2(&faketier.Shared{}))
				} else {
					o = append(o, memoryTier(), runtime.Timeout(time.Millisecond))
				}
				c := newCache[int, int](t, newStore(t, o...))
				for k := range 100 {
					c.Set(t.Context(), k, k)
				}
				time.Sleep(2 * time.Second)
				var running, most atomic.Int64
				for k := range 100 {
					got, err := c.GetOrSet(t.Context(), k, func(ctx context.Context) (int, error) {
						most.Store(max(most.Load(), running.Add(1)))
						defer running.Add(-1)
						select {
						case <-time.After(time.Minute):
						case <-ctx.Done(): // cancelled at the timeout
						}
						return k, ctx.Err()
					})
					want(t, got, err, k)
				}
				synctest.Wait()
				n := running.Load()
				time.Sleep(2 * time.Minute)
				if n > 2 {
					t.Fatalf("%d loads run for which nobody waits, MaxBackground is 2", n)
				}
			})
		})
	}
}

func TestASoftTimeoutAfterTheEndOfGraceServesNothing(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Second), runtime.Timeout(10*time.Second)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(1900 * time.Millisecond)
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { time.Sleep(20 * time.Second); return 2, nil })
		want(t, got, err, 2)
	})
}

// Its stamps have to be looked at again by then.
func TestGraceIsServedAfterASlowLoadHasFailed(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.Timeout(20*time.Second)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Second)
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 0, errSource })
		want(t, got, err, 1)
	})
}

type handle string

func (h handle) AppendText(b []byte) ([]byte, error) { return append(b, h...), nil }

// race R37
func TestAKeyTypeCannotReachNamespacesOrStamps(t *testing.T) {
	var shared faketier.Shared
	s := newStore(t, memoryTier(), runtime.L2(&shared))
	root := newCache[handle, int](t, s)
	for _, key := range []handle{"@users:7", "!s:s", "b:!s:s", "b:@users:7"} {
		if err := root.Set(t.Context(), key, 1); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("Set of %s: %v, want that it is reserved", key, err)
		}
	}
	if n := len(shared.Keys()); n != 0 {
		t.Errorf("%d keys were written", n)
	}
}

func TestTheEmptyKeyIsRefused(t *testing.T) {
	c := newCache[string, int](t, newStore(t, runtime.L2(&faketier.Shared{})))
	if err := c.Set(t.Context(), "", 1); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("got %v", err)
	}
}

func TestExpireKeepsTheGraceOfAnEntryThatIsFreshForEver(t *testing.T) {
	mayTell(t, "load failed")
	for _, how := range []string{"expire", "tag"} {
		t.Run(how, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(runtime.Forever), runtime.Grace(6*time.Hour)))
				c.Set(t.Context(), 7, 1, runtime.Tags("t"))
				if how == "expire" {
					c.Expire(t.Context(), 7)
				} else {
					c.Store().ExpireByTag(t.Context(), "t")
				}
				got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, errSource })
				want(t, got, err, 1)
			})
		})
	}
}

func TestGetDoesNotForgetTheBackOff(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.GraceBackoff(time.Minute)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Second)
		var src source
		src.fail.Store(true)
		for range 5 {
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 1)
			synctest.Wait()
			c.Has(t.Context(), 7)
		}
		wantLoads(t, &src, 1)
	})
}

func TestTagsOfACallAreNotWrittenIntoTheDefinitions(t *testing.T) {
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		stores, _ := runtime.NewStores(s)
		all := []runtime.Tag{"a", "b"}
		c, _ := open(stores, definition[int, int]{Name: "n", Tags: func(int) []runtime.Tag { return all[:1] }})
		c.Set(t.Context(), 7, 1, runtime.Tags("x"))
		if all[1] != "b" {
			t.Errorf("all is now %v", all)
		}
	})
}

func TestAPullThatFailsLeavesTheValueToTheNext(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "get" && armed.CompareAndSwap(true, false) {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		c.Set(t.Context(), 7, 1)
		time.Sleep(time.Hour / 4)
		armed.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		go c.Pull(ctx, 7)
		synctest.Wait()
		var got int
		var ok bool
		var err error
		done := make(chan struct{})
		go func() { got, ok, err = c.Pull(context.Background(), 7); close(done) }()
		synctest.Wait()
		cancel()
		<-done
		if !ok {
			has, _ := c.Has(t.Context(), 7)
			t.Fatalf("Pull says there is nothing (%v, %v), Has says %v", got, err, has)
		}
	})
}

// race R2, across processes and without a bus.
func TestAResultTagDeletedByAnotherProcessDuringTheLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		open := func() (*runtime.Store, *runtime.Cache[int, int]) {
			s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour))
			stores, _ := runtime.NewStores(s)
			c, err := open(stores, definition[int, int]{Name: "n", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"team"} }})
			if err != nil {
				t.Fatal(err)
			}
			return s, c
		}
		_, c1 := open()
		s2, c2 := open()
		go c1.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
		synctest.Wait()
		if err := s2.DeleteByTag(t.Context(), "team"); err != nil { // row is 2
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		got, err := c2.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

func TestFreshHitsDoNotStallWhileTheSharedTierHangs(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var hang atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if hang.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour)))
		c.Set(t.Context(), 7, 1)
		hang.Store(true)
		var stalls int
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			t0 := time.Now()
			got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
			want(t, got, err, 1)
			if time.Since(t0) > 0 {
				stalls++
			}
		}
		hang.Store(false)
		if stalls > 0 {
			t.Fatalf("%d of 600 reads of a fresh value in memory waited for L2", stalls)
		}
	})
}

func TestAnErrorFromBeforeADeletionIsNotSharedAfterIt(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		c := newCache[int, int](t, s)
		notFound := errors.New("not found")
		go c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { time.Sleep(time.Second); return 0, notFound }, runtime.Tags("t"))
		synctest.Wait()
		s.DeleteByTag(t.Context(), "t") // row has been inserted
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil }, runtime.Tags("t"))
		want(t, got, err, 2)
	})
}

// The two tiers are expired at two moments, so their copies differ a little. The
// one in memory remembers the back-off.
func TestTheBackOffHoldsAfterAnExpire(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		shared.SetAfter(func(op string, _ []string) {
			if op == "set" {
				time.Sleep(time.Millisecond)
			}
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		if err := c.Expire(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		src.fail.Store(true)
		for range 5 {
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 1)
		}
		wantLoads(t, &src, 1)
	})
}
