package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Where loaders read from a replica that lags behind, what is loaded for a while after a change
// may be from before it. So for that long nobody has the lease of a key that was changed: a token
// that is of no store has it. And a mark stands beside each stamp that was changed, which is
// written before the change and read by a load that has stored or read the stamp. So a load that
// carries a stamp of after the change finds the mark, or began when the lag was over. The tier
// ends lease and mark by itself: they hold whoever loads, also if he has not heard of the change,
// and if the process that has made it is gone.

const (
	// lagToken is what the token begins with that has the lease of a key which was changed.
	lagToken = "lag:"
	// lagAttempts is how often a key is changed for which somebody has stored something between
	// the change and the lease.
	lagAttempts = 3
)

// errStored is why a key is not deleted for certain.
var errStored = errors.New("others store the keys again and again before their leases are taken")

// HoldsBack reports whether a token which has a lease says that what is loaded may be from before
// the key's last change.
func HoldsBack(token string) bool { return strings.HasPrefix(token, lagToken) }

// holdBack takes the leases of entries away from whoever has them, until the lag is over, and
// returns what the tier holds of them. What stores nothing but stamps needs no lease.
func (t *Tier) holdBack(ctx context.Context, keys []string) (values [][]byte, err error) {
	if t.Lag <= 0 || !t.CanLease() || len(keys) == 0 {
		return make([][]byte, len(keys)), nil
	}
	want := drivers.LeaseRequest{Token: fmt.Sprintf("%s%016x%016x", lagToken, t.Stamps.Half(), t.Stamps.Half()), TTL: t.Lag, Replace: true}
	o := operation{name: "lease", limit: t.Timeout, urgent: true, blind: true}
	found, err := each(ctx, t, &t.pace.writes, o, len(keys), nil, func(ctx context.Context, from, to int) ([]drivers.Lease, error) {
		return t.leaser.LeaseMany(ctx, keys[from:to], want)
	})
	if err != nil {
		return nil, err
	}
	values = make([][]byte, len(keys))
	for i, f := range found {
		values[i] = f.Value
	}
	return values, nil
}

// holdBackUnless holds keys back that were changed, and changes those again for which somebody has
// stored something in between that is not as it should be.
func (t *Tier) holdBackUnless(ctx context.Context, keys []string, wrong func(value []byte) bool, again func(ctx context.Context, keys []string) error) error {
	for range lagAttempts {
		values, err := t.holdBack(ctx, keys)
		if err != nil {
			return err
		}
		var open []string
		for i, v := range values {
			if v != nil && wrong(v) {
				open = append(open, keys[i])
			}
		}
		if len(open) == 0 {
			return nil
		}
		if err := again(ctx, open); err != nil {
			return err
		}
		keys = open
	}
	return t.Fail("delete", errStored)
}

// Delete removes keys, because they were changed. Nobody stores what is loaded while sources lag.
func (t *Tier) Delete(ctx context.Context, keys []string) error {
	if err := t.Remove(ctx, keys); err != nil || t.Lag <= 0 {
		return err
	}
	var entries []string
	for _, key := range keys {
		if !strings.HasPrefix(strings.TrimPrefix(key, t.Prefix), "!") {
			entries = append(entries, key)
		}
	}
	return t.holdBackUnless(ctx, entries, func([]byte) bool { return true }, t.Remove)
}

// holdBackExpired is [Tier.Delete] for keys that have expired.
func (t *Tier) holdBackExpired(ctx context.Context, keys []string) error {
	if t.Lag <= 0 {
		return nil
	}
	return t.holdBackUnless(ctx, keys, func(v []byte) bool { return !entry.IsExpired(v) }, t.rewriteExpired)
}

func (t *Tier) lagKey(stamp string) string { return t.Prefix + "!l:" + stamp }

// markLagging says that the stamps of names are about to be changed. A tier that is full does not
// take that.
func (t *Tier) markLagging(ctx context.Context, names []string) error {
	if t.Lag <= 0 {
		return nil
	}
	items := make([]drivers.Item, len(names))
	for i, name := range names {
		items[i] = drivers.Item{Key: t.lagKey(name), Value: []byte{1}, TTL: t.Lag}
	}
	err := t.set(ctx, operation{urgent: true, again: true}, items)
	if Refused(err) {
		t.Emit.Warn("shared tier: write refused, what others load from a replica that lags behind may be kept", err)
		return nil
	}
	return err
}

// Lagging returns which of cells have stamps that were changed so lately that what is loaded now
// may be from before that. Their stamps are known already.
func (t *Tier) Lagging(ctx context.Context, cells []*stamp.Cell) (lagging map[*stamp.Cell]bool, err error) {
	if t.Lag <= 0 || t.Driver == nil || len(cells) == 0 {
		return nil, nil
	}
	cells = entry.Distinct(cells)
	keys := make([]string, len(cells))
	for i, c := range cells {
		keys[i] = t.lagKey(c.Name)
	}
	values, err := t.get(ctx, t.Timeout, keys)
	if err != nil {
		return nil, err
	}
	lagging = make(map[*stamp.Cell]bool)
	for i, v := range values {
		if v != nil {
			lagging[cells[i]] = true
		}
	}
	return lagging, nil
}
