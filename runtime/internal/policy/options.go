// Package policy holds the options that say how a value is cached: for how long it is
// fresh and may be stale, how long callers wait, and which tiers keep it.
//
// Options are what one level says: a call, a directive, a store, all stores. A [Policy]
// is what holds: levels that are silent leave an option to the next. A Policy is a
// plain value. Nothing here is shared or locked, and nothing here knows of tiers,
// stamps or keys.
package policy

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
)

// Forever is a TTL that never ends.
const Forever time.Duration = math.MaxInt64

// An Opt is an option that a level may give.
type Opt[T any] struct {
	Value T
	Given bool
}

// Some returns an option that is given.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// replace makes o what later is, if that was given.
func (o *Opt[T]) replace(later Opt[T]) {
	if later.Given {
		*o = later
	}
}

// Or returns o's value if it is given, and v otherwise.
func (o Opt[T]) Or(v T) T {
	if o.Given {
		return o.Value
	}
	return v
}

// Options are what one level says.
type Options struct {
	TTL, Grace, GraceBackoff, SoftTimeout, HardTimeout Opt[time.Duration]
	ErrorTTL, LockTimeout, NotFoundTTL, L1TTL          Opt[time.Duration]
	Refresh, Jitter                                    Opt[Span]
	SuppressL2Errors, SkipL2Write, SkipBusNotify       Opt[bool]
	OnLoadError                                        Opt[func(*event.LoadError)]
	BatchMax                                           Opt[int]
	InvalidationErrors                                 Opt[Errors]
}

// Errors say what becomes of the error of an invalidation that did not reach everyone.
type Errors uint8

// What becomes of it: its caller gets it, or it is logged.
const (
	Report Errors = iota
	Log
)

// Merge returns o with what later says in its place.
func (o Options) Merge(later Options) Options {
	o.TTL.replace(later.TTL)
	o.Grace.replace(later.Grace)
	o.GraceBackoff.replace(later.GraceBackoff)
	o.SoftTimeout.replace(later.SoftTimeout)
	o.HardTimeout.replace(later.HardTimeout)
	o.ErrorTTL.replace(later.ErrorTTL)
	o.NotFoundTTL.replace(later.NotFoundTTL)
	o.LockTimeout.replace(later.LockTimeout)
	o.L1TTL.replace(later.L1TTL)
	o.Refresh.replace(later.Refresh)
	o.Jitter.replace(later.Jitter)
	o.SuppressL2Errors.replace(later.SuppressL2Errors)
	o.SkipL2Write.replace(later.SkipL2Write)
	o.SkipBusNotify.replace(later.SkipBusNotify)
	o.OnLoadError.replace(later.OnLoadError)
	o.BatchMax.replace(later.BatchMax)
	o.InvalidationErrors.replace(later.InvalidationErrors)
	return o
}

// Check refuses what no Policy can have, where options are given for long. For those of a
// single call see [Call.Check].
func (o Options) Check() error {
	if err := o.checkValues(); err != nil {
		return err
	}
	if o.TTL.Given && o.TTL.Value <= 0 {
		return fmt.Errorf("TTL %v is not positive", o.TTL.Value)
	}
	return nil
}

// checkValues refuses values that are wrong by themselves, but for the TTL.
func (o Options) checkValues() error {
	for _, d := range []struct {
		name string
		Opt[time.Duration]
	}{
		{"Grace", o.Grace}, {"GraceBackoff", o.GraceBackoff}, {"Timeout", o.SoftTimeout}, {"HardTimeout", o.HardTimeout},
		{"LockTimeout", o.LockTimeout}, {"ErrorTTL", o.ErrorTTL}, {"NotFoundTTL", o.NotFoundTTL}, {"L1TTL", o.L1TTL},
		{"RefreshAfter", Some(o.Refresh.Value.Time)}, {"Jitter", Some(o.Jitter.Value.Time)},
	} {
		if d.Value < 0 {
			return fmt.Errorf("%s %v is negative", d.name, d.Value)
		}
	}
	for _, p := range []struct {
		name    string
		percent int
	}{{"RefreshPercent", o.Refresh.Value.Percent}, {"JitterPercent", o.Jitter.Value.Percent}} {
		if p.percent < 0 || p.percent > 99 {
			return fmt.Errorf("%s %d is not from 1 to 99, nor 0 for none", p.name, p.percent)
		}
	}
	if o.BatchMax.Value < 0 {
		return fmt.Errorf("BatchMax %d is negative", o.BatchMax.Value)
	}
	if o.InvalidationErrors.Value > Log {
		return fmt.Errorf("InvalidationErrors %d is neither Report nor Log", o.InvalidationErrors.Value)
	}
	return nil
}

// CheckOptions refuses options of one level that are wrong by themselves, or contradict each
// other.
func CheckOptions(o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	return Policy{}.Apply(o).Check()
}

// A Span is a duration, or a percentage of the TTL. The zero Span is none.
type Span struct {
	Time    time.Duration
	Percent int
}

func (s Span) of(ttl time.Duration) time.Duration {
	if s.Percent == 0 || ttl == Forever {
		return s.Time
	}
	return time.Duration(float64(ttl) * float64(min(s.Percent, 99)) / 100)
}

// Check refuses options that contradict each other, across the levels that have been
// applied. Without a TTL, what depends on the TTL is not known yet.
func (p Policy) Check() error {
	switch {
	case p.HardTimeout > 0 && p.SoftTimeout >= p.HardTimeout:
		return fmt.Errorf("HardTimeout %v is not above Timeout %v", p.HardTimeout, p.SoftTimeout)
	case p.TTL == 0:
		return nil
	case p.TTL < 0:
		return errors.New("TTL is negative")
	case p.L1TTL > p.TTL:
		return fmt.Errorf("L1TTL %v is above the TTL %v", p.L1TTL, p.TTL)
	case p.Refresh.Time >= p.TTL:
		return fmt.Errorf("RefreshAfter %v is not below the TTL %v", p.Refresh.Time, p.TTL)
	case p.Jitter.Time >= p.TTL:
		return fmt.Errorf("TTL %v is not above Jitter %v", p.TTL, p.Jitter.Time)
	}
	return nil
}
