package untyped_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// Which option has a meaning where is policy's table: each method asks it, before anything is
// read, loaded or stored, also while the function's caching is switched off.
func TestEachMethodRefusesAnOptionThatItHasNoUseFor(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		ctx := t.Context()
		d := definition[int, string]()
		d.Name = "a.Load"
		c, b := bind(t, s, d)
		if err := c.Set(ctx, 1, "there", nil); err != nil {
			t.Fatal(err)
		}
		calls := 0
		loader := func(context.Context) (any, error) { calls++; return "loaded", nil }
		many := func(context.Context, []any) (untyped.Lookup, error) {
			calls++
			return func(any) (any, bool) { return "loaded", true }, nil
		}
		stale, fresh, batch := &policy.Call{AllowStale: true}, &policy.Call{ForceFresh: true}, &policy.Call{}
		batch.BatchMax = policy.Some(1)
		wrong := &policy.Call{}
		wrong.Grace = policy.Some(-time.Second)
		for _, disabled := range []bool{false, true} {
			b.Function.Disabled.Store(disabled)
			for want, do := range map[string]func() error{
				"GetOrSet of a.Load: AllowStale has no meaning: GetOrSet serves stale values": func() error {
					_, err := c.GetOrSet(ctx, 1, loader, stale)
					return err
				},
				"GetOrSet of a.Load: BatchMax has no meaning: GetOrSet takes one key": func() error {
					_, err := c.GetOrSet(ctx, 1, loader, batch)
					return err
				},
				"GetOrSetForever of a.Load: TTL has no meaning": func() error {
					call := &policy.Call{Forever: true}
					call.TTL = policy.Some(time.Hour)
					_, err := c.GetOrSet(ctx, 1, loader, call)
					return err
				},
				"GetOrSetMany of a.Load: AllowStale has no meaning": func() error {
					_, err := c.GetOrSetMany(ctx, []any{1}, many, stale)
					return err
				},
				"Get of a.Load: ForceFresh has no meaning: Get does not load": func() error {
					_, _, err := c.Get(ctx, 1, fresh)
					return err
				},
				"GetMany of a.Load: ForceFresh has no meaning": func() error {
					_, err := c.GetMany(ctx, []any{1}, fresh)
					return err
				},
				"Set of a.Load: ForceFresh has no meaning: Set replaces": func() error { return c.Set(ctx, 1, "new", fresh) },
				"Set of a.Load: Grace -1s is negative":                   func() error { return c.Set(ctx, 1, "new", wrong) },
			} {
				if err := do(); err == nil || !strings.HasPrefix(err.Error(), "cachegen: "+want) {
					t.Errorf("got %v, want %s…", err, want)
				}
			}
		}
		b.Function.Disabled.Store(false)
		if v, ok, err := c.Get(ctx, 1, nil); v != "there" || !ok || err != nil || calls > 0 {
			t.Errorf("a call that is refused has done something: %v, %v, %d loads", v, err, calls)
		}
	})
}

func TestAValueForEverHasNoTTL(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		c, _ := bind(t, s, definition[int, string]())
		forever := &policy.Call{Forever: true}
		if _, err := c.GetOrSet(t.Context(), 1, give("v"), forever); err != nil {
			t.Error(err)
		}
		if err := c.Set(t.Context(), 2, "v", forever); err != nil {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
		for key := range 2 {
			if has, err := c.Has(t.Context(), key+1); !has || err != nil {
				t.Errorf("%d: %v, %v", key+1, has, err)
			}
		}
	})
}
