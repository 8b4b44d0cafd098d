package breaker

import (
	"context"
	"errors"
	"math"
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

func tryUrgent(t *testing.T, b *Breaker, took time.Duration, o Outcome) bool {
	t.Helper()
	ticket, ok := b.AllowUrgent(t.Context())
	if ok {
		time.Sleep(took)
		b.Report(ticket, o, errTest)
	}
	return ok
}

// One pause for all makes a short outage long: whoever must not come in vain tries soon
// after a failure that cost little, and late after one that cost much.
func TestAnUrgentOperationIsATrialAsSoonAsItsFailureIsCheap(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0:                       0,
		time.Millisecond:        5 * time.Microsecond,
		100 * time.Millisecond:  50 * time.Millisecond,
		500 * time.Millisecond:  1250 * time.Millisecond,
		time.Second:             5 * time.Second,
		1500 * time.Millisecond: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			var states []State
			b := newBreaker(1, 5*time.Second, func(s State, _ error) { states = append(states, s) })
			b.Limit = time.Second
			if !tryUrgent(t, b, took, Failure) {
				t.Fatal("not let through while it is closed")
			}
			if want > 0 {
				time.Sleep(want - 1)
				if tryUrgent(t, b, 0, Success) {
					t.Errorf("a trial %v after a failure that took %v", want-1, took)
				}
				time.Sleep(time.Nanosecond)
			}
			if want < 5*time.Second && try(b, Success) {
				t.Error("another operation is let through, too")
			}
			if !tryUrgent(t, b, 0, Success) || b.State() != Closed {
				t.Errorf("no trial %v after a failure that took %v", want, took)
			}
			if !slices.Equal(states, []State{Open, Closed}) {
				t.Error(states)
			}
		})
	}
}

// Urgent operations that fail again and again do not keep the others away for longer.
func TestUrgentTrialsDoNotProlongThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, nil)
		b.Limit = time.Second
		try(b, Failure)
		for range 9 {
			time.Sleep(100 * time.Millisecond)
			if !tryUrgent(t, b, time.Microsecond, Failure) {
				t.Fatal("not tried")
			}
		}
		time.Sleep(100 * time.Millisecond)
		if !try(b, Success) {
			t.Fatal("the pause is over")
		}
	})
}

func TestAnUrgentOperationWaitsForATrialThatHasJustBegun(t *testing.T) {
	for name, test := range map[string]struct {
		took    time.Duration
		outcome Outcome
		waited  time.Duration
		ok      bool
	}{
		"succeeds at once":                    {50 * time.Millisecond, Success, 40 * time.Millisecond, true},
		"fails at once: it is the next trial": {time.Millisecond, Failure, 0, true},
		"says nothing: it is the next trial":  {50 * time.Millisecond, Unknown, 40 * time.Millisecond, true},
		"hangs":                               {time.Second, Failure, 90 * time.Millisecond, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(1, 5*time.Second, nil)
			b.Limit = time.Second
			try(b, Failure)
			go tryUrgent(t, b, test.took, test.outcome)
			time.Sleep(10 * time.Millisecond)
			began := time.Now()
			ticket, ok := b.AllowUrgent(t.Context())
			if ok != test.ok || time.Since(began) != test.waited {
				t.Errorf("%s: %v after %v, want %v after %v", name, ok, time.Since(began), test.ok, test.waited)
			}
			if ok {
				b.Report(ticket, Success, nil)
			}
			time.Sleep(time.Second)
		})
	}
}

func TestWhoGivesUpWaitsForNoTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, 5*time.Second, nil)
		b.Limit = time.Second
		try(b, Failure)
		b.AllowUrgent(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, ok := b.AllowUrgent(ctx); ok || time.Since(began) != 10*time.Millisecond {
			t.Error(ok, time.Since(began))
		}
	})
}

// What says that the service may be back ends the pause, and what began before says
// nothing of now.
func TestTryNowMakesTheNextOperationATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []State
		b := newBreaker(1, time.Second, func(s State, _ error) { states = append(states, s) })
		b.Limit = time.Second
		b.TryNow() // closed: nothing
		try(b, Failure)
		time.Sleep(time.Second)
		hanging, _ := b.Allow()
		b.TryNow()
		next, ok := b.Allow()
		if !ok {
			t.Fatal("not let through")
		}
		b.Report(hanging, Failure, errTest)
		if _, ok := b.Allow(); ok {
			t.Fatal("two trials")
		}
		b.Report(next, Failure, errTest)
		if try(b, Success) || tryUrgent(t, b, 0, Unknown) && try(b, Success) {
			t.Fatal("the trial has failed, and yet the pause is over")
		}
		b.TryNow()
		if opened, _ := b.Cause(); time.Since(opened) != 0 {
			t.Error("opened at", opened)
		}
		if !try(b, Success) || b.State() != Closed {
			t.Fatal("not closed")
		}
		if want := []State{Open, HalfOpen, Open, HalfOpen, Open, HalfOpen, Closed}; !slices.Equal(states, want) {
			t.Fatal(states)
		}
	})
}

// Nobody waits for a patient operation: it is a trial although the last one has taken all its
// time, but not beside another one, and it does not keep the others away for longer.
func TestAPatientOperationIsATrialWhateverTheLastOneHasCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, 5*time.Second, nil)
		b.Limit = time.Second
		tryUrgent(t, b, time.Second, Failure)
		opened := time.Now()
		ctx := Patient(t.Context())
		for range 2 {
			trial, ok := b.AllowUrgent(ctx)
			if !ok || !trial.Trial() {
				t.Fatal("no trial")
			}
			time.Sleep(time.Second)
			if _, ok := b.AllowUrgent(ctx); ok {
				t.Error("a second trial at once")
			}
			b.Report(trial, Failure, errTest)
			if tryUrgent(t, b, 0, Success) {
				t.Error("somebody who waits is let through")
			}
		}
		time.Sleep(5*time.Second - time.Since(opened))
		if !try(b, Success) || b.State() != Closed {
			t.Error("the pause is over")
		}
	})
}

// Who waits for something else before it asks waits for no longer than it would here.
func TestPatienceIsThatOfAnUrgentOperation(t *testing.T) {
	const forever = math.MaxInt64
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(2, 5*time.Second, nil)
		b.Limit = time.Second
		is := func(when string, want time.Duration) {
			t.Helper()
			if got := b.Patience(); got != want {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		is("closed", forever)
		tryUrgent(t, b, time.Second, Failure)
		is("closed after a failure", forever)
		tryUrgent(t, b, time.Second, Failure)
		is("open", 0)
		ticket, _ := b.AllowUrgent(Patient(t.Context()))
		is("a trial has begun", 100*time.Millisecond)
		time.Sleep(90 * time.Millisecond)
		is("it takes", 10*time.Millisecond)
		time.Sleep(90 * time.Millisecond)
		is("it hangs", 0)
		b.Report(ticket, Failure, nil)
		is("it was cheap", 0)
		time.Sleep(162 * time.Millisecond)
		is("long ago", forever)
		tryUrgent(t, b, time.Second, Failure)
		is("that was not cheap", 0)
		b.TryNow()
		is("something says that it is back", forever)
		b.Reset()
		is("reset", forever)
	})
}
