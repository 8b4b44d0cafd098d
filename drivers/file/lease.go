package file

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A lease is a separate file whose value is the token. It is not synced to the disk: a
// crash of the machine ends the loads too.

// holder returns the token that holds the lease of key, nil if there is none.
func (s *shard) holder(p place, key string) (token []byte, err error) {
	return load(s.in, p.file(leaseName), key, now())
}

// LeaseMany takes leases of keys for token, and returns which of them it took. See
// [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	keys = slices.Clone(keys)
	taken := make([]bool, len(keys))
	err := d.execute(ctx, "lease", len(keys), func(x *directory) error {
		if err := checkToken(token); err != nil {
			return err
		}
		if ttl <= 0 {
			return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
		}
		for _, key := range keys {
			if err := checkKey(key); err != nil {
				return err
			}
		}
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, true, func(s *shard, p place, i int) error {
			holder, err := s.holder(p, keys[i])
			if err != nil || holder != nil {
				return err
			}
			taken[i] = true
			return s.writeFile(p.file(leaseName), image(keys[i], []byte(token), end(now(), ttl)), false, nil)
		})
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns which items
// it stored. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	items = own(items)
	filled := make([]bool, len(items))
	err := d.execute(ctx, "fill", len(items), func(x *directory) error {
		ends, err := d.check(items)
		if err = errors.Join(err, checkToken(token)); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(items), keyOf(items), false, func(s *shard, p place, i int) error {
			holder, err := s.holder(p, items[i].Key)
			if err != nil || holder == nil || string(holder) != token {
				return err
			}
			filled[i] = true
			return s.write(p, items[i].Key, items[i].Value, ends[i])
		})
	})
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// ReleaseMany ends the leases of keys that token has. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) error {
	keys = slices.Clone(keys)
	return d.execute(ctx, "release", len(keys), func(x *directory) error {
		if err := checkToken(token); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, false, func(s *shard, p place, i int) error {
			holder, err := s.holder(p, keys[i])
			if err != nil || holder == nil || string(holder) != token {
				return err
			}
			return s.remove(p.file(leaseName))
		})
	})
}

func checkToken(token string) error {
	if token == "" {
		return fmt.Errorf("%w: the token is empty", drivers.ErrRefused)
	}
	return nil
}
