package remote

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// RotateStamps ends what the stamps of names have been: their expire half, or else all of
// it. Nothing that carries the old one is fresh then, or valid at all.
//
// A stamp is not replaced but removed: the next load makes another. So an invalidation
// leaves nothing in the tier, a tier that is full takes it, and one that is carried out
// twice, or late, costs loads and brings nothing back. counted says that the number of tag changes
// has been removed already.
func (t *Tier) RotateStamps(ctx context.Context, names []string, expire, counted bool) error {
	if t.Driver == nil {
		return nil
	}
	if !counted && slices.ContainsFunc(names, entry.IsTagStamp) {
		// By itself, and first: who finds one of the stamps changed finds this changed, too.
		// Within a batch a driver keeps no order.
		if err := t.DeleteCounted(ctx, nil); err != nil {
			return err
		}
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = t.stampKey(name)
	}
	if expire && t.canSwap() {
		return t.expireStamps(ctx, keys)
	}
	return t.Delete(ctx, keys)
}

// TagsKey is the key of the number of tag changes, which changes with every tag of the store.
func (t *Tier) TagsKey() string { return t.Prefix + "!t" }

// DeleteCounted removes keys and, in the same round trip, the number of tag changes. What a tag
// invalidates is removed after that: see package tagwatch.
func (t *Tier) DeleteCounted(ctx context.Context, keys []string) error {
	return t.Delete(ctx, append(slices.Clip(keys), t.TagsKey()))
}

// expireStamps changes the expire half of the stamps under keys. Under one that is absent
// nothing is valid that could expire. One that changes all the time, or whose change is
// refused, is removed.
func (t *Tier) expireStamps(ctx context.Context, keys []string) error {
	for range expireAttempts {
		values, err := t.getToChange(ctx, keys)
		if err != nil {
			return err
		}
		var swaps []drivers.Swap
		for i, b := range values {
			if b == nil {
				continue
			}
			w := drivers.Swap{Key: keys[i], Old: b}
			if r, ok := stamp.Parse(b); ok {
				r.Expire = t.Stamps.Half(keys[i])
				w.New, w.TTL = r.Bytes(), entry.Lifetime(clock.Wall(), r.Until)
			}
			swaps = append(swaps, w)
		}
		if len(swaps) == 0 {
			return nil
		}
		swapped, err := t.swap(ctx, swaps)
		if Refused(err) {
			t.Emit.Warn("shared tier: write refused, what was to expire is deleted", err)
			return t.Delete(ctx, keys)
		}
		if err != nil {
			return err
		}
		keys = nil
		for i, w := range swaps {
			if !swapped[i] {
				keys = append(keys, w.Key)
			}
		}
		if len(keys) == 0 {
			return nil
		}
	}
	return t.Delete(ctx, keys)
}
