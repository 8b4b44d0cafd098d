package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestDeletesOfOtherKeysDoNotKeepALoadFromBeingStored(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		stored := 0
		for k := range 6 {
			c.GetOrSet(t.Context(), k, func(context.Context) (int, error) {
				for d := range 4000 {
					c.Delete(context.Background(), 1000000+k*10000+d)
				}
				return 1, nil
			})
			if ok, _ := c.Has(t.Context(), k); ok {
				stored++
			}
		}
		if stored < 3 {
			t.Errorf("%d of 6 are stored", stored)
		}
	})
}

func TestCallersOfALoadThatCloseCutShortAreToldSo(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s, _ := runtime.NewStore("s", in.tiers(), runtime.Logger(silent))
		c := newCache[int, int](t, s)
		errs := make(chan error, 1)
		go func() {
			_, err := c.GetOrSet(context.Background(), 7, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			errs <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.Close(ctx)
		if err := <-errs; !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("caller with a live context got %v", err)
		}
	})
}

func TestNoLoaderIsCalledWhenEveryoneHasLeft(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "get" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var calls atomic.Int64
		c.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) { calls.Add(1); return 1, nil })
		synctest.Wait()
		if calls.Load() > 0 {
			t.Error("called with a cancelled context")
		}
	})
}

// A stamp of a result that cannot be read makes the entry useless to other processes.
func TestAnEntryWithUnreadStampsDoesNotReplaceAGoodOne(t *testing.T) {
	mayTell(t, "load failed")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		open := func() *runtime.Cache[int, int] {
			s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.HardTimeout(2*time.Second), runtime.Timeout(time.Second))
			stores, _ := runtime.NewStores(s)
			c, _ := open(stores, definition[int, int]{Name: "n", ResultTags: func(n int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("team", n))} }})
			return c
		}
		c := open()
		c.Set(t.Context(), 7, 1)
		time.Sleep(2 * time.Second)
		// The hard timeout comes, the loader ignores it and returns a value of another team.
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 2, nil })
		want(t, got, err, 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got, err = open().GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, errSource })
		if err != nil || got == 0 {
			t.Fatalf("neither the old value nor the new one can stand in: %d, %v", got, err)
		}
	})
}

func TestADriversPanicInAFillHoldsUpNobody(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if op == "set" && keys[0] == adHocKeys+"7" {
				panic("driver")
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		func() {
			defer func() { recover() }()
			c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
		}()
		t0 := time.Now()
		c.Delete(t.Context(), 7)
		if d := time.Since(t0); d > 0 {
			t.Errorf("Delete took %v", d)
		}
	})
}

func TestADriversPanicBehindAHitIsContained(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var armed atomic.Bool
		shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if armed.Load() {
				panic("driver")
			}
			return nil
		})
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		c.Set(t.Context(), 7, 1)
		armed.Store(true)
		time.Sleep(4 * time.Second)
		c.Get(t.Context(), 7)
		synctest.Wait()
	})
}

// One store's prefix may be the beginning of another's.
func TestAStoreCannotReachTheStampsOfAnother(t *testing.T) {
	var shared faketier.Shared
	a := newCache[string, int](t, newStore(t, runtime.L2(&shared), runtime.Prefix("a")))
	b := newCache[int, int](t, newStore(t, runtime.L2(&shared), runtime.Prefix("a:b")))
	b.Set(t.Context(), 7, 1)
	for key, value := range shared.Keys() {
		if err := a.Set(t.Context(), strings.TrimPrefix(key, "a:"), 1); err != nil {
			continue // refused or escaped
		}
		if string(shared.Keys()[key]) != string(value) && strings.Contains(key, "!") {
			t.Errorf("the reserved key %s of another store is overwritten", key)
		}
	}
	if _, err := b.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }); err != nil {
		t.Error(err)
	}
}

func TestNothingStaleWithLatencyAndGrace(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for _, l1 := range []bool{true, false} {
		t.Run(fmt.Sprint(l1), func(t *testing.T) {
			t.Parallel()
			var shared faketier.Shared
			nap := func() {
				if rand.IntN(3) == 0 {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
				}
			}
			shared.SetBefore(func(context.Context, string, []string) error { nap(); return nil })
			shared.SetAfter(func(string, []string) { nap() })
			o := []runtime.StoreOption{runtime.L2(&shared), runtime.TTL(time.Hour), runtime.StampTrust(2 * time.Millisecond), runtime.L2Timeout(time.Minute), runtime.Bus(&faketier.Bus{})}
			if l1 {
				o = append(o, memoryTier())
			}
			s := newStore(t, o...)
			stores, _ := runtime.NewStores(s)
			c, _ := open(stores, definition[int, int64]{Name: "rows", Namespace: "rows", IntPrefix: "",
				Tags:       func(k int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("key:", k))} },
				ResultTags: func(int64) []runtime.Tag { return []runtime.Tag{"result"} }})
			var row, settled [4]atomic.Int64
			done := make(chan struct{})
			var rs, ws sync.WaitGroup
			for range 6 {
				rs.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						k := rand.IntN(4)
						least := settled[k].Load()
						ctx, cancel := context.WithCancel(context.Background())
						if rand.IntN(4) == 0 {
							time.AfterFunc(time.Duration(rand.IntN(400))*time.Microsecond, cancel)
						}
						got, err := c.GetOrSet(ctx, k, func(context.Context) (int64, error) { v := row[k].Load(); nap(); return v, nil })
						cancel()
						if err == nil && got < least {
							t.Errorf("key %d: %d < %d", k, got, least)
						}
					}
				})
			}
			for k := range 4 {
				ws.Go(func() {
					for range 400 {
						v := row[k].Add(1)
						switch rand.IntN(4) {
						case 0:
							s.DeleteByTag(context.Background(), runtime.Tag(fmt.Sprint("key:", k)))
						case 1:
							c.Expire(context.Background(), k)
						case 2:
							c.Set(context.Background(), k, v)
						default:
							c.Delete(context.Background(), k)
						}
						settled[k].Store(v)
					}
				})
			}
			ws.Wait()
			close(done)
			rs.Wait()
		})
	}
}

func TestNothingStaleWithManyWritersOfOneTag(t *testing.T) {
	var shared faketier.Shared
	nap := func() {
		if rand.IntN(2) == 0 {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		}
	}
	shared.SetBefore(func(context.Context, string, []string) error { nap(); return nil })
	shared.SetAfter(func(string, []string) { nap() })
	s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour), runtime.StampTrust(time.Millisecond), runtime.L2Timeout(time.Minute))
	c := newCache[int, int64](t, s)
	var row, settled [4]atomic.Int64
	var bad atomic.Int64
	done := make(chan struct{})
	var rs, ws sync.WaitGroup
	for range 4 {
		rs.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				k := rand.IntN(4)
				least := settled[k].Load()
				got, err := c.GetOrSet(context.Background(), k, func(context.Context) (int64, error) { return row[k].Load(), nil }, runtime.Tags("all"))
				if err == nil && got < least {
					bad.Add(1)
				}
			}
		})
	}
	for k := range 4 {
		ws.Go(func() {
			for range 500 {
				v := row[k].Add(1)
				s.DeleteByTag(context.Background(), "all")
				settled[k].Store(v)
			}
		})
	}
	ws.Wait()
	close(done)
	rs.Wait()
	if bad.Load() > 0 {
		t.Errorf("%d stale reads", bad.Load())
	}
}
