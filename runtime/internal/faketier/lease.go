package faketier

import (
	"context"
	"errors"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A lease is that of a key. Whatever changes the key ends it; that a value is evicted or past
// its TTL does not.
type lease struct {
	token   string
	until   time.Time
	awaited bool
}

// errTwice says that a request was sent twice that is to be sent once.
var errTwice = errors.New("faketier: a token is used for two requests")

var _ drivers.Leaser = (*Shared)(nil)

// A Tier is what [Unleased] makes a tier without leases of.
type Tier interface {
	drivers.L2
	drivers.Adder
	drivers.Swapper
}

// Unleased returns a tier as one that gives no leases.
func Unleased(t Tier) drivers.L2 {
	return struct {
		drivers.L2
		drivers.Adder
		drivers.Swapper
	}{t, t, t}
}

// holder returns the lease of key that has not ended. It is called under mu.
func (s *Shared) holder(key string) (lease, bool) {
	l, ok := s.leases[key]
	return l, ok && time.Now().Before(l.until)
}

// Leased returns the token that has the lease of key, and until when; empty if none has.
func (s *Shared) Leased(key string) (token string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.holder(key); ok {
		return l.token, l.until
	}
	return "", time.Time{}
}

// LeaseMany implements drivers.Leaser. It fails if a token comes twice: the runtime draws a new
// one for each attempt.
func (s *Shared) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) (found []drivers.Lease, err error) {
	if want.Token == "" || want.TTL <= 0 {
		return nil, drivers.ErrRefused
	}
	var twice error
	err = s.do(ctx, "lease", keys, func() {
		if s.tokens == nil {
			s.tokens, s.leases = make(map[string]bool), make(map[string]lease)
		}
		for _, key := range keys { // a request of many keys may come in parts
			if s.tokens[want.Token+key] {
				twice = errTwice
				return
			}
			s.tokens[want.Token+key] = true
		}
		for _, key := range keys {
			l := drivers.Lease{Value: s.get(key)}
			held, ok := s.holder(key)
			switch {
			case want.IfAbsent && l.Value != nil:
			case want.Replace || !ok:
				// Who waits for the one before waits for this one.
				s.leases[key] = lease{want.Token, time.Now().Add(want.TTL), ok && held.awaited}
				l.Taken = true
			default:
				l.Holder, l.Left = held.token, time.Until(held.until)
				held.awaited = held.awaited || want.Await
				s.leases[key] = held
			}
			found = append(found, l)
		}
	})
	if err == nil {
		err = twice
	}
	return found, err
}

// FillMany implements drivers.Leaser.
func (s *Shared) FillMany(ctx context.Context, items []drivers.Item, token string) (filled []drivers.Fill, err error) {
	if err := refuse(items); err != nil {
		return nil, err
	}
	err = s.do(ctx, "fill", keysOf(items), func() {
		for _, it := range items {
			var f drivers.Fill
			if l, ok := s.holder(it.Key); ok && l.token == token {
				f = drivers.Fill{Stored: true, Awaited: l.awaited}
				s.set(it)
			}
			filled = append(filled, f)
		}
	})
	return filled, err
}

// RenewMany implements drivers.Leaser.
func (s *Shared) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) (has []bool, err error) {
	err = s.do(ctx, "renew", keys, func() {
		for _, key := range keys {
			l, ok := s.holder(key)
			if ok = ok && l.token == token; ok {
				l.until = time.Now().Add(ttl)
				s.leases[key] = l
			}
			has = append(has, ok)
		}
	})
	return has, err
}

// ReleaseMany implements drivers.Leaser.
func (s *Shared) ReleaseMany(ctx context.Context, keys []string, token string) (awaited []bool, err error) {
	err = s.do(ctx, "release", keys, func() {
		for _, key := range keys {
			l, ok := s.holder(key)
			if ok = ok && l.token == token; ok {
				delete(s.leases, key)
			}
			awaited = append(awaited, ok && l.awaited)
		}
	})
	return awaited, err
}
