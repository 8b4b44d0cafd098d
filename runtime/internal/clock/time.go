package clock

import (
	"math"
	"time"
)

// Never is a time that does not come, in nanoseconds since 1970 like all times of the
// runtime.
const Never int64 = math.MaxInt64

// Now returns the exact time in nanoseconds since 1970.
func Now() int64 { return time.Now().UnixNano() }

// Add returns t plus d. What lies beyond the calendar is Never.
func Add(t int64, d time.Duration) int64 {
	if t > 0 && int64(d) >= Never-t || t == Never {
		return Never
	}
	return t + int64(d)
}

// Multiply returns n times d, or the longest duration if that is longer.
func Multiply(n int64, d time.Duration) time.Duration {
	if d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return time.Duration(n) * d
}
