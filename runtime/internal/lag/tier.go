package lag

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

const (
	// heldToken is what the token begins with that has the lease of a key which was changed.
	heldToken = "lag:"
	// attempts is how often a key is changed for which somebody has stored something between the
	// change and the lease.
	attempts = 3
	// stampMark is what the keys of marks begin with, after the prefix of the store.
	stampMark = "!l:"
)

// errStored is why a key is not changed for certain.
var errStored = errors.New("others store the keys again and again before they are held back")

// HoldsBack reports whether a token which has a lease says that what is loaded may be from before
// the key's last change.
func HoldsBack(token string) bool { return strings.HasPrefix(token, heldToken) }

// A Tier is the shared tier for those who change it. What is loaded for what they have changed is
// held back until the span is over: nobody gets the lease of a key, and a mark stands beside a
// stamp. With a span of zero it is the tier alone.
//
// A key's lease is taken after the change, which ends all leases: what somebody stores in between
// is changed again. A mark is written before its stamp is changed, and read by a load that knows the
// stamp: so a load that carries a stamp of after the change finds the mark, or has begun when the
// span was over.
type Tier struct {
	*remote.Tier
	Span time.Duration
}

func (t Tier) holds() bool { return t.Span > 0 && t.CanLease() }

// holdBack takes the leases of keys away from whoever has them, until the span is over, and returns
// what the tier holds of them.
func (t Tier) holdBack(ctx context.Context, keys []string) (found []drivers.Lease, err error) {
	if !t.holds() || len(keys) == 0 {
		return nil, nil
	}
	return t.Lease(ctx, keys, drivers.LeaseRequest{
		Token: fmt.Sprintf("%s%016x%016x", heldToken, t.Stamps.Half(keys[0]), t.Stamps.Half(keys[0])), TTL: t.Span, Replace: true,
	})
}

// change changes keys and holds them back. wrong says of a value that it is not one of after the
// change.
func (t Tier) change(ctx context.Context, keys []string, change func(ctx context.Context, keys []string) error, wrong func(value []byte) bool) error {
	if err := change(ctx, keys); err != nil || !t.holds() {
		return err
	}
	for range attempts {
		found, err := t.holdBack(ctx, keys)
		if err != nil {
			return err
		}
		var open []string
		for i, f := range found {
			if f.Value != nil && wrong(f.Value) {
				open = append(open, keys[i])
			}
		}
		if keys = open; len(keys) == 0 {
			return nil
		}
		if err := change(ctx, keys); err != nil {
			return err
		}
	}
	return t.Fail("delete", errStored)
}

// Delete is [remote.Tier.Delete] for keys of entries.
func (t Tier) Delete(ctx context.Context, keys []string) error {
	return t.change(ctx, keys, t.Tier.Delete, func([]byte) bool { return true })
}

// DeleteCounted is [remote.Tier.DeleteCounted].
func (t Tier) DeleteCounted(ctx context.Context, keys []string) error {
	return t.change(ctx, keys, t.Tier.DeleteCounted, func([]byte) bool { return true })
}

// Expire is [remote.Tier.Expire].
func (t Tier) Expire(ctx context.Context, keys []string) error {
	return t.change(ctx, keys, t.Tier.Expire, func(v []byte) bool { return !entry.IsExpired(v) })
}

// Set is [remote.Tier.Set]. Where somebody has stored another value before it was held back, nobody
// knows which is the later one, and both go.
func (t Tier) Set(ctx context.Context, items []drivers.Item) error {
	if err := t.Tier.Set(ctx, items); err != nil || !t.holds() {
		return err
	}
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	found, err := t.holdBack(ctx, keys)
	if err != nil {
		return err
	}
	var open []string
	for i, f := range found {
		if f.Value != nil && !bytes.Equal(f.Value, items[i].Value) {
			open = append(open, keys[i])
		}
	}
	if len(open) == 0 {
		return nil
	}
	return t.Delete(ctx, open)
}

// CompareAndDelete is [remote.Tier.CompareAndDelete]. It is about what the tier holds, and not
// about a change: what was held back is so for longer.
func (t Tier) CompareAndDelete(ctx context.Context, key string, value []byte) (deleted bool, err error) {
	if deleted, err = t.Tier.CompareAndDelete(ctx, key, value); deleted {
		_, _ = t.holdBack(ctx, []string{key})
	}
	return deleted, err
}

// EnsureAbsent is [remote.Tier.EnsureAbsent], which ends leases, too.
func (t Tier) EnsureAbsent(ctx context.Context, key string) (absent bool, err error) {
	if absent, err = t.Tier.EnsureAbsent(ctx, key); absent {
		_, _ = t.holdBack(ctx, []string{key})
	}
	return absent, err
}

// RotateStamps is [remote.Tier.RotateStamps]. A tier that is full takes no mark: there only who
// hears of the change holds back what he loads.
func (t Tier) RotateStamps(ctx context.Context, names []string, expire, counted bool) error {
	if t.Span > 0 && t.Exists() {
		items := make([]drivers.Item, len(names))
		for i, name := range names {
			items[i] = drivers.Item{Key: t.markKey(name), Value: []byte{1}, TTL: t.Span}
		}
		switch err := t.Tier.Set(ctx, items); {
		case remote.Refused(err):
			t.Emit.Warn("shared tier: write refused, what others load from a replica that lags behind may be kept", err)
		case err != nil:
			return err
		}
	}
	return t.Tier.RotateStamps(ctx, names, expire, counted)
}

func (t Tier) markKey(stamp string) string { return t.Prefix + stampMark + stamp }

// Marked returns which of cells have stamps that were changed so lately that what is loaded now
// may be from before that. Their stamps are known already.
func (t Tier) Marked(ctx context.Context, cells []*stamp.Cell) (marked map[*stamp.Cell]bool, err error) {
	if t.Span <= 0 || !t.Exists() || len(cells) == 0 {
		return nil, nil
	}
	cells = entry.Distinct(cells)
	keys := make([]string, len(cells))
	for i, c := range cells {
		keys[i] = t.markKey(c.Name)
	}
	values, err := t.Read(ctx, t.Timeout, keys, nil)
	if err != nil {
		return nil, err
	}
	marked = make(map[*stamp.Cell]bool)
	for i, v := range values {
		if v != nil {
			marked[cells[i]] = true
		}
	}
	return marked, nil
}
