package nats

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
)

// LeaseMany takes leases of keys for token, and returns which of them it took. A token may
// have 256 bytes. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	if err := d.checkToken(token); err != nil {
		return nil, d.failed("lease", len(keys), err)
	}
	if ttl <= 0 {
		return nil, d.failed("lease", len(keys), fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl))
	}
	keys = slices.Clone(keys)
	taken := make([]bool, len(keys))
	err := d.run(ctx, "lease", len(keys), func(stream jetstream.Stream) error {
		return eachKey(ctx, keys, func(ctx context.Context, i int) (err error) {
			taken[i], err = d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				now := now()
				if e.leased(now) {
					return entry{}, false
				}
				e.value = e.live(now)
				e.lease, e.leaseUntil = token, deadline(ttl)
				return e, true
			})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

func (d *Driver) checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns which items
// it stored. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	if err := d.checkToken(token); err != nil {
		return nil, d.failed("fill", len(items), err)
	}
	keys, entries, err := d.freshAll("fill", items)
	if err != nil {
		return nil, err
	}
	filled := make([]bool, len(items))
	err = d.run(ctx, "fill", len(items), func(stream jetstream.Stream) error {
		if err := d.fits(keys, entries); err != nil {
			return err
		}
		return eachKey(ctx, keys, func(ctx context.Context, i int) (err error) {
			filled[i], err = d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				return entries[i], e.lease == token && e.leased(now())
			})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// ReleaseMany ends the leases of keys that token has. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) error {
	if err := d.checkToken(token); err != nil {
		return d.failed("release", len(keys), err)
	}
	keys = slices.Clone(keys)
	return d.run(ctx, "release", len(keys), func(stream jetstream.Stream) error {
		return eachKey(ctx, keys, func(ctx context.Context, i int) error {
			_, err := d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				held := e.lease == token
				e.lease, e.leaseUntil = "", 0
				return e, held
			})
			return err
		})
	})
}
