package drivertest

import (
	"math"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func l2TTL(t *testing.T, s l2) {
	const ttl = 300 * time.Millisecond
	start := time.Now()
	s.set(
		drivers.Item{Key: s.key("short"), Value: []byte("x"), TTL: ttl},
		drivers.Item{Key: s.key("long"), Value: []byte("x"), TTL: time.Hour},
		drivers.Item{Key: s.key("ever"), Value: []byte("x")},
	)
	s.waitAbsent(s.key("short"))
	// The server reads its clock a little later than the call begins.
	if lived := time.Since(start); lived < ttl-20*time.Millisecond {
		t.Errorf("gone after %s of %s", lived, ttl)
	}
	s.expect(s.key("long"), []byte("x"))
	s.expect(s.key("ever"), []byte("x"))
	s.set(drivers.Item{Key: s.key("short"), Value: []byte("y")})
	s.expect(s.key("short"), []byte("y"))
}

func l2ExtremeTTL(t *testing.T, s l2) {
	s.set(
		drivers.Item{Key: s.key("shortest"), Value: []byte("x"), TTL: 1},
		drivers.Item{Key: s.key("century"), Value: []byte("x"), TTL: 100 * 365 * 24 * time.Hour},
		drivers.Item{Key: s.key("longest"), Value: []byte("x"), TTL: math.MaxInt64},
	)
	s.waitAbsent(s.key("shortest"))
	s.expect(s.key("century"), []byte("x"))
	s.expect(s.key("longest"), []byte("x"))
	s.delete(s.key("century"), s.key("longest"))
}

// l2OverwriteTTL waits until a key is absent that was set later, with the same TTL: then the
// earlier TTLs have ended too.
func l2OverwriteTTL(t *testing.T, s l2) {
	const ttl = 50 * time.Millisecond
	s.set(drivers.Item{Key: s.key("kept"), Value: []byte("1"), TTL: ttl})
	s.set(drivers.Item{Key: s.key("kept"), Value: []byte("2")})
	s.set(drivers.Item{Key: s.key("ended"), Value: []byte("1")})
	s.set(drivers.Item{Key: s.key("ended"), Value: []byte("2"), TTL: ttl})
	s.set(drivers.Item{Key: s.key("sentinel"), Value: []byte("x"), TTL: ttl})
	s.waitAbsent(s.key("sentinel"))
	s.expect(s.key("kept"), []byte("2"))
	s.waitAbsent(s.key("ended"))
}
