package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// refusing is a tier that refuses what is written under some keys.
type refusing struct {
	*faketier.Shared
	keys sync.Map
	slow atomic.Int64 // how long a write of entries takes, in nanoseconds
}

func (r *refusing) refuse(key string) *refusing { r.keys.Store(key, true); return r }

func (r *refusing) refuses(keys ...string) error {
	for _, key := range keys {
		if _, ok := r.keys.Load(key); ok {
			return fmt.Errorf("%w: %q", drivers.ErrRefused, key)
		}
	}
	return nil
}

func (r *refusing) SetMany(ctx context.Context, items []drivers.Item) error {
	for _, it := range items {
		if err := r.refuses(it.Key); err != nil {
			return err
		}
	}
	if d := time.Duration(r.slow.Load()); d > 0 && !strings.Contains(items[0].Key, "!") {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.Shared.SetMany(ctx, items)
}

func (r *refusing) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	for _, w := range swaps {
		if err := r.refuses(w.Key); err != nil && w.New != nil {
			return nil, err
		}
	}
	return r.Shared.SwapMany(ctx, swaps)
}

// A value that cannot be written again as a stale one goes, and does not come back as a
// fresh one when the tier refuses it the second time.
func TestAnExpiredValueThatTheSharedTierRefusesIsGone(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "refused")
	for name, plain := range map[string]bool{"swapping tier": false, "plain tier": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tier := &refusing{Shared: &faketier.Shared{}}
				var l2 drivers.L2 = tier
				if plain {
					l2 = plainTier{tier}
				}
				c := newCache[int, int](t, newStore(t, runtime.L2(l2)), runtime.TTL(time.Hour), runtime.Grace(time.Hour))
				_, _ = c.Set(t.Context(), 7, 1), c.Set(t.Context(), 8, 1)
				tier.refuse(adHocKeys + "7")
				if err := c.Expire(t.Context(), 7); err != nil {
					t.Error(err)
				}
				for range 3 {
					if _, ok, err := c.Get(t.Context(), 7); ok || err != nil {
						t.Fatal(ok, err)
					}
					time.Sleep(time.Minute)
				}
				// What is down besides has not gone, and stays pending.
				tier.refuse(adHocKeys + "8")
				var down atomic.Bool
				down.Store(true)
				tier.SetBefore(func(_ context.Context, op string, _ []string) error {
					if op == "delete" && down.Load() {
						return errDown
					}
					return nil
				})
				if err := c.Expire(t.Context(), 8); !errors.Is(err, errDown) {
					t.Error(err)
				}
				for range 3 {
					if _, ok, err := c.Get(t.Context(), 8); ok || err != nil {
						t.Fatal(ok, err)
					}
					time.Sleep(time.Minute)
				}
				down.Store(false)
				time.Sleep(time.Minute)
				if _, ok := tier.Keys()[adHocKeys+"8"]; ok {
					t.Error("it is there still")
				}
			})
		})
	}
}

// What is written one by one, because the tier refuses one of many, does not take so
// long that a delete goes past it.
func TestADeleteBehindABatchOfWhichOneIsRefused(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "refused", "pending", "invalidation")
	bubble(t, func(t *testing.T) {
		l2 := (&refusing{Shared: &faketier.Shared{}}).refuse(adHocKeys + "0")
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(l2)))
		_, _ = c.GetOrSet(t.Context(), 100, func(context.Context) (int, error) { return 0, nil })
		l2.slow.Store(int64(900 * time.Millisecond))
		go c.GetOrSetMany(context.Background(), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, func(_ context.Context, keys []int) (map[int]int, error) {
			loaded := make(map[int]int)
			for _, key := range keys {
				loaded[key] = 1
			}
			return loaded, nil
		})
		synctest.Wait() // it writes
		if err := c.Delete(t.Context(), 9); err != nil {
			wantQueued(t, err) // its turn does not come in time
		}
		for range 20 {
			if v, ok, err := c.Get(t.Context(), 9); ok || err != nil {
				t.Fatal("after the Delete:", v, ok, err)
			}
			time.Sleep(time.Second)
		}
	})
}

// What was written although a neighbour was refused is not this process's alone.
func TestAPullInTwoProcessesOfWhatWasWrittenBesideWhatWasRefused(t *testing.T) {
	mayTell(t, "refused")
	bubble(t, func(t *testing.T) {
		l2 := (&refusing{Shared: &faketier.Shared{}}).refuse(adHocKeys + "0")
		here, there := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(l2))), newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(l2)))
		if _, err := here.GetOrSetMany(t.Context(), []int{0, 1}, func(context.Context, []int) (map[int]int, error) {
			return map[int]int{0: 1, 1: 1}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := there.Pull(t.Context(), 1); !ok || err != nil {
			t.Error(ok, err)
		}
		if _, ok, err := here.Pull(t.Context(), 1); ok || err != nil {
			t.Error("it was pulled already:", ok, err)
		}
		if _, ok, err := here.Pull(t.Context(), 0); !ok || err != nil {
			t.Error("nobody else can have this one:", ok, err)
		}
	})
}
