package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A loader that asks for what it loads would wait for itself.
func TestALoaderThatAsksForItsOwnKeyIsToldAtOnce(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *runtime.Cache[int, int], func(context.Context) (int, error)) error{
		"itself": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
			return errOf(c.GetOrSet(ctx, 7, load))
		},
		"by way of another key": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
			return errOf(c.GetOrSet(ctx, 8, func(ctx context.Context) (int, error) { return c.GetOrSet(ctx, 7, load) }))
		},
		"among others": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
			got, err := c.GetOrSetMany(ctx, []int{7, 9}, func(ctx context.Context, keys []int) (map[int]int, error) { return map[int]int{9: 90}, nil })
			wantKeys(t, got, 9)
			return err
		},
		"after its hard timeout": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
			time.Sleep(2 * time.Second)
			return errOf(c.GetOrSet(context.WithoutCancel(ctx), 7, load, runtime.HardTimeout(0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				c := newCache[int, int](t, newStore(t, in.tiers()), runtime.HardTimeout(time.Second))
				var told error
				_, err := c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
					start := time.Now()
					told = ask(ctx, c, func(context.Context) (int, error) { return 1, nil })
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("took %v", took)
					}
					return 0, told
				})
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if err == nil || !errors.Is(told, runtime.ErrRecursive) {
					t.Error(err, told)
				}
			})
		})
	}
}

func TestALoaderThatAsksForItsOwnKeyGetsTheGraceValue(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, options()...), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.Timeout(time.Minute))
				_ = c.Set(t.Context(), 7, 1)
				time.Sleep(2 * time.Second)
				got, err := c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
					old, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 5, nil })
					return old + 1, err
				})
				want(t, got, err, 2)
			})
		})
	}
}

// A load that goes on behind its caller's back may wait for it.
func TestARefreshThatALoaderBeganMayAskForItsKey(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.TTL(time.Second), runtime.Grace(time.Hour))
		_ = c.Set(t.Context(), 8, 1)
		time.Sleep(2 * time.Second)
		refreshed := make(chan error, 1)
		got, err := c.GetOrSet(t.Context(), 7, func(ctx context.Context) (int, error) {
			return c.GetOrSet(ctx, 8, func(ctx context.Context) (int, error) { // which has a grace value
				v, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 0, errSource })
				refreshed <- err
				return v + 1, err
			})
		})
		want(t, got, err, 1)
		if err := <-refreshed; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		got, err = c.GetOrSet(t.Context(), 8, func(context.Context) (int, error) { return 0, errSource })
		want(t, got, err, 2)
	})
}
