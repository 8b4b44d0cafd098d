package runtime_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A caller who leaves cuts short what runs for it alone, an operation on the shared tier or a
// load. Nothing has failed then: neither the log nor an event says so, whatever was under way.
// newStore fails a test in which a store complains.
func TestACallerWhoLeavesIsNoFailureOfTheStore(t *testing.T) {
	for _, during := range []string{"get", "add", "swap", "load"} {
		for name, call := range map[string]func(context.Context, *runtime.Cache[int, int], func(context.Context) (int, error)) error{
			"GetOrSet": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
				_, err := c.GetOrSet(ctx, 7, load)
				return err
			},
			"GetOrSetMany": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
				_, err := c.GetOrSetMany(ctx, []int{7, 8}, func(ctx context.Context, _ []int) (map[int]int, error) {
					_, err := load(ctx)
					return map[int]int{7: 1, 8: 1}, err
				})
				return err
			},
			"Get": func(ctx context.Context, c *runtime.Cache[int, int], _ func(context.Context) (int, error)) error {
				_, _, err := c.Get(ctx, 7)
				return err
			},
			"forced": func(ctx context.Context, c *runtime.Cache[int, int], load func(context.Context) (int, error)) error {
				_, err := c.GetOrSet(ctx, 7, load, runtime.ForceFresh())
				return err
			},
		} {
			t.Run(name+" during "+during, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					var cancelled []string
					var mu sync.Mutex // operations run side by side
					hooks := runtime.Hooks(event.Hooks{Operation: func(e event.Operation) {
						mu.Lock()
						defer mu.Unlock()
						if e.Cancelled {
							cancelled = append(cancelled, e.Op)
						}
					}})
					c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), hooks, runtime.TTL(time.Minute), runtime.Grace(time.Hour)))
					shared.SetBefore(func(ctx context.Context, op string, _ []string) error {
						if op == during {
							<-ctx.Done()
						}
						return ctx.Err()
					})
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error)
					go func() {
						done <- call(ctx, c, func(ctx context.Context) (int, error) {
							if during == "load" {
								<-ctx.Done()
							}
							return 1, ctx.Err()
						})
					}()
					synctest.Wait()
					cancel()
					if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					synctest.Wait()
					if during == "get" && len(cancelled) != 1 {
						t.Errorf("%q cancelled", cancelled)
					}
					shared.SetBefore(nil)
				})
			})
		}
	}
}

// Nor is it a failure of the loader: the next reader of a stale value does not have to go
// without a load for the back-off, nor does the log say that a stale value was served.
func TestACallerWhoLeavesMakesNobodyBackOff(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		for _, options := range [][]runtime.CallOption{nil, {runtime.ForceFresh()}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			_, err := c.GetOrSet(ctx, 7, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, options...)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, got, err, 2)
	})
}

// Who lets an entry expire wants it loaded: a back-off from before does not hold, whichever
// tier has the entry.
func TestAnExpireEndsTheBackOffFromBefore(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.Grace(time.Hour), runtime.Timeout(time.Second), runtime.GraceBackoff(time.Minute)))
		var src source
		for _, wait := range []time.Duration{0, 90 * time.Minute} { // fresh, and stale
			if err := c.Set(t.Context(), 7, 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			src.fail.Store(true)
			got, err := c.GetOrSet(t.Context(), 7, src.load, runtime.ForceFresh())
			want(t, got, err, 1)
			src.fail.Store(false)
			src.value.Store(2)
			if err := c.Expire(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			got, err = c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 2)
		}
	})
}
