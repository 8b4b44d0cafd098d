package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// unleased reports whether a swap is performed that a lease prevents.
func (r *reference) unleased(key string) bool {
	_, ever := r.data.leases[r.name(key)]
	switch r.bug {
	case "swaps under a lease":
		return true
	case "swaps a value under a lease":
		return r.at(key) != nil || r.held(key).token == ""
	case "a lease that has ended prevents a swap":
		return !ever
	case "swaps nothing without a lease":
		return false
	}
	return r.held(key).token == ""
}

// held returns the lease of key, or the zero lease if there is none.
func (r *reference) held(key string) lease {
	l, ok := r.data.leases[r.name(key)]
	if !ok || !time.Now().Before(l.until) && r.bug != "leases do not end" {
		return lease{}
	}
	return l
}

func (r *reference) refuseToken(token string) error {
	if token == "" || len(token) > 256 && r.bug != "takes any token" {
		return fmt.Errorf("%w: a token of %d bytes", drivers.ErrRefused, len(token))
	}
	return nil
}

func (r *reference) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) (got []drivers.Lease, err error) {
	seen := make(map[string][]byte)
	if r.bug == "reads and replaces in two steps" {
		for _, key := range keys {
			r.mu.Lock()
			seen[key] = r.at(key)
			r.mu.Unlock()
		}
		time.Sleep(time.Millisecond) // so that another comes between
	}
	err = r.do(ctx, "lease", func() error {
		if want.TTL <= 0 {
			return fmt.Errorf("%w: ttl %s", drivers.ErrRefused, want.TTL)
		}
		for _, key := range keys {
			if err := r.refuse([]drivers.Item{{Key: key}}); err != nil {
				return err
			}
			found := r.lease(key, want)
			if before, ok := seen[key]; ok {
				found.Value = before
			}
			got = append(got, found)
		}
		return r.refuseToken(want.Token)
	})
	return got, err
}

func (r *reference) lease(key string, want drivers.LeaseRequest) (found drivers.Lease) {
	value, held := r.at(key), r.held(key)
	if r.bug != "a lease tells no value" {
		found.Value = value
	}
	if want.IfAbsent && value != nil && r.bug != "leases over a value" && (len(value) > 0 || r.bug != "an empty value is none") {
		return found
	}
	free := held.token == "" || held.token == want.Token && r.bug == "lends twice to its holder" || r.bug == "lends to everybody"
	if found.Taken = free || want.Replace && r.bug != "replaces nothing"; found.Taken {
		until := time.Now().Add(want.TTL)
		if want.TTL > math.MaxInt64/2 {
			until = time.Now().Add(math.MaxInt64 / 2)
		}
		r.data.leases[r.name(key)] = lease{want.Token, until, held.awaited && r.bug != "a replacement forgets who waits"}
		return found
	}
	found.Holder, found.Left = held.token, max(time.Until(held.until), 1)
	switch r.bug {
	case "tells another holder":
		found.Holder = want.Token
	case "tells another time":
		found.Left = time.Second
	}
	held.awaited = held.awaited || want.Await || r.bug == "everybody waits"
	r.data.leases[r.name(key)] = held
	return found
}

func (r *reference) FillMany(ctx context.Context, items []drivers.Item, token string) (filled []drivers.Fill, err error) {
	err = r.do(ctx, "fill", func() error {
		if err := errors.Join(r.refuseToken(token), r.refuse(items)); err != nil {
			return err
		}
		for _, it := range items {
			held := r.held(it.Key)
			mine := held.token == token || r.bug == "fills without a lease"
			filled = append(filled, drivers.Fill{Stored: mine, Awaited: mine && held.awaited && r.bug != "a fill tells nobody"})
			if mine {
				r.put(it)
				r.changed("fill", it.Key)
			}
		}
		return nil
	})
	return filled, err
}

func (r *reference) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) (renewed []bool, err error) {
	seen := make(map[string]lease)
	if r.bug == "renews in two steps" {
		for _, key := range keys {
			r.mu.Lock()
			seen[key] = r.held(key)
			r.mu.Unlock()
		}
		time.Sleep(time.Millisecond) // so that another comes between
	}
	err = r.do(ctx, "renew", func() error {
		if ttl <= 0 {
			return fmt.Errorf("%w: ttl %s", drivers.ErrRefused, ttl)
		}
		for _, key := range keys {
			held, before := seen[key]
			if !before {
				held = r.held(key)
			}
			mine := held.token == token || r.bug == "renews what has ended"
			renewed = append(renewed, mine)
			if mine && r.bug != "renews nothing" {
				held.token, held.until = token, time.Now().Add(min(ttl, math.MaxInt64/2))
				held.awaited = held.awaited && r.bug != "a renewal forgets who waits"
				r.data.leases[r.name(key)] = held
			}
		}
		return r.refuseToken(token)
	})
	return renewed, err
}

func (r *reference) ReleaseMany(ctx context.Context, keys []string, token string) (awaited []bool, err error) {
	err = r.do(ctx, "release", func() error {
		for _, key := range keys {
			held := r.held(key)
			mine := held.token == token
			awaited = append(awaited, (mine || r.bug == "a release tells anybody") && held.awaited)
			if mine || r.bug == "releases for anybody" {
				delete(r.data.leases, r.name(key))
			}
		}
		return r.refuseToken(token)
	})
	return awaited, err
}
