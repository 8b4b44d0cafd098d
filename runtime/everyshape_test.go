package runtime_test

import (
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A store has a memory tier, a shared tier or both, and a bus or none. Whatever it lacks,
// values with a tag that only the value tells are loaded, hit and deleted by that tag, and
// nothing is said to have failed where nothing has.
func TestEveryShapeOfStoreKeepsValuesWithResultTagsAndHasNothingToComplainAbout(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		join := in.team()
		newOne := func() *runtime.Store { return newStore(t, join()) }
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
			if i == 0 && in.l2 { // the other process has stored it
				_ = c.Delete(ctx, 7)
			}
			for range 3 {
				v, err := c.GetOrSet(ctx, 7, src.load)
				want(t, v, err, i)
			}
			wantLoads(t, &src, int64(i)+1)
			if _, ok, err := elsewhere.Get(ctx, 7); err != nil || ok && in.bus && !in.l2 && i > 0 {
				t.Errorf("%d: %v, %v: the other process has it still", i, ok, err)
			}
		}
		v, err := c.GetOrSet(ctx, 7, src.load, runtime.ForceFresh())
		want(t, v, err, int(src.value.Load()))
		if err := there.DeleteByTag(ctx, "team:1"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // whatever runs in the background has run
		if _, ok, err := c.Get(ctx, 7); err != nil || ok && (in.bus || in.l2) {
			t.Error("deleted by tag elsewhere:", ok, err)
		}
	})
}
