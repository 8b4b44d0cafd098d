package memory

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// minSweep is the number of leases from which on ended ones are searched for and removed.
const minSweep = 1 << 10

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *L2) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	found := make([]drivers.Lease, len(keys))
	err := d.do(ctx, "lease", len(keys), func(now time.Time) error {
		if err := checkToken(want.Token); err != nil {
			return err
		}
		if want.TTL <= 0 {
			return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, want.TTL)
		}
		for i, key := range keys {
			if it := d.find(key, now); it != nil {
				found[i].Value = bytes.Clone(it.value)
			}
			held, live := d.held(key, now)
			switch {
			case want.IfAbsent && found[i].Value != nil:
			case want.Replace || !live:
				d.leases[key] = lease{token: want.Token, ends: now.Add(want.TTL), awaited: live && held.awaited}
				found[i].Taken = true
			default:
				found[i].Holder, found[i].Left = held.token, held.ends.Sub(now)
				held.awaited = held.awaited || want.Await
				d.leases[key] = held
			}
		}
		if len(d.leases) > d.sweep {
			d.sweepLeases(now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// maxToken is how many bytes a token has at most.
const maxToken = 256

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func (d *L2) sweepLeases(now time.Time) {
	for key, held := range d.leases {
		if !now.Before(held.ends) {
			delete(d.leases, key)
		}
	}
	d.sweep = max(2*len(d.leases), minSweep)
}

// held returns the lease of key, if it has one that has not ended.
func (d *L2) held(key string, now time.Time) (l lease, ok bool) {
	l, ok = d.leases[key]
	return l, ok && now.Before(l.ends)
}

// holds reports whether token holds the lease of key.
func (d *L2) holds(key, token string, now time.Time) bool {
	l, ok := d.held(key, now)
	return ok && l.token == token
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each. See [drivers.Leaser].
func (d *L2) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	own, err := d.own(items)
	if err == nil {
		err = checkToken(token)
	}
	if err != nil {
		return nil, failed("fill", len(items), err)
	}
	filled := make([]drivers.Fill, len(items))
	err = d.do(ctx, "fill", len(items), func(now time.Time) error {
		for i, it := range own {
			if d.holds(it.key, token, now) {
				filled[i] = drivers.Fill{Stored: true, Awaited: d.leases[it.key].awaited}
				d.put(it, end(now, items[i].TTL))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *L2) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	renewed := make([]bool, len(keys))
	err := d.do(ctx, "renew", len(keys), func(now time.Time) error {
		if err := checkToken(token); err != nil {
			return err
		}
		if ttl <= 0 {
			return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
		}
		for i, key := range keys {
			if renewed[i] = d.holds(key, token, now); renewed[i] {
				held := d.leases[key]
				held.ends = now.Add(ttl)
				d.leases[key] = held
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *L2) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	awaited := make([]bool, len(keys))
	err := d.do(ctx, "release", len(keys), func(now time.Time) error {
		if err := checkToken(token); err != nil {
			return err
		}
		for i, key := range keys {
			if d.holds(key, token, now) {
				awaited[i] = d.leases[key].awaited
				delete(d.leases, key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return awaited, nil
}
