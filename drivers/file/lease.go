package file

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A lease is a separate file, which ends as an item does. Its value is a byte, which says whether
// somebody waits for the end of the lease, and the token. It is not synced to the disk: a crash
// of the machine ends the loads too.
const (
	unawaited = '0'
	awaited   = '1'
)

// A lease is who has the right to store a value. The zero lease is none.
type lease struct {
	token   string
	awaited bool
	ends    int64
}

// image returns the content of the file of a key's lease.
func (l lease) image(key string) []byte {
	value := append(make([]byte, 0, 1+len(l.token)), unawaited)
	if l.awaited {
		value[0] = awaited
	}
	return image(key, append(value, l.token...), l.ends)
}

// lease returns the lease of key at a time.
func (s *shard) lease(p place, key string, now int64) (l lease, err error) {
	value, ends, err := loadUntil(s.in, p.file(leaseName), key, now)
	if err != nil || len(value) < 2 || value[0] != unawaited && value[0] != awaited {
		return lease{}, err
	}
	return lease{token: string(value[1:]), awaited: value[0] == awaited, ends: ends}, nil
}

func (s *shard) writeLease(p place, key string, l lease) error {
	return s.writeFile(p.file(leaseName), l.image(key), false, nil)
}

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	keys = slices.Clone(keys)
	found := make([]drivers.Lease, len(keys))
	err := d.execute(ctx, "lease", len(keys), func(x *directory) error {
		if err := checkLease(want.Token, want.TTL, keys); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, true, func(s *shard, p place, i int) (err error) {
			found[i], err = s.take(p, keys[i], want)
			return err
		})
	})
	if err != nil {
		return nil, err // the operation may still run and write to found
	}
	return found, nil
}

// take does what a request asks for with one key.
func (s *shard) take(p place, key string, want drivers.LeaseRequest) (found drivers.Lease, err error) {
	t := now()
	found.Value, err = load(s.in, p.file(entryName), key, t)
	if err != nil || want.IfAbsent && found.Value != nil {
		return found, err
	}
	held, err := s.lease(p, key, t)
	if err != nil {
		return found, err
	}
	if held.token == "" || want.Replace {
		found.Taken = true
		return found, s.writeLease(p, key, lease{want.Token, held.awaited, end(t, want.TTL)})
	}
	found.Holder, found.Left = held.token, time.Duration(held.ends-t)
	if held.ends == forever {
		found.Left = math.MaxInt64
	}
	if want.Await && !held.awaited {
		held.awaited = true
		return found, s.writeLease(p, key, held)
	}
	return found, nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each item. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	items = own(items)
	filled := make([]drivers.Fill, len(items))
	err := d.execute(ctx, "fill", len(items), func(x *directory) error {
		ends, err := d.check(items)
		if err = errors.Join(err, checkToken(token)); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(items), keyOf(items), false, func(s *shard, p place, i int) error {
			held, err := s.lease(p, items[i].Key, now())
			if err != nil || held.token != token {
				return err
			}
			filled[i] = drivers.Fill{Stored: true, Awaited: held.awaited}
			return s.write(p, items[i].Key, items[i].Value, ends[i])
		})
	})
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *Driver) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	keys = slices.Clone(keys)
	renewed := make([]bool, len(keys))
	err := d.execute(ctx, "renew", len(keys), func(x *directory) error {
		if err := checkLease(token, ttl, keys); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, false, func(s *shard, p place, i int) error {
			t := now()
			held, err := s.lease(p, keys[i], t)
			if err != nil || held.token != token {
				return err
			}
			renewed[i], held.ends = true, end(t, ttl)
			return s.writeLease(p, keys[i], held)
		})
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	keys = slices.Clone(keys)
	ended := make([]bool, len(keys))
	err := d.execute(ctx, "release", len(keys), func(x *directory) error {
		if err := checkToken(token); err != nil {
			return err
		}
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, false, func(s *shard, p place, i int) error {
			held, err := s.lease(p, keys[i], now())
			if err != nil || held.token != token {
				return err
			}
			ended[i] = held.awaited
			return s.remove(p.file(leaseName))
		})
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// maxToken is how many bytes a token has at most.
const maxToken = 256

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

// checkLease returns why leases of keys cannot be given.
func checkLease(token string, ttl time.Duration, keys []string) error {
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
	return nil
}
