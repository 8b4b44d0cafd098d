package remote

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// CanLease reports whether the tier gives leases.
func (t *Tier) CanLease() bool { return t.leaser != nil }

// Lease asks for the leases of keys, and returns what it found, in their order. After an error
// those of the keys that it is sure of come with it, and the token may have the leases of the
// others, now or a little later, if [MayTakeEffect] says so. It is never carried out twice.
func (t *Tier) Lease(ctx context.Context, keys []string, want drivers.LeaseRequest) (found []drivers.Lease, err error) {
	o := operation{name: "lease", limit: t.Timeout, held: &t.refused.writes}
	return each(ctx, t, &t.pace.writes, o, len(keys), nil, func(ctx context.Context, from, to int) ([]drivers.Lease, error) {
		return t.leaser.LeaseMany(ctx, keys[from:to], want)
	})
}

// FillLeased stores items whose leases token has, and returns what became of each. After an error
// those that it is sure of come with it; of the others some may have been stored, or are stored a
// little later if the token still has the lease then. So nothing has to be made up for: whoever
// changes a key ends its lease. It is never carried out twice.
func (t *Tier) FillLeased(ctx context.Context, items []drivers.Item, token string) (filled []drivers.Fill, err error) {
	o := operation{name: "fill", limit: t.Timeout, held: &t.refused.writes}
	size := func(i int) int { return len(items[i].Key) + len(items[i].Value) }
	return each(ctx, t, &t.pace.writes, o, len(items), size, func(ctx context.Context, from, to int) ([]drivers.Fill, error) {
		t.written.NoteItems(items[from:to])
		return t.leaser.FillMany(ctx, items[from:to], token)
	})
}

// Renew lets the leases that token has end after ttl from now, and returns for each key whether
// it has the lease. After an error those that it is sure of come with it.
func (t *Tier) Renew(ctx context.Context, keys []string, token string, ttl time.Duration) (has []bool, err error) {
	o := operation{name: "renew", limit: t.Timeout, again: true}
	return each(ctx, t, &t.pace.writes, o, len(keys), nil, func(ctx context.Context, from, to int) ([]bool, error) {
		return t.leaser.RenewMany(ctx, keys[from:to], token, ttl)
	})
}

// Release ends the leases that token has, and returns for each key whether somebody awaits that.
// After an error those that it is sure of come with it.
func (t *Tier) Release(ctx context.Context, keys []string, token string) (awaited []bool, err error) {
	o := operation{name: "release", limit: t.Timeout, again: true}
	return each(ctx, t, &t.pace.writes, o, len(keys), nil, func(ctx context.Context, from, to int) ([]bool, error) {
		return t.leaser.ReleaseMany(ctx, keys[from:to], token)
	})
}
