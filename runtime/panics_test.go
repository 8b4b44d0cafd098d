package runtime_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A panicking is a shared tier whose driver panics while on.
type panicking struct {
	*faketier.Shared
	on atomic.Bool
}

func (p *panicking) do() {
	if p.on.Load() {
		panic("driver")
	}
}

func (p *panicking) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	p.do()
	return p.Shared.GetMany(ctx, keys)
}

func (p *panicking) SetMany(ctx context.Context, items []drivers.Item) error {
	p.do()
	return p.Shared.SetMany(ctx, items)
}

func (p *panicking) DeleteMany(ctx context.Context, keys []string) error {
	p.do()
	return p.Shared.DeleteMany(ctx, keys)
}

// A driver that panics has failed: callers get what they get then, memory forgets
// what was invalidated, and the invalidation is carried out later.
func TestADriverThatPanicsHasFailed(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		tier := &panicking{Shared: &faketier.Shared{}}
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(tier)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		tier.on.Store(true)
		var failed *runtime.InvalidationError
		if err := c.Delete(t.Context(), 7); !errors.As(err, &failed) {
			t.Fatalf("Delete: %v", err)
		}
		if err := c.Set(t.Context(), 8, 1); !errors.As(err, &failed) {
			t.Fatalf("Set: %v", err)
		}
		if _, ok, err := c.Get(t.Context(), 7); ok || err != nil {
			t.Fatalf("Get: %v, %v", ok, err)
		}
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
		tier.on.Store(false)
		time.Sleep(time.Minute)
		if left := tier.Keys()[adHocKeys+"7"]; left != nil {
			t.Error("what was deleted is in the shared tier still")
		}
	})
}

// A nil context panics where the caller can see it, and holds nothing up.
func TestANilContextPanicsInItsCaller(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Hour)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var none context.Context
		for _, key := range []int{7, 8} { // stale, absent
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("key %d: no panic", key)
					}
				}()
				_, _ = c.GetOrSet(none, key, func(context.Context) (int, error) { return 2, nil })
			}()
		}
	})
}
