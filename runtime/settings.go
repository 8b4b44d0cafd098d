package runtime

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// settings are the options that every level may give. A level that is silent
// leaves them to the next: call, directive, type, store, Stores, default.
type settings struct {
	given                                setting
	ttl, grace, graceBackoff, soft, hard time.Duration
	errorTTL, lock, notFoundTTL, l1TTL   time.Duration
	refresh, jitter                      span
	suppressL2, skipL2Write, skipBus     bool
	onLoadError                          func(*LoadError)
	batchMax                             int
}

type setting uint32

const (
	givenTTL setting = 1 << iota
	givenGrace
	givenBackoff
	givenSoft
	givenHard
	givenErrorTTL
	givenLock
	givenNotFoundTTL
	givenL1TTL
	givenRefresh
	givenJitter
	givenSuppressL2
	givenSkipL2Write
	givenSkipBus
	givenOnLoadError
	givenBatchMax
)

var defaults = settings{
	given: ^givenNotFoundTTL, // that is the TTL
	ttl:   DefaultTTL, graceBackoff: DefaultGraceBackoff, suppressL2: true,
}

// or fills what s leaves open from the next level.
func (s settings) or(next settings) settings {
	take(&s, next, givenTTL, &s.ttl, next.ttl)
	take(&s, next, givenGrace, &s.grace, next.grace)
	take(&s, next, givenBackoff, &s.graceBackoff, next.graceBackoff)
	take(&s, next, givenSoft, &s.soft, next.soft)
	take(&s, next, givenHard, &s.hard, next.hard)
	take(&s, next, givenErrorTTL, &s.errorTTL, next.errorTTL)
	take(&s, next, givenLock, &s.lock, next.lock)
	take(&s, next, givenNotFoundTTL, &s.notFoundTTL, next.notFoundTTL)
	take(&s, next, givenL1TTL, &s.l1TTL, next.l1TTL)
	take(&s, next, givenRefresh, &s.refresh, next.refresh)
	take(&s, next, givenJitter, &s.jitter, next.jitter)
	take(&s, next, givenSuppressL2, &s.suppressL2, next.suppressL2)
	take(&s, next, givenSkipL2Write, &s.skipL2Write, next.skipL2Write)
	take(&s, next, givenSkipBus, &s.skipBus, next.skipBus)
	take(&s, next, givenOnLoadError, &s.onLoadError, next.onLoadError)
	take(&s, next, givenBatchMax, &s.batchMax, next.batchMax)
	return s
}

func take[T any](s *settings, next settings, g setting, to *T, from T) {
	if s.given&g == 0 && next.given&g != 0 {
		*to = from
		s.given |= g
	}
}

// check refuses what contradicts itself. It is asked where options are given for
// long; a call is not refused for its options.
func (s settings) check() error {
	for _, given := range []struct {
		name string
		d    time.Duration
	}{
		{"Grace", s.grace}, {"GraceBackoff", s.graceBackoff}, {"Timeout", s.soft}, {"HardTimeout", s.hard}, {"LockTimeout", s.lock},
		{"ErrorTTL", s.errorTTL}, {"NotFoundTTL", s.notFoundTTL}, {"L1TTL", s.l1TTL}, {"RefreshAfter", s.refresh.d}, {"Jitter", s.jitter.d},
	} {
		if given.d < 0 {
			return fmt.Errorf("%s %v is negative", given.name, given.d)
		}
	}
	for _, given := range []struct {
		name string
		p    int
	}{{"RefreshAtPercent", s.refresh.percent}, {"JitterPercent", s.jitter.percent}} {
		if given.p < 0 || given.p > 99 {
			return fmt.Errorf("%s %d is not from 1 to 99, nor 0 for none", given.name, given.p)
		}
	}
	if s.batchMax < 0 {
		return fmt.Errorf("BatchMax %d is negative", s.batchMax)
	}
	if s.hard > 0 && s.soft >= s.hard {
		return fmt.Errorf("Timeout %v is not below HardTimeout %v", s.soft, s.hard)
	}
	if s.given&givenTTL == 0 {
		return nil
	}
	switch {
	case s.ttl <= 0:
		return fmt.Errorf("TTL %v is not positive", s.ttl)
	case s.l1TTL > s.ttl:
		return fmt.Errorf("L1TTL %v is above the TTL %v", s.l1TTL, s.ttl)
	case s.refresh.d >= s.ttl:
		return fmt.Errorf("RefreshAfter %v is not below the TTL %v", s.refresh.d, s.ttl)
	case s.jitter.d >= s.ttl:
		return fmt.Errorf("Jitter %v is not below the TTL %v", s.jitter.d, s.ttl)
	}
	return nil
}

// A span is a duration, or a part of the TTL. The zero span is none.
type span struct {
	d       time.Duration
	percent int
}

func (p span) of(ttl time.Duration) time.Duration {
	if p.percent == 0 || ttl == Forever {
		return p.d
	}
	return time.Duration(float64(ttl) * float64(min(p.percent, 99)) / 100)
}

// shortened returns a ttl less its jitter.
func (s settings) shortened(ttl time.Duration) time.Duration {
	most := s.jitter.of(ttl)
	if most <= 0 || ttl <= 1 || ttl == Forever {
		return ttl
	}
	if most >= ttl {
		most = ttl / 2
	}
	return ttl - rand.N(most+1)
}

// missingTTL is how long it is remembered that there is nothing.
func (s settings) missingTTL() time.Duration {
	if s.given&givenNotFoundTTL != 0 {
		return s.notFoundTTL
	}
	return s.ttl
}

// refreshAt returns when a value that was loaded at a time is due for another load.
func (s settings) refreshAt(loaded, freshUntil int64) int64 {
	ttl := Forever
	if freshUntil != never {
		ttl = time.Duration(freshUntil - loaded)
	}
	if d := s.refresh.of(ttl); d > 0 {
		return deadline(loaded, int64(d))
	}
	return never
}
