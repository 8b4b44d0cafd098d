package drivertest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func leaseBytes(t *testing.T, s leasing) {
	var keys []string
	for _, name := range s.awkwardNames() {
		keys = append(keys, s.key(name), name+s.prefix)
	}
	long := make([]byte, s.limit.longest())
	for i := range long {
		long[i] = 'l'
	}
	keys = append(keys, string(long))
	if !s.limit.NoEmptyKey {
		keys = append(keys, "")
	}
	s.delete(keys...)
	for _, key := range keys {
		s.lease(everyByte(), yes, key)
	}
	for i, key := range keys {
		if holder := s.ask(drivers.LeaseRequest{Token: "t"}, key)[0].Holder; holder != everyByte() {
			t.Errorf("key %s: the holder is %q", brief(key), holder)
		}
		s.fill("t", no, drivers.Item{Key: key, Value: []byte("t")})
		s.renew(everyByte(), time.Hour, yes, key)
		s.fill(everyByte(), yes, drivers.Item{Key: key, Value: fmt.Append(nil, i)})
		s.expect(key, fmt.Append(nil, i))
	}
	s.delete(keys...)
	a := s.key("token")
	for _, token := range []string{"t", "1", "-1", " ", "\x00", "\xff", "\xff\xfe", "{}", "a\x00b", "0", "nil", "1:t", everyByte()[:255]} {
		s.lease(token, yes, a)
		for _, other := range []string{strings.ReplaceAll(token, "t", "T") + "T", strings.ReplaceAll(token, "t", "T"), token + " ", token + "\x00", " " + token, token + "t", "1" + token, "0" + token} {
			if other == token {
				continue
			}
			s.fill(other, no, drivers.Item{Key: a, Value: []byte("x")})
			s.renew(other, time.Hour, no, a)
			s.release(other, a)
		}
		if holder := s.ask(drivers.LeaseRequest{Token: "other", Await: true}, a)[0].Holder; holder != token {
			t.Errorf("the holder is %q, want %q", holder, token)
		}
		if awaited := s.fill(token, yes, drivers.Item{Key: a, Value: []byte("x")}); !awaited[0] {
			t.Errorf("the lease of %q is not awaited", token)
		}
	}
}

func leaseRefused(t *testing.T, s leasing) {
	keys := []string{s.key("a"), s.key("b")}
	for _, ttl := range []time.Duration{0, -1, math.MinInt64} {
		_, err := s.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: "t", TTL: ttl})
		mustFail(t, fmt.Sprintf("LeaseMany for %s", ttl), err, drivers.ErrRefused)
		_, err = s.RenewMany(s.ctx, keys, "t", ttl)
		mustFail(t, fmt.Sprintf("RenewMany for %s", ttl), err, drivers.ErrRefused)
	}
	for what, token := range map[string]string{"no token": "", "a token of 257 bytes": strings.Repeat("t", 257), "a token of 1 MB": strings.Repeat("t", 1<<20)} {
		_, err := s.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: token, TTL: time.Hour})
		mustFail(t, "LeaseMany with "+what, err, drivers.ErrRefused)
		_, err = s.FillMany(s.ctx, items(keys, "x"), token)
		mustFail(t, "FillMany with "+what, err, drivers.ErrRefused)
		_, err = s.RenewMany(s.ctx, keys, token, time.Hour)
		mustFail(t, "RenewMany with "+what, err, drivers.ErrRefused)
		_, err = s.ReleaseMany(s.ctx, keys, token)
		mustFail(t, "ReleaseMany with "+what, err, drivers.ErrRefused)
	}
	s.lease("t", []bool{true, true}, keys...)
}
