package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// removers are what makes an entry invalid and is followed by a prune, behind its caller or asked
// for by somebody.
var removers = map[string]func(ctx context.Context, c *runtime.Cache[string, int]) error{
	"delete by tag": func(ctx context.Context, c *runtime.Cache[string, int]) error {
		err := c.Store().DeleteByTag(ctx, "x")
		time.AfterFunc(500*time.Millisecond, func() { _, _ = c.Store().Prune(ctx) })
		return err
	},
	"clear":       func(ctx context.Context, c *runtime.Cache[string, int]) error { return c.Clear(ctx) },
	"clear store": func(ctx context.Context, c *runtime.Cache[string, int]) error { return c.Store().Clear(ctx) },
}

// inPrunedTiers runs f in every shape with a shared tier, for each of removers. A prune looks at the
// tier half a second after it has begun, so that a load can begin in between.
func inPrunedTiers(t *testing.T, f func(t *testing.T, in shape, tier listed, join func() *runtime.Cache[string, int], remove func() error)) {
	t.Helper()
	inEveryShape(t, func(t *testing.T, in shape) {
		if !in.l2 {
			return
		}
		for name, remove := range removers {
			var bus faketier.Bus
			tier := listed{Shared: new(faketier.Shared), scanned: func([]string) { time.Sleep(500 * time.Millisecond) }}
			join := func() *runtime.Cache[string, int] {
				options := []runtime.StoreOption{runtime.TTL(runtime.Forever)}
				if in.l1 {
					options = append(options, memoryTier())
				}
				if in.leases {
					options = append(options, runtime.L2(tier))
				} else {
					options = append(options, runtime.L2(struct {
						drivers.L2
						drivers.Adder
						drivers.Swapper
						drivers.Scanner
					}{tier, tier, tier, tier}))
				}
				if in.bus {
					options = append(options, runtime.Bus(&bus))
				}
				return newCache[string, int](t, newStore(t, options...))
			}
			c := join()
			if err := c.Set(t.Context(), "k", 1, runtime.Tags("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // who joins now has not missed what was said before
			f(t, in, tier, join, func() error { return remove(t.Context(), c) })
			time.Sleep(time.Minute)
			if t.Failed() {
				t.Fatal("after", name)
			}
		}
	})
}

// race R54: a key that everybody reads is loaded anew at once after an invalidation, while a prune
// removes what that has made invalid. What is loaded is stored, so that nobody loads it again.
func TestAPruneEndsNoLoad(t *testing.T) {
	inPrunedTiers(t, func(t *testing.T, in shape, tier listed, join func() *runtime.Cache[string, int], remove func() error) {
		here, there := join(), join()
		var src source
		src.value.Store(2)
		load := func(ctx context.Context) (int, error) {
			time.Sleep(5 * time.Second) // all keys have been looked at
			return src.load(ctx)
		}
		before := tier.Calls("swap")
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		v, err := here.GetOrSet(t.Context(), "k", load, runtime.Tags("x"))
		want(t, v, err, 2)
		if tier.Calls("swap") == before {
			t.Error("nothing was to be removed")
		}
		v, err = there.GetOrSet(t.Context(), "k", load, runtime.Tags("x"))
		want(t, v, err, 2)
		wantLoads(t, &src, 1)
	})
}

// What a prune has left to a load that stores nothing is removed by the next.
func TestWhatALoadHasKeptIsPrunedWhenItFails(t *testing.T) {
	inPrunedTiers(t, func(t *testing.T, in shape, tier listed, join func() *runtime.Cache[string, int], remove func() error) {
		c := join()
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		failed := errors.New("failed")
		_, err := c.GetOrSet(t.Context(), "k", func(context.Context) (int, error) {
			time.Sleep(5 * time.Second)
			if _, there := tier.Keys()[adHocKeys+"k"]; there != in.leases {
				t.Errorf("during the load the entry is there: %v", there)
			}
			return 0, failed
		}, runtime.Tags("x"))
		if !errors.Is(err, failed) {
			t.Error(err)
		}
		synctest.Wait() // the lease is given back
		if n, err := c.Store().Prune(t.Context()); err != nil || n == 0 == in.leases {
			t.Errorf("%d are pruned, %v", n, err)
		}
		if _, there := tier.Keys()[adHocKeys+"k"]; there {
			t.Error("the entry is there for ever")
		}
	})
}
