package gen

import (
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// An Option is a baked-in option of a [Definition]. Its types are called like the functions
// of package runtime that they stand for. They are constants, so that a definition is data:
// nothing runs when a program starts, and nothing has to be compiled.
type Option interface {
	// Runtime returns the option as the runtime knows it.
	Runtime() runtime.Option
}

// The options that are durations.
type (
	TTL          time.Duration
	L1TTL        time.Duration
	Grace        time.Duration
	GraceBackoff time.Duration
	Timeout      time.Duration
	HardTimeout  time.Duration
	LockTimeout  time.Duration
	NotFoundTTL  time.Duration
	ErrorTTL     time.Duration
	Jitter       time.Duration
	RefreshAfter time.Duration
)

// The options that are numbers.
type (
	JitterPercent  int
	RefreshPercent int
	BatchMax       int
)

// InvalidationErrors is the option of that name. Its zero value says nothing.
type InvalidationErrors uint8

// What becomes of errors of invalidations: runtime.Report and runtime.Log.
const (
	ReportErrors InvalidationErrors = iota + 1
	LogErrors
)

// Runtime returns a runtime.InvalidationErrors.
func (o InvalidationErrors) Runtime() runtime.Option {
	return runtime.InvalidationErrors(o.given().Value)
}

// given returns what the option says, if it says something.
func (o InvalidationErrors) given() (said policy.Opt[policy.Errors]) {
	switch o {
	case ReportErrors:
		return policy.Some(policy.Report)
	case LogErrors:
		return policy.Some(policy.Log)
	}
	return said
}

// Runtime returns runtime.TTL.
func (o TTL) Runtime() runtime.Option { return runtime.TTL(time.Duration(o)) }

// Runtime returns runtime.L1TTL.
func (o L1TTL) Runtime() runtime.Option { return runtime.L1TTL(time.Duration(o)) }

// Runtime returns runtime.Grace.
func (o Grace) Runtime() runtime.Option { return runtime.Grace(time.Duration(o)) }

// Runtime returns runtime.GraceBackoff.
func (o GraceBackoff) Runtime() runtime.Option { return runtime.GraceBackoff(time.Duration(o)) }

// Runtime returns runtime.Timeout.
func (o Timeout) Runtime() runtime.Option { return runtime.Timeout(time.Duration(o)) }

// Runtime returns runtime.HardTimeout.
func (o HardTimeout) Runtime() runtime.Option { return runtime.HardTimeout(time.Duration(o)) }

// Runtime returns runtime.LockTimeout.
func (o LockTimeout) Runtime() runtime.Option { return runtime.LockTimeout(time.Duration(o)) }

// Runtime returns runtime.NotFoundTTL.
func (o NotFoundTTL) Runtime() runtime.Option { return runtime.NotFoundTTL(time.Duration(o)) }

// Runtime returns runtime.ErrorTTL.
func (o ErrorTTL) Runtime() runtime.Option { return runtime.ErrorTTL(time.Duration(o)) }

// Runtime returns runtime.Jitter.
func (o Jitter) Runtime() runtime.Option { return runtime.Jitter(time.Duration(o)) }

// Runtime returns runtime.RefreshAfter.
func (o RefreshAfter) Runtime() runtime.Option { return runtime.RefreshAfter(time.Duration(o)) }

// Runtime returns runtime.JitterPercent.
func (o JitterPercent) Runtime() runtime.Option { return runtime.JitterPercent(int(o)) }

// Runtime returns runtime.RefreshPercent.
func (o RefreshPercent) Runtime() runtime.Option { return runtime.RefreshPercent(int(o)) }

// Runtime returns runtime.BatchMax.
func (o BatchMax) Runtime() runtime.Option { return runtime.BatchMax(int(o)) }
