package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

var errNoToken = fmt.Errorf("%w: the token is empty", drivers.ErrRefused)

// LeaseMany takes leases of keys for token, and returns which of them it took. See
// [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	var err error
	if ttl <= 0 {
		err = fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	taken, err := d.leaseCalls(ctx, leaseScript, keys, token, err, milliseconds(ttl))
	if err != nil {
		return nil, failed("lease", len(keys), err)
	}
	return taken, nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns which items
// it stored. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	filled, err := d.fillMany(ctx, items, token)
	if err != nil {
		return nil, failed("fill", len(items), err)
	}
	return filled, nil
}

func (d *Driver) fillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	if token == "" {
		return nil, errNoToken
	}
	calls, err := d.storeCalls(items, token)
	if err != nil {
		return nil, err
	}
	return d.decide(ctx, fillScript, calls)
}

// ReleaseMany ends the leases of keys that token has. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) error {
	if _, err := d.leaseCalls(ctx, releaseScript, keys, token, nil); err != nil {
		return failed("release", len(keys), err)
	}
	return nil
}

// leaseCalls runs a script that changes leases only, unless err is not nil.
func (d *Driver) leaseCalls(ctx context.Context, s *script, keys []string, token string, err error, more ...any) ([]bool, error) {
	if token == "" {
		err = errNoToken
	}
	calls := make([]call, len(keys))
	for i, key := range keys {
		if err == nil {
			err = d.check(key)
		}
		calls[i] = call{key, append([]any{token}, more...)}
	}
	if err != nil {
		return nil, err
	}
	return d.decide(ctx, s, calls)
}
