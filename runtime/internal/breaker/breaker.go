// Package breaker is a circuit breaker: it keeps callers away from a service that does
// not answer.
//
// A breaker is closed while operations succeed. Some failures in a row open it: then no
// operation runs for a pause. After the pause it is half open: one operation, the trial,
// runs, and its outcome closes the breaker or opens it again. The pattern is described
// in Michael Nygard, Release It! (2007).
//
// An urgent operation, one that a caller should not have to make up for later, may be a
// trial before the pause is over. How long after the last failure depends on what that has
// cost: a server that refuses connections may be asked often, one that lets every call
// wait for its limit may not. See [Breaker.AllowUrgent]. One for which nobody waits may be a
// trial at any time, see [Patient].
//
// The mutex guards the state. It is held neither during an operation, nor while an urgent
// one waits, nor while Changed is called. While nothing has failed, Allow and Report take
// no lock.
package breaker

import (
	"context"
	"math"
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
	// Limit is how long an operation may take: a trial that fails after Limit keeps urgent
	// operations away for the whole pause. Zero: so does every trial that fails.
	Limit time.Duration
	pause atomic.Int64

	// watching is set from a failure until an operation succeeds while the breaker is
	// closed. Without it only failures are of interest.
	watching atomic.Bool
	openings atomic.Uint64 // how often it has been opened

	mu         sync.Mutex
	state      State
	failed     int       // in a row
	opened     time.Time // the pause counts from here
	ready      bool      // the next operation is the trial, although the pause is not over
	cause      error     // the failure that opened it
	lastFailed time.Time
	cost       time.Duration // of the last failure
	trial      uint64        // the ticket of the trial; 0 without one
	began      time.Time     // when the trial did
	ended      chan struct{} // closed when the trial has ended; nil unless one is waited for
	tickets    uint64        // how many trials there were
	changes    []change      // that Changed has not been told of
	telling    bool          // a goroutine calls Changed
}

type change struct {
	state State
	cause error
}

// PauseFor says how long b stays open. It may be called at any time.
func (b *Breaker) PauseFor(d time.Duration) { b.pause.Store(int64(d)) }

func (b *Breaker) pausing() time.Duration { return time.Duration(b.pause.Load()) }

// A Ticket is what an operation gets that may run. It is handed back with the outcome.
type Ticket struct {
	opening, trial uint64
	began          time.Time
	urgent         bool
}

// Trial reports whether the operation is a trial: the breaker is not closed.
func (t Ticket) Trial() bool { return t.trial != 0 }

// Allow reports whether an operation may run. If so, it ends with Report.
func (b *Breaker) Allow() (Ticket, bool) {
	if !b.watching.Load() {
		return b.ticket(), true
	}
	b.mu.Lock()
	defer b.unlock()
	if b.state == Closed {
		return b.ticket(), true
	}
	if b.trial != 0 || !b.ready && time.Since(b.opened) < b.pausing() {
		return Ticket{}, false
	}
	b.become(HalfOpen)
	return b.try(), true
}

type patient struct{}

// Patient returns a context for urgent operations that nobody waits for: they are trials
// whenever none is running, whatever the last one has cost. So a service that was away for a
// short time is found soon, also one that let every call wait for its limit.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patient{}, true) }

// IsPatient reports whether ctx is of operations that nobody waits for.
func IsPatient(ctx context.Context) bool { return ctx.Value(patient{}) != nil }

// AllowUrgent is Allow for an urgent operation. While b is open it may be a trial: once
// the last failure is as long ago as [Breaker.urgentPause] says, and no trial is running.
// It waits for a trial that has begun just now, until a tenth of Limit after its beginning:
// so one that succeeds at once lets it through. Such a trial leaves b open until it
// succeeds.
func (b *Breaker) AllowUrgent(ctx context.Context) (Ticket, bool) {
	for {
		t, ok, ended, patience := b.tryUrgent(ctx)
		if ended == nil {
			return t, ok
		}
		timer := time.NewTimer(patience)
		select {
		case <-ended:
			timer.Stop()
		case <-timer.C:
			return Ticket{}, false
		case <-ctx.Done():
			timer.Stop()
			return Ticket{}, false
		}
	}
}

// Patience returns for how long an urgent operation should wait for something else before it asks
// [Breaker.AllowUrgent]: while b is open, for no longer than that would let it wait. It is the
// longest duration if nothing speaks against waiting.
func (b *Breaker) Patience() time.Duration {
	if !b.watching.Load() {
		return math.MaxInt64
	}
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.state == Closed:
		return math.MaxInt64
	case b.trial != 0:
		return max(b.Limit/10-time.Since(b.began), 0)
	case !b.ready && time.Since(b.lastFailed) < b.urgentPause():
		return 0
	}
	return math.MaxInt64
}

// tryUrgent returns, in place of an answer, what to wait for and how long.
func (b *Breaker) tryUrgent(ctx context.Context) (t Ticket, ok bool, ended <-chan struct{}, patience time.Duration) {
	if !b.watching.Load() {
		return b.ticket(), true, nil, 0
	}
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.state == Closed:
		return b.ticket(), true, nil, 0
	case b.trial == 0 && !b.ready && time.Since(b.lastFailed) < b.urgentPause() && !IsPatient(ctx):
		return Ticket{}, false, nil, 0
	case b.trial == 0:
		t := b.try()
		t.urgent = true
		return t, true, nil, 0
	}
	if patience = b.Limit/10 - time.Since(b.began); patience <= 0 {
		return Ticket{}, false, nil, 0
	}
	if b.ended == nil {
		b.ended = make(chan struct{})
	}
	return Ticket{}, false, b.ended, patience
}

// urgentPause is how long after a failure an urgent operation is no trial: the whole pause
// after one that took Limit, and a part that falls with the square of what the failure took.
// With a pause of 5 s and a limit of 1 s that is 5 ms after one that took 30 ms.
func (b *Breaker) urgentPause() time.Duration {
	pause := b.pausing()
	if b.Limit <= 0 || b.cost >= b.Limit {
		return pause
	}
	share := float64(b.cost) / float64(b.Limit)
	return time.Duration(float64(pause) * share * share)
}

// ticket is that of an operation that is no trial.
func (b *Breaker) ticket() Ticket { return Ticket{opening: b.openings.Load(), began: time.Now()} }

// try begins a trial. It is called under mu.
func (b *Breaker) try() Ticket {
	b.tickets++
	b.trial, b.began = b.tickets, time.Now()
	return Ticket{opening: b.openings.Load(), trial: b.trial, began: b.began}
}

// endTrial is called under mu. The outcome of a trial that is still running does not count.
func (b *Breaker) endTrial() {
	b.trial = 0
	if b.ended != nil {
		close(b.ended)
		b.ended = nil
	}
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
			b.count(t, o, err)
		}
	case t.trial == 0 || t.trial != b.trial:
	case o == Success:
		b.close()
	case o == Failure && t.urgent: // the pause of the others goes on
		b.endTrial()
		b.failedNow(t, err)
	case o == Failure:
		b.failedNow(t, err)
		b.open()
	default: // the next operation is the trial
		b.endTrial()
		b.become(Open)
	}
}

// failedNow is called under mu.
func (b *Breaker) failedNow(t Ticket, err error) {
	b.ready = false
	b.lastFailed, b.cost, b.cause = time.Now(), time.Since(t.began), err
}

// count is called under mu while b is closed.
func (b *Breaker) count(t Ticket, o Outcome, err error) {
	switch o {
	case Success:
		b.failed = 0
		b.watching.Store(false)
	case Failure:
		b.failed++
		b.watching.Store(true)
		if b.failed >= b.Failures {
			b.failedNow(t, err)
			b.open()
		}
	}
}

// open is called under mu.
func (b *Breaker) open() {
	b.endTrial()
	b.failed = 0
	b.openings.Add(1)
	b.opened = time.Now()
	b.become(Open)
}

// close is called under mu.
func (b *Breaker) close() {
	b.endTrial()
	b.failed, b.cause = 0, nil
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

// TryNow makes the next operation a trial, whatever the pause: something else says that the
// service may be back. A trial that is running began before that, so it does not count.
func (b *Breaker) TryNow() {
	if !b.watching.Load() {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	if b.state == Closed {
		return
	}
	b.ready = true
	b.endTrial()
	b.become(Open)
}

// Reset closes b. Outcomes of operations that are running do not count.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.unlock()
	b.openings.Add(1)
	b.close()
}
