// Package pace says how many keys an operation on the shared tier names. A call of many keys
// is made in chunks, each of which is an operation with a time limit of its own. As one
// operation it would take longer than that, count as an outage, and hold up those who wait for
// one of its keys.
//
// A Pace is read and changed without a lock: of two operations that end at once, one is
// forgotten.
package pace

import (
	"context"
	"sync/atomic"
	"time"
)

// Numbers of keys.
const (
	first    = 512
	Smallest = 16
	Largest  = 4096
)

// most bounds the bytes of the values of a chunk.
const most = 4 << 20

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

// Of returns how many of n keys are to be named at a time; allowed, if not zero, is what the
// user allows.
func (p *Pace) Of(n, allowed int) int {
	size := p.Keys()
	if allowed > 0 {
		size = min(size, allowed)
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

// Each runs do for ranges of n keys, one after the other, until one fails or ctx ends. limit is
// how long each may take; size returns the bytes of a key's value, nil if they do not count.
func (p *Pace) Each(ctx context.Context, n int, limit time.Duration, size func(i int) int, do func(from, to int) error) error {
	for from := 0; from == 0 || from < n; {
		to, bytes := from, 0
		for keys := p.Keys(); to < n && to-from < keys; to++ {
			if size != nil {
				if bytes += size(to); bytes > most && to > from {
					break
				}
			}
		}
		if from > 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		began := time.Now()
		err := do(from, to)
		p.Took(to-from, time.Since(began), limit, err)
		if err != nil || n == 0 {
			return err
		}
		from = to
	}
	return nil
}
