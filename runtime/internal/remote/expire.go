package remote

import (
	"context"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/pending"
)

// expireAttempts is how often an entry that changes meanwhile is read again. Whoever
// changes it that often has made it younger than what was to be expired.
const expireAttempts = 3

// Expire makes the entries of keys stale. An entry without a grace, or one that cannot be
// read, or one that is to be deleted by a pending invalidation, is deleted. If the tier
// can compare and swap, what another process stores meanwhile is not overwritten with what
// was there before.
func (t *Tier) Expire(ctx context.Context, keys []string) error {
	var remove, expire []string
	for _, key := range keys {
		if t.Pending.Deletes(pending.Target{Kind: pending.Key, Name: key}) {
			remove = append(remove, key)
		} else {
			expire = append(expire, key)
		}
	}
	if len(remove) > 0 {
		if err := t.Delete(ctx, remove); err != nil {
			return err
		}
	}
	return t.rewriteExpired(ctx, expire)
}

func (t *Tier) rewriteExpired(ctx context.Context, keys []string) error {
	for range expireAttempts {
		if len(keys) == 0 {
			return nil
		}
		values, err := t.getToChange(ctx, keys)
		if err != nil {
			return t.deleteInstead(ctx, keys, err)
		}
		if err := t.endLeases(ctx, keys, values); err != nil {
			return err
		}
		swaps := entry.ExpiredValues(keys, values)
		if len(swaps) == 0 {
			return nil
		}
		if !t.canSwap() {
			return t.overwrite(ctx, swaps)
		}
		swapped, err := t.swap(ctx, swaps)
		if err != nil {
			return t.deleteInstead(ctx, keys, err)
		}
		keys = nil
		for i, w := range swaps {
			if !swapped[i] {
				keys = append(keys, w.Key)
			}
		}
	}
	return t.Delete(ctx, keys)
}

// endLeases ends the leases of those keys that have no value, which no swap does: what is being
// loaded under them is from before the change.
func (t *Tier) endLeases(ctx context.Context, keys []string, values [][]byte) error {
	var absent []string
	for i, b := range values {
		if b == nil {
			absent = append(absent, keys[i])
		}
	}
	if len(absent) == 0 || !t.CanLease() {
		return nil
	}
	return t.Delete(ctx, absent)
}

// deleteInstead deletes keys that cannot be expired because of err. That the tier refuses
// what was to be written is no failure then.
func (t *Tier) deleteInstead(ctx context.Context, keys []string, err error) error {
	errDelete := t.Delete(ctx, keys)
	if Refused(err) {
		t.Emit.Warn("shared tier: write refused, the entry is deleted", err)
		return errDelete
	}
	return budget.Join(err, errDelete)
}

// overwrite carries out swaps without comparing.
func (t *Tier) overwrite(ctx context.Context, swaps []drivers.Swap) error {
	var remove, keys []string
	var rewrite []drivers.Item
	for _, w := range swaps {
		if w.New == nil {
			remove = append(remove, w.Key)
		} else {
			keys = append(keys, w.Key)
			rewrite = append(rewrite, drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL})
		}
	}
	var errs [2]error
	if len(rewrite) > 0 {
		if err := t.Set(ctx, rewrite); err != nil {
			errs[0] = t.deleteInstead(ctx, keys, err)
		}
	}
	if len(remove) > 0 {
		errs[1] = t.Delete(ctx, remove)
	}
	return budget.Join(errs[:]...)
}
