package nats

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
)

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	err := checkToken(want.Token)
	if err == nil {
		err = checkLease(want.TTL)
	}
	if err != nil {
		return nil, d.failed("lease", len(keys), err)
	}
	keys = slices.Clone(keys)
	leases := make([]drivers.Lease, len(keys))
	err = d.run(ctx, "lease", len(keys), func(stream jetstream.Stream) error {
		return eachKey(ctx, keys, func(ctx context.Context, i int) error {
			_, err := d.change(ctx, stream, keys[i], func(e entry) (after entry, change bool) {
				after, leases[i], change = ask(e, want)
				return after, change
			})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return leases, nil
}

// ask returns what a request makes of an entry, what it finds, and whether it changes the entry.
func ask(e entry, want drivers.LeaseRequest) (after entry, found drivers.Lease, change bool) {
	now := now()
	leased := e.leased(now)
	e.value = e.live(now)
	found.Value = bytes.Clone(e.value)
	switch {
	case want.IfAbsent && e.value != nil:
		return e, found, false
	case leased && !want.Replace:
		found.Holder, found.Left = e.lease, milliseconds(e.leaseUntil-now)
		change = want.Await && e.awaited == 0
		e.awaited = 1
		return e, found, change
	}
	if !leased {
		e.awaited = 0
	}
	found.Taken = true
	e.held = lent(want.Token, want.TTL, e.awaited)
	return e, found, true
}

// milliseconds returns ms as a duration, or the longest one.
func milliseconds(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func checkLease(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	return nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	if err := checkToken(token); err != nil {
		return nil, d.failed("fill", len(items), err)
	}
	keys, entries, err := d.freshAll("fill", items)
	if err != nil {
		return nil, err
	}
	fills := make([]drivers.Fill, len(items))
	err = d.run(ctx, "fill", len(items), func(stream jetstream.Stream) error {
		if err := d.fits(keys, entries); err != nil {
			return err
		}
		return eachKey(ctx, keys, func(ctx context.Context, i int) (err error) {
			awaited := false
			fills[i].Stored, err = d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				awaited = e.awaited != 0
				return entries[i], e.lease == token && e.leased(now())
			})
			fills[i].Awaited = fills[i].Stored && awaited
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return fills, nil
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *Driver) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	if err := checkLease(ttl); err != nil {
		return nil, d.failed("renew", len(keys), err)
	}
	return d.changeHeld(ctx, "renew", keys, token, func(e *entry, leased bool) (change, result bool) {
		if leased {
			e.held = lent(token, ttl, e.awaited)
		}
		return leased, leased
	})
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	return d.changeHeld(ctx, "release", keys, token, func(e *entry, leased bool) (change, result bool) {
		awaited := leased && e.awaited != 0
		e.held = held{}
		return true, awaited
	})
}

// changeHeld calls f with the entry of each key whose last lease is that of token. f changes the
// lease, says whether the entry is to be stored, and has the result of the key. leased is false
// if the lease has ended by its TTL.
func (d *Driver) changeHeld(ctx context.Context, operation string, keys []string, token string, f func(e *entry, leased bool) (change, result bool)) ([]bool, error) {
	if err := checkToken(token); err != nil {
		return nil, d.failed(operation, len(keys), err)
	}
	keys = slices.Clone(keys)
	results := make([]bool, len(keys))
	err := d.run(ctx, operation, len(keys), func(stream jetstream.Stream) error {
		return eachKey(ctx, keys, func(ctx context.Context, i int) error {
			_, err := d.change(ctx, stream, keys[i], func(e entry) (after entry, change bool) {
				results[i] = false
				if e.lease != token {
					return e, false
				}
				now := now()
				leased := e.leased(now)
				e.value = e.live(now)
				change, results[i] = f(&e, leased)
				return e, change
			})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}
