// Package breaker is a circuit breaker: it keeps callers away from a service that does
// not answer.
//
// A breaker is closed while operations succeed. Some failures in a row open it: then no
// operation runs for a pause. After the pause it is half open: one operation, the trial,
// runs, and its outcome closes the breaker or opens it again. The pattern is described
// in Michael Nygard, Release It! (2007).
//
// The mutex guards the state. It is held neither during an operation nor while Changed
// is called. While nothing has failed, Allow and Report take no lock.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// A State says which operations may run.
type State uint8

// The states.
const (
	Closed   State = iota // all
	Open                  // none
	HalfOpen              // one, as a trial
)

// String returns closed, open or half-open.
func (s State) String() string {
	return [...]string{"closed", "open", "half-open"}[min(s, HalfOpen)]
}

// An Outcome says how an operation ended.
type Outcome uint8

// The outcomes. Unknown says nothing about the service: the caller gave up, for example.
const (
	Success Outcome = iota
	Failure
	Unknown
)

// A Breaker may be used by many goroutines at once. The zero Breaker is always closed.
type Breaker struct {
	// Failures is how many failures in a row open it; zero keeps it closed, and so
	// does a [Breaker.PauseFor] of zero. Changed, if not nil, is told of each change
	// of state, with the failure that opened the breaker: one change at a time, in
	// order, with no lock held.
	Failures int
	Changed  func(State, error)
	pause    atomic.Int64

	// watching is set from a failure until an operation succeeds while the breaker is
	// closed. Without it only failures are of interest.
	watching atomic.Bool
	openings atomic.Uint64 // how often it has been opened

	mu      sync.Mutex
	state   State
	failed  int // in a row
	opened  time.Time
	cause   error    // the failure that opened it
	trial   uint64   // the ticket of the trial while it is half open; 0 without one
	tickets uint64   // how many trials there were
	changes []change // that Changed has not been told of
	telling bool     // a goroutine calls Changed
}

type change struct {
	state State
	cause error
}

// PauseFor says how long b stays open. It may be called at any time.
func (b *Breaker) PauseFor(d time.Duration) { b.pause.Store(int64(d)) }

func (b *Breaker) pausing() time.Duration { return time.Duration(b.pause.Load()) }

// A Ticket is what an operation gets that may run. It is handed back with the outcome.
type Ticket struct{ opening, trial uint64 }

// Allow reports whether an operation may run. If so, it ends with Report.
func (b *Breaker) Allow() (Ticket, bool) {
	if !b.watching.Load() {
		return Ticket{opening: b.openings.Load()}, true
	}
	b.mu.Lock()
	defer b.unlock()
	if b.state == Closed {
		return Ticket{opening: b.openings.Load()}, true
	}
	if b.trial != 0 || time.Since(b.opened) < b.pausing() {
		return Ticket{}, false
	}
	b.tickets++
	b.trial = b.tickets
	b.become(HalfOpen)
	return Ticket{opening: b.openings.Load(), trial: b.trial}, true
}

// Report says how the operation of a ticket ended, and with a Failure, why. Outcomes of
// operations that began before the breaker was opened last do not count.
func (b *Breaker) Report(t Ticket, o Outcome, err error) {
	if o != Failure && !b.watching.Load() || b.Failures <= 0 {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.state == Closed:
		if t.opening == b.openings.Load() && b.pausing() > 0 {
			b.count(o, err)
		}
	case t.trial == 0 || t.trial != b.trial:
	case o == Success:
		b.close()
	case o == Failure:
		b.open(err)
	default: // the next operation is the trial
		b.trial = 0
		b.become(Open)
	}
}

// count is called under mu while b is closed.
func (b *Breaker) count(o Outcome, err error) {
	switch o {
	case Success:
		b.failed = 0
		b.watching.Store(false)
	case Failure:
		b.failed++
		b.watching.Store(true)
		if b.failed >= b.Failures {
			b.open(err)
		}
	}
}

// open is called under mu.
func (b *Breaker) open(err error) {
	b.trial, b.failed = 0, 0
	b.openings.Add(1)
	b.opened, b.cause = time.Now(), err
	b.become(Open)
}

// close is called under mu.
func (b *Breaker) close() {
	b.trial, b.failed, b.cause = 0, 0, nil
	b.become(Closed)
	b.watching.Store(false)
}

func (b *Breaker) become(s State) {
	if b.state == s {
		return
	}
	b.state = s
	if b.Changed != nil {
		c := change{state: s}
		if s == Open {
			c.cause = b.cause
		}
		b.changes = append(b.changes, c)
	}
}

// unlock tells Changed what has changed, unless another goroutine does, and unlocks mu.
func (b *Breaker) unlock() {
	defer b.mu.Unlock()
	if b.telling {
		return
	}
	b.telling = true
	for len(b.changes) > 0 {
		c := b.changes[0]
		b.changes = b.changes[1:]
		b.mu.Unlock()
		b.Changed(c.state, c.cause)
		b.mu.Lock()
	}
	b.telling = false
}

// State returns the state. Without an operation that asks, an open breaker stays open
// beyond its pause.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.unlock()
	return b.state
}

// Cause returns when b was opened last and the failure that opened it, which is nil while
// it is closed.
func (b *Breaker) Cause() (opened time.Time, err error) {
	b.mu.Lock()
	defer b.unlock()
	return b.opened, b.cause
}

// Reset closes b. Outcomes of operations that are running do not count.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.unlock()
	b.openings.Add(1)
	b.close()
}
