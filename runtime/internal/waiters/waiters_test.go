package waiters

import (
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func woken(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWhoWaitsIsWokenOnceUntilHeLooks(t *testing.T) {
	var w Waiters
	w.Wake("a") // nobody waits
	a, stopA := w.Wait([]string{"a"})
	both, stopBoth := w.Wait([]string{"a", "b"})
	w.Wake("a", "c")
	w.Wake("a")
	if !woken(a) || woken(a) || !woken(both) || woken(both) {
		t.Error("woken by a key that he waits for, once")
	}
	w.Wake("b")
	if woken(a) || !woken(both) {
		t.Error("woken by another key, or not by his own")
	}
	stopBoth()
	w.Wake("a", "b")
	if !woken(a) || woken(both) {
		t.Error("woken although he waits no longer")
	}
	stopA()
	if len(w.byKey) != 0 || w.n.Load() != 0 {
		t.Error("what nobody waits for is left:", w.byKey)
	}
}

func TestManyWaitAndWakeAtOnce(t *testing.T) {
	var w Waiters
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				c, stop := w.Wait([]string{"a", "b", "a"})
				w.Wake("b")
				<-c
				stop()
			}
		})
	}
	all.Wait()
	if len(w.byKey) != 0 {
		t.Error("what nobody waits for is left:", w.byKey)
	}
}
