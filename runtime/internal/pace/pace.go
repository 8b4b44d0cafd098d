// Package pace says how many keys an operation on the shared tier names. A call of many keys
// is made in chunks, each of which is an operation with a time limit of its own. As one
// operation it would take longer than that, count as an outage, and hold up those who wait for
// one of its keys.
//
// A Pace is read and changed without a lock: of two operations that end at once, one is
// forgotten.
package pace

import (
	"sync/atomic"
	"time"
)

// Numbers of keys.
const (
	first    = 512
	Smallest = 16
	Largest  = 4096
)

// A Pace follows the time that operations take: a disk takes some milliseconds for each key,
// another server the same for thousands. The zero Pace is ready.
type Pace struct{ n atomic.Int64 } // 0: first

// Keys returns how many keys the next operation is to have.
func (p *Pace) Keys() int {
	if n := p.n.Load(); n > 0 {
		return int(n)
	}
	return first
}

// Of returns how many of n keys are to be named at a time; most, if not zero, is what the
// user allows.
func (p *Pace) Of(n, most int) int {
	size := p.Keys()
	if most > 0 {
		size = min(size, most)
	}
	return min(size, n)
}

// Took learns from an operation on n keys, which had a time limit and failed with err. A
// quarter of the limit is enough for a chunk.
func (p *Pace) Took(n int, took, limit time.Duration, err error) {
	now := p.Keys()
	switch {
	case took > limit/4:
		p.n.Store(int64(max(min(now, n)/2, Smallest)))
	case err == nil && took < limit/16 && n >= now:
		p.n.Store(int64(min(2*now, Largest)))
	}
}
