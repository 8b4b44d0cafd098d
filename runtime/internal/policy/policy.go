package policy

import (
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/random"
)

// A Policy is what holds for a cache, or for one call. The zero Policy says nothing yet:
// levels are applied to it from the most general to the most special.
type Policy struct {
	TTL, Grace, GraceBackoff, SoftTimeout, HardTimeout time.Duration
	ErrorTTL, NotFoundTTL, LockTimeout, L1TTL          time.Duration
	Refresh, Jitter                                    Span
	SuppressL2Errors, SkipL2Write, SkipBusNotify       bool
	OnLoadError                                        func(*event.LoadError)
	BatchMax                                           int
	InvalidationErrors                                 Errors
}

// Apply returns p with the options that o gives.
func (p Policy) Apply(o Options) Policy {
	p.TTL = o.TTL.Or(p.TTL)
	p.Grace = o.Grace.Or(p.Grace)
	p.GraceBackoff = o.GraceBackoff.Or(p.GraceBackoff)
	p.SoftTimeout = o.SoftTimeout.Or(p.SoftTimeout)
	p.HardTimeout = o.HardTimeout.Or(p.HardTimeout)
	p.ErrorTTL = o.ErrorTTL.Or(p.ErrorTTL)
	p.NotFoundTTL = o.NotFoundTTL.Or(p.NotFoundTTL)
	p.LockTimeout = o.LockTimeout.Or(p.LockTimeout)
	p.L1TTL = o.L1TTL.Or(p.L1TTL)
	p.Refresh = o.Refresh.Or(p.Refresh)
	p.Jitter = o.Jitter.Or(p.Jitter)
	p.SuppressL2Errors = o.SuppressL2Errors.Or(p.SuppressL2Errors)
	p.SkipL2Write = o.SkipL2Write.Or(p.SkipL2Write)
	p.SkipBusNotify = o.SkipBusNotify.Or(p.SkipBusNotify)
	p.OnLoadError = o.OnLoadError.Or(p.OnLoadError)
	p.BatchMax = o.BatchMax.Or(p.BatchMax)
	p.InvalidationErrors = o.InvalidationErrors.Or(p.InvalidationErrors)
	return p
}

// Life returns how long an entry can be of use, unless its loader says otherwise.
func (p *Policy) Life() time.Duration {
	life := max(p.TTL, p.NotFoundTTL, p.ErrorTTL, 0)
	if life > Forever-max(p.Grace, 0) {
		return Forever
	}
	return life + max(p.Grace, 0)
}

// Fresh returns how long the value of a key with a TTL is fresh: the TTL less a random part of the
// jitter.
func (p *Policy) Fresh(key string, ttl time.Duration, random random.Source) time.Duration {
	most := p.Jitter.of(ttl)
	if most <= 0 || ttl <= 1 || ttl == Forever {
		return ttl
	}
	if most >= ttl {
		most = ttl / 2
	}
	return ttl - time.Duration(random.Below(key, int64(most)+1))
}

// RefreshAt returns when a value that was loaded at a time, and is fresh until another,
// is due to be loaded in the background.
func (p *Policy) RefreshAt(loaded, freshUntil int64) int64 {
	ttl := Forever
	if freshUntil != clock.Never {
		ttl = time.Duration(freshUntil - loaded)
	}
	if d := p.Refresh.of(ttl); d > 0 {
		return clock.Add(loaded, d)
	}
	return clock.Never
}

// RecheckAt returns until when memory serves what it got at t without asking the shared
// tier again.
func (p *Policy) RecheckAt(t int64) int64 {
	if p.L1TTL <= 0 {
		return clock.Never
	}
	return clock.Add(t, p.L1TTL)
}
