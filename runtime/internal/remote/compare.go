package remote

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

// CompareAndDelete removes key if it still holds value, and reports whether it did. On a
// tier that cannot do both at once, only changes in this process are kept from coming
// between. An entry with a pending invalidation is not what the caller has read.
func (t *Tier) CompareAndDelete(ctx context.Context, key string, value []byte) (deleted bool, err error) {
	if t.KeyBlocked(key) {
		return false, nil
	}
	if t.canSwap() {
		swapped, err := t.swap(ctx, []drivers.Swap{{Key: key, Old: value}})
		return err == nil && swapped[0], err
	}
	now, err := t.getToChange(ctx, []string{key})
	if err != nil || now[0] == nil || !bytes.Equal(now[0], value) {
		return false, err
	}
	err = t.Delete(ctx, []string{key})
	return err == nil, err
}

// CanSwap reports whether the tier can compare and swap.
func (t *Tier) CanSwap() bool { return t.canSwap() }

// Swap carries out swaps that invalidate nothing: nobody has to make up for one that fails. It is called
// if the tier can swap.
func (t *Tier) Swap(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	return t.swapBy(ctx, operation{}, swaps)
}

// EnsureAbsent reports whether the tier holds nothing under key. What a pending
// invalidation is to remove is removed.
func (t *Tier) EnsureAbsent(ctx context.Context, key string) (absent bool, err error) {
	if t.KeyBlocked(key) {
		err := t.Delete(ctx, []string{key})
		return err == nil, err
	}
	if t.CanLease() {
		return t.endLeaseIfAbsent(ctx, key)
	}
	values, err := t.getToChange(ctx, []string{key})
	return err == nil && values[0] == nil, err
}

// endLeaseIfAbsent reports whether the tier holds nothing under key. Then whoever has been loading
// it cannot store that any more.
func (t *Tier) endLeaseIfAbsent(ctx context.Context, key string) (absent bool, err error) {
	want := drivers.LeaseRequest{
		Token: fmt.Sprintf("%016x%016x", t.Stamps.Half(key), t.Stamps.Half(key)), TTL: t.Timeout, IfAbsent: true, Replace: true,
	}
	o := operation{name: "lease", keys: 1, limit: t.Timeout, urgent: true}
	err = t.run(ctx, o, func(ctx context.Context) error {
		found, err := t.leaser.LeaseMany(ctx, []string{key}, want)
		if err := counted(err, len(found), 1); err != nil {
			return err
		}
		absent = found[0].Taken
		return nil
	})
	if absent || MayTakeEffect(err) {
		_, _ = t.Release(ctx, []string{key}, want.Token) // or it ends by itself
	}
	return absent, err
}
