package runtime_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A complaints is a log handler and a hook that remember what a run without faults must not
// tell: log lines of level WARN or above, changes of the breaker, pending invalidations.
type complaints struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (c *complaints) add(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
}

func (c *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	c.add(line)
	return nil
}

func (c *complaints) options() []runtime.StoreOption {
	return []runtime.StoreOption{runtime.Logger(slog.New(c)), runtime.WithHooks(event.Hooks{
		Breaker: func(e event.BreakerChange) { c.add("breaker " + e.State) },
		Pending: func(event.Pending) { c.add("an invalidation is pending") },
	})}
}

// A store has a memory tier, a shared tier or both, and a bus or none. Whatever it lacks,
// values with a tag that only the value tells are loaded, hit and deleted by that tag, and
// nothing is said to have failed where nothing has.
func TestEveryShapeOfStoreKeepsValuesWithResultTagsAndHasNothingToComplainAbout(t *testing.T) {
	for name, shape := range map[string]struct{ l1, l2, bus bool }{
		"memory": {true, false, false}, "memory and bus": {true, false, true}, "shared": {false, true, false},
		"shared and bus": {false, true, true}, "both": {true, true, false}, "both and bus": {true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var told complaints
				var shared faketier.Shared
				var b faketier.Bus
				newOne := func() *runtime.Store {
					options := told.options()
					if shape.l1 {
						options = append(options, memoryTier())
					}
					if shape.l2 {
						options = append(options, runtime.L2(drivers.L2(&shared)))
					}
					if shape.bus {
						options = append(options, runtime.WithBus(&b))
					}
					return newStore(t, options...)
				}
				here, there := newOne(), newOne()
				c, elsewhere := openResultTagged(t, here), openResultTagged(t, there)
				var src, other source
				ctx := t.Context()
				for i, invalidate := range []func() error{
					func() error { return nil },
					func() error { return here.DeleteByTag(ctx, "team:1") },
					func() error { return here.ExpireByTag(ctx, "team:1") },
					func() error { return c.Delete(ctx, 7) },
					func() error { return c.Expire(ctx, 7) },
					func() error { return c.Clear(ctx) },
					func() error { return here.Clear(ctx) },
					func() error { _, _, err := c.Pull(ctx, 7); return err },
				} {
					if _, err := elsewhere.GetOrSet(ctx, 7, other.load); err != nil {
						t.Error(err)
					}
					src.value.Store(int64(i))
					if err := invalidate(); err != nil {
						t.Error(err)
					}
					if i == 0 && shape.l2 { // the other process has stored it
						_ = c.Delete(ctx, 7)
					}
					for range 3 {
						v, err := c.GetOrSet(ctx, 7, src.load)
						want(t, v, err, i)
					}
					wantLoads(t, &src, int64(i)+1)
					if _, ok, err := elsewhere.Get(ctx, 7); err != nil || ok && shape.bus && !shape.l2 && i > 0 {
						t.Errorf("%d: %v, %v: the other process has it still", i, ok, err)
					}
				}
				v, err := c.GetOrSet(ctx, 7, src.load, runtime.ForceFresh())
				want(t, v, err, int(src.value.Load()))
				if err := there.DeleteByTag(ctx, "team:1"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute) // whatever runs in the background has run
				if _, ok, err := c.Get(ctx, 7); err != nil || ok && (shape.bus || shape.l2) {
					t.Error("deleted by tag elsewhere:", ok, err)
				}
				if len(told.lines) > 0 {
					t.Errorf("nothing has failed, and it was told: %q", told.lines)
				}
			})
		})
	}
}
