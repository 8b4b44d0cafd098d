package repository

import (
	"reflect"
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

// shops runs f on a shop, and on the repository that it embeds.
func shops(t *testing.T, f func(t *testing.T, shop *CachedShop, base *CachedBase)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		shop := &Shop{Number: -7, Base: Base{orders: map[int64]Order{1: {ID: 1, Lines: []string{"a lamp"}}}}}
		f(t, must[*CachedShop](t)(NewCachedShop(shop, stores)), must[*CachedBase](t)(NewCachedBase(&shop.Base, stores)))
	})
}

func TestAMethodOfWhatIsEmbeddedIsCachedInBoth(t *testing.T) {
	shops(t, func(t *testing.T, shop *CachedShop, base *CachedBase) {
		ctx := t.Context()
		for range 2 {
			if order, ok, err := shop.FindOrder(ctx, 1); !ok || err != nil || order.ID != 1 {
				t.Fatal(order, ok, err)
			}
			if order, ok, err := base.FindOrder(ctx, 1); !ok || err != nil || order.ID != 1 {
				t.Fatal(order, ok, err)
			}
		}
		if shop.loads != 1 {
			t.Errorf("%d loads, want 1", shop.loads)
		}
	})
}

func TestAChangeThroughEitherIsSeenThroughBoth(t *testing.T) {
	shops(t, func(t *testing.T, shop *CachedShop, base *CachedBase) {
		ctx := t.Context()
		want := Order{ID: 1, Lines: []string{"two lamps"}}
		if _, ok, err := base.FindOrder(ctx, 1); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := shop.Change(ctx, want); err != nil {
			t.Fatal(err)
		}
		if order, ok, err := base.FindOrder(ctx, 1); !ok || err != nil || !reflect.DeepEqual(order, want) {
			t.Errorf("got %v, %v, %v, want %v", order, ok, err, want)
		}
		if err := shop.Cancel(ctx, 1); err != nil {
			t.Fatal(err)
		}
		for name, find := range map[string]func() (bool, error){
			"shop": func() (bool, error) { _, ok, err := shop.FindOrder(ctx, 1); return ok, err },
			"base": func() (bool, error) { _, ok, err := base.FindOrder(ctx, 1); return ok, err },
		} {
			if ok, err := find(); ok || err != nil {
				t.Errorf("the %s still has what was cancelled: %v, %v", name, ok, err)
			}
		}
	})
}

func TestATypeHasEntriesOfItsOwnBesidesThoseOfWhatItEmbeds(t *testing.T) {
	shops(t, func(t *testing.T, shop *CachedShop, base *CachedBase) {
		ctx := t.Context()
		for range 2 {
			lines, err := shop.FindLines(ctx, 1)
			if err != nil || len(lines) != 1 {
				t.Fatal(lines, err)
			}
			lines[0] = "changed" // the caller's own
		}
		if lines, ok, err := shop.GetCachedLines(ctx, 1); !ok || err != nil || lines[0] != "a lamp" {
			t.Errorf("cached is %v, %v, %v", lines, ok, err)
		}
		if err := shop.Lines.Store().DeleteByTag(ctx, LinesTag(-7)); err != nil {
			t.Fatal(err)
		}
		if ok, err := shop.HasCachedLines(ctx, 1); ok || err != nil {
			t.Errorf("the lines are still cached: %v, %v", ok, err)
		}
	})
}
