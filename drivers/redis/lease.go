package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// maxToken is how many bytes a token has at most.
const maxToken = 256

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func checkTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	return nil
}

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	found, err := d.leaseMany(ctx, keys, want)
	if err != nil {
		return nil, failed("lease", len(keys), err)
	}
	return found, nil
}

func (d *Driver) leaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	if err := checkTTL(want.TTL); err != nil {
		return nil, err
	}
	calls, err := d.leaseCalls(keys, want.Token, milliseconds(want.TTL), want.IfAbsent, want.Replace, want.Await)
	if err != nil {
		return nil, err
	}
	replies, err := d.run(ctx, leaseScript, calls)
	if err != nil {
		return nil, err
	}
	found := make([]drivers.Lease, len(keys))
	for i, reply := range replies {
		parts, err := reply.Slice()
		if err != nil {
			return nil, err
		}
		if found[i], err = parseLease(parts); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// parseLease reads a reply of leaseScript: whether the lease was taken, the value, and, if
// another token has the lease, that token and how many milliseconds it has it.
func parseLease(parts []any) (l drivers.Lease, err error) {
	if len(parts) == 2 || len(parts) == 4 {
		var value, holder string
		var left int64
		taken, ok := parts[0].(int64)
		if parts[1] != nil {
			var is bool
			value, is = parts[1].(string)
			l.Value, ok = []byte(value), ok && is
		}
		if len(parts) == 4 {
			var isHolder, isLeft bool
			holder, isHolder = parts[2].(string)
			left, isLeft = parts[3].(int64)
			ok = ok && isHolder && isLeft
		}
		if ok {
			l.Taken, l.Holder, l.Left = taken != 0, holder, duration(left)
			return l, nil
		}
	}
	return l, fmt.Errorf("the server returned %.100q for a lease", fmt.Sprint(parts))
}

// duration returns milliseconds as a duration, the longest if they are too many.
func duration(ms int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(ms, most)) * time.Millisecond
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each item. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	filled, err := d.fillMany(ctx, items, token)
	if err != nil {
		return nil, failed("fill", len(items), err)
	}
	return filled, nil
}

func (d *Driver) fillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	if err := checkToken(token); err != nil {
		return nil, err
	}
	calls, err := d.storeCalls(items, token)
	if err != nil {
		return nil, err
	}
	results, err := d.numbers(ctx, fillScript, calls)
	if err != nil {
		return nil, err
	}
	filled := make([]drivers.Fill, len(items))
	for i, n := range results {
		filled[i] = drivers.Fill{Stored: n > 0, Awaited: n > 1}
	}
	return filled, nil
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *Driver) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	calls, err := d.leaseCalls(keys, token, milliseconds(ttl))
	if err == nil {
		err = checkTTL(ttl)
	}
	var renewed []bool
	if err == nil {
		renewed, err = d.decide(ctx, renewScript, calls)
	}
	if err != nil {
		return nil, failed("renew", len(keys), err)
	}
	return renewed, nil
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	calls, err := d.leaseCalls(keys, token)
	var awaited []bool
	if err == nil {
		awaited, err = d.decide(ctx, releaseScript, calls)
	}
	if err != nil {
		return nil, failed("release", len(keys), err)
	}
	return awaited, nil
}

// leaseCalls returns the calls of a script whose first argument is a token.
func (d *Driver) leaseCalls(keys []string, token string, more ...any) ([]call, error) {
	if err := checkToken(token); err != nil {
		return nil, err
	}
	args := append([]any{token}, more...)
	calls := make([]call, len(keys))
	for i, key := range keys {
		if err := d.check(key); err != nil {
			return nil, err
		}
		calls[i] = call{key, args}
	}
	return calls, nil
}
