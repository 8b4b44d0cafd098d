package breaker

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

var errTest = errors.New("refused to answer")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func try(b *Breaker, o Outcome) bool {
	t, ok := b.Allow()
	if ok {
		b.Report(t, o, errTest)
	}
	return ok
}

func newBreaker(failures int, pause time.Duration, changed func(State, error)) *Breaker {
	b := &Breaker{Failures: failures, Changed: changed}
	b.PauseFor(pause)
	return b
}

func TestFailuresInARowOpenIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []State
		b := newBreaker(3, time.Second, func(s State, _ error) { states = append(states, s) })
		for _, o := range []Outcome{Failure, Failure, Success, Failure, Unknown, Failure} {
			if !try(b, o) {
				t.Fatal("open before three failures in a row")
			}
		}
		try(b, Failure)
		if try(b, Success) || b.State() != Open {
			t.Fatal("not open")
		}
		if _, err := b.Cause(); err != errTest {
			t.Fatalf("opened by %v, want the last failure", err)
		}
		time.Sleep(time.Second - 1)
		if try(b, Success) {
			t.Fatal("half open too early")
		}
		time.Sleep(time.Nanosecond)
		if !try(b, Success) || b.State() != Closed {
			t.Fatal("a trial that succeeds does not close it")
		}
		if !slices.Equal(states, []State{Open, HalfOpen, Closed}) {
			t.Fatal(states)
		}
		if _, err := b.Cause(); err != nil {
			t.Fatal("a closed breaker has a cause:", err)
		}
	})
}

func TestOneTriesWhileItIsHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, nil)
		try(b, Failure)
		time.Sleep(time.Second)
		trial, ok := b.Allow()
		if !ok {
			t.Fatal("nobody may try")
		}
		if try(b, Success) {
			t.Fatal("a second one may try")
		}
		b.Report(trial, Failure, errTest)
		time.Sleep(time.Second - 1)
		if try(b, Success) {
			t.Fatal("the pause does not begin anew with the trial's failure")
		}
		time.Sleep(time.Nanosecond)
		trial, ok = b.Allow()
		if !ok {
			t.Fatal("nobody may try after the second pause")
		}
		b.Report(trial, Unknown, errTest)
		if !try(b, Success) || b.State() != Closed {
			t.Fatal("a trial without an answer keeps the next one from trying")
		}
	})
}

// An operation that hung since before the breaker was opened says nothing of now.
func TestOutcomesFromBeforeCountNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, nil)
		early, _ := b.Allow()
		other, _ := b.Allow()
		try(b, Failure)
		b.Report(early, Success, errTest)
		if b.State() != Open {
			t.Fatal("closed by an outcome from before")
		}
		time.Sleep(time.Second)
		try(b, Success)
		b.Report(other, Failure, errTest)
		if b.State() != Closed {
			t.Fatal("opened by an outcome from before")
		}
	})
}

func TestWithoutAPauseItStaysClosed(t *testing.T) {
	for _, b := range []*Breaker{{}, newBreaker(1, 0, nil), newBreaker(0, time.Second, nil)} {
		for range 100 {
			if !try(b, Failure) {
				t.Fatal("open")
			}
		}
	}
}

func TestResetClosesIt(t *testing.T) {
	b := newBreaker(1, time.Hour, nil)
	late, _ := b.Allow()
	try(b, Failure)
	b.Reset()
	if b.State() != Closed || !try(b, Success) {
		t.Fatal("not closed")
	}
	b.Report(late, Failure, errTest) // from before
	if b.State() != Closed {
		t.Fatal("opened by an outcome from before")
	}
}

// Whoever is told of a change may use the breaker.
func TestChangedIsCalledInOrderWithNoLockHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []State
		var b *Breaker
		b = newBreaker(1, time.Second, func(s State, _ error) {
			states = append(states, s)
			if s == Open && len(states) < 3 {
				time.Sleep(time.Second)
				try(b, Success) // half open, closed
			}
		})
		try(b, Failure)
		if !slices.Equal(states, []State{Open, HalfOpen, Closed}) {
			t.Fatal(states)
		}
	})
}

// A pause that is taken back while the breaker is open lets everyone through again.
func TestAPauseOfZeroWhileItIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Breaker{Failures: 1}
		b.PauseFor(time.Minute)
		ticket, _ := b.Allow()
		b.Report(ticket, Failure, errTest)
		b.PauseFor(0)
		for i := range 3 {
			ticket, ok := b.Allow()
			if !ok {
				t.Fatalf("try %d: not let through", i)
			}
			b.Report(ticket, Success, errTest)
		}
	})
}
