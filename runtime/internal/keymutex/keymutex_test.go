package keymutex

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestOneCallerAtATimeHoldsAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Mutexes
		first, err := m.Lock(t.Context(), "a")
		if first == nil || err != nil {
			t.Fatal(first, err)
		}
		if other, err := m.Lock(t.Context(), "b"); other == nil || err != nil {
			t.Fatal("another key waits")
		}
		held := false
		go func() {
			l, err := m.Lock(t.Context(), "a")
			if l == nil || err != nil {
				t.Error(l, err)
				return
			}
			held = true
			l.Unlock(false)
		}()
		synctest.Wait()
		if held {
			t.Fatal("two hold one key")
		}
		first.Attempt()
		first.Unlock(false)
		synctest.Wait()
		if !held {
			t.Fatal("the key is not free after Unlock")
		}
	})
}

func TestWhoWaitedSinceBeforeASuccessGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Mutexes
		first, _ := m.Lock(t.Context(), "a")
		results := make(chan *Lock, 2)
		wait := func() {
			l, _ := m.Lock(t.Context(), "a")
			results <- l
			if l != nil {
				l.Unlock(false)
			}
		}
		go wait()
		synctest.Wait()
		first.Attempt()
		go wait() // after the attempt: another value may have come since
		synctest.Wait()
		first.Unlock(true)
		a, b := <-results, <-results
		if (a == nil) == (b == nil) {
			t.Fatal("want one of the two who waited to get its own try")
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	var m Mutexes
	held, _ := m.Lock(t.Context(), "a")
	defer held.Unlock(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
