// Package breaker keeps callers away from something that does not answer.
//
// A breaker is closed while all is well. Some failures in a row open it: then
// nobody is let through for a while. After that it is half open: one caller may
// try, and what becomes of that one closes the breaker or opens it again.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// A State is what a breaker does at the moment.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

// An Outcome is what became of what a caller tried.
type Outcome uint8

// The outcomes. Unknown says nothing of what is behind the breaker, such as that
// the caller gave up.
const (
	Success Outcome = iota
	Failure
	Unknown
)

// A Breaker is used by many goroutines at once. The zero Breaker is always closed.
type Breaker struct {
	// Failures is how many failures in a row open it; zero keeps it closed, and so
	// does a [Breaker.PauseFor] of zero. Changed, if not nil, is told of each change
	// of state, one at a time, in order, with no lock held.
	Failures int
	Changed  func(State)
	pause    atomic.Int64

	// uneasy is set from a failure until all is well again. Without it there is
	// nothing to ask, and only a failure to report.
	uneasy   atomic.Bool
	openings atomic.Uint64 // how often it has been opened

	mu      sync.Mutex
	state   State
	failed  int // in a row
	opened  time.Time
	trial   uint64  // the ticket of the one who tries while it is half open; 0 if nobody does
	tickets uint64  // of those who tried
	news    []State // that Changed has not been told of
	telling bool    // somebody is telling it
}

// PauseFor says how long b stays open. It may be called at any time.
func (b *Breaker) PauseFor(d time.Duration) { b.pause.Store(int64(d)) }

func (b *Breaker) pausing() time.Duration { return time.Duration(b.pause.Load()) }

// A Ticket is handed to who is let through, and handed back with the outcome.
type Ticket struct{ opening, trial uint64 }

// Allow reports whether the caller may try. If so, it ends with Report.
func (b *Breaker) Allow() (Ticket, bool) {
	if !b.uneasy.Load() {
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

// Report says what became of what the holder of a ticket has tried. Outcomes from
// before the breaker was opened for the last time count no more.
func (b *Breaker) Report(t Ticket, o Outcome) {
	if o != Failure && !b.uneasy.Load() || b.Failures <= 0 {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.state == Closed:
		if t.opening == b.openings.Load() && b.pausing() > 0 {
			b.count(o)
		}
	case t.trial == 0 || t.trial != b.trial:
	case o == Success:
		b.trial, b.failed = 0, 0
		b.become(Closed)
		b.uneasy.Store(false)
	case o == Failure:
		b.open()
	default: // the next one tries
		b.trial = 0
		b.become(Open)
	}
}

// count is called under mu while b is closed.
func (b *Breaker) count(o Outcome) {
	switch o {
	case Success:
		b.failed = 0
		b.uneasy.Store(false)
	case Failure:
		b.failed++
		b.uneasy.Store(true)
		if b.failed >= b.Failures {
			b.open()
		}
	}
}

func (b *Breaker) open() {
	b.trial, b.failed = 0, 0
	b.openings.Add(1)
	b.opened = time.Now()
	b.become(Open)
}

func (b *Breaker) become(s State) {
	if b.state == s {
		return
	}
	b.state = s
	if b.Changed != nil {
		b.news = append(b.news, s)
	}
}

// unlock tells what has changed, unless somebody does, and unlocks mu.
func (b *Breaker) unlock() {
	defer b.mu.Unlock()
	if b.telling {
		return
	}
	b.telling = true
	for len(b.news) > 0 {
		s := b.news[0]
		b.news = b.news[1:]
		b.mu.Unlock()
		b.Changed(s)
		b.mu.Lock()
	}
	b.telling = false
}

// State returns what b does at the moment. While nobody comes, it stays open
// beyond its pause.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.unlock()
	return b.state
}

// Reset closes b, whatever has been.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.unlock()
	b.trial, b.failed = 0, 0
	b.openings.Add(1)
	b.become(Closed)
	b.uneasy.Store(false)
}
