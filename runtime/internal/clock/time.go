package clock

import (
	"math"
	"sync/atomic"
	"time"
)

// Never is a time that does not come, in nanoseconds since 1970 like all times of the
// runtime.
const Never int64 = math.MaxInt64

// tolerance is how far two clocks may be apart before that counts as a difference: the
// machine's clock is corrected by small steps all the time.
const tolerance = int64(time.Millisecond)

var (
	start = time.Now() // the process began about then

	ahead atomic.Int64 // of Now, before Mono: how far the machine's clock has been set forward since
	skew  atomic.Int64 // of Now, before Wall, as it was last found
	moved atomic.Int64 // how far Wall is set beside the machine's clock, for tests
)

// Now returns the exact time in nanoseconds since 1970, as this process counts it: it never
// goes back, however the machine's clock is set. If that is set forward, Now follows,
// because the machine may have been suspended.
func Now() int64 {
	mono, wall := read()
	return now(mono, wall)
}

func now(mono, wall int64) int64 {
	for {
		a := ahead.Load()
		if wall-mono-a <= tolerance {
			return mono + a
		}
		ahead.CompareAndSwap(a, wall-mono)
	}
}

// Mono returns the exact time in nanoseconds since 1970 as it would be if nobody had set a
// clock, or suspended the machine, since the process began. It is for spans that must not
// end early.
func Mono() int64 {
	mono, _ := read()
	return mono
}

// Wall returns what the machine's clock shows, in nanoseconds since 1970. It is for times
// that other machines read.
func Wall() int64 {
	_, wall := read()
	return wall
}

// read reads both clocks. In virtual time they are the same.
func read() (mono, wall int64) {
	t := time.Now()
	return start.UnixNano() + int64(t.Sub(start)), t.UnixNano() + moved.Load()
}

// ToWall returns what the machine's clock shows at a time of Now.
func ToWall(t int64) int64 {
	if t == Never {
		return Never
	}
	return t - skewNow()
}

// FromWall is the inverse of [ToWall].
func FromWall(t int64) int64 {
	if t == Never {
		return Never
	}
	return Add(t, time.Duration(skewNow()))
}

// skewNow returns how far Now is before Wall. It changes by more than the tolerance or not
// at all, so that a time that goes both ways is the same again.
func skewNow() int64 {
	mono, wall := read()
	found, s := now(mono, wall)-wall, skew.Load()
	if found-s > tolerance || s-found > tolerance {
		skew.Store(found)
		return found
	}
	return s
}

// Set sets Wall beside the machine's clock, until restore is called. It is for tests in
// virtual time, which cannot set a clock.
func Set(by time.Duration) (restore func()) {
	moved.Store(int64(by))
	return func() {
		moved.Store(0)
		ahead.Store(0)
		skew.Store(0)
	}
}

// Add returns t plus d. What lies beyond the calendar is Never.
func Add(t int64, d time.Duration) int64 {
	if t > 0 && int64(d) >= Never-t || t == Never {
		return Never
	}
	return t + int64(d)
}

// Span returns the time from one moment to another: not less than zero, and the longest
// duration if it is longer.
func Span(from, to int64) time.Duration {
	switch d := to - from; {
	case to <= from:
		return 0
	case d < 0:
		return math.MaxInt64
	default:
		return time.Duration(d)
	}
}

// Multiply returns n times d, or the longest duration if that is longer.
func Multiply(n int64, d time.Duration) time.Duration {
	if d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return time.Duration(n) * d
}
