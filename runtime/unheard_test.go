package runtime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// inProcesses runs f for each way to invalidate, with two processes that share a tier and a bus.
// What the other one hears, line may lose or hold back.
func inProcesses(t *testing.T, f func(t *testing.T, p processes)) {
	t.Helper()
	mayTell(t, theBusFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := processes{shared: &faketier.Shared{}, src: &source{}}
				var bus faketier.Bus
				p.line = &faketier.Line{Bus: &bus}
				store, a := process(t, p.shared, &bus)
				_, p.other = process(t, p.shared, p.line)
				p.src.value.Store(1)
				p.change = func() {
					t.Helper()
					p.src.value.Store(2)
					if err := change(t.Context(), store, a); err != nil {
						t.Fatal(err)
					}
				}
				if p.read(t) != 1 {
					t.Fatal("not loaded")
				}
				f(t, p)
			})
		})
	}
}

type processes struct {
	shared *faketier.Shared
	src    *source
	line   *faketier.Line
	other  *runtime.Cache[int, int]
	change func() // what the first process does
}

// read returns what the other process reads.
func (p processes) read(t *testing.T) int {
	t.Helper()
	got, err := p.other.GetOrSet(t.Context(), 7, p.src.load, runtime.Tags("team:1"))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// race R47: a process that was stopped serves nothing of before when it goes on, although it has
// heard nothing yet. When it has heard itself, it serves what it has without asking.
func TestAProcessThatWasStoppedServesNothingOfBefore(t *testing.T) {
	inProcesses(t, func(t *testing.T, p processes) {
		time.Sleep(10 * time.Second)
		p.line.Stop()
		p.change()
		time.Sleep(5 * time.Second)
		if got := p.read(t); got != 2 {
			t.Errorf("read %d before anything was heard", got)
		}
		for i := range 3 {
			_ = p.line.Continue()
			if got := p.read(t); got != 2 {
				t.Errorf("read %d after %d messages", got, i+1)
			}
		}
		for p.line.Continue() {
		}
		synctest.Wait()
		p.read(t)
		reads := p.shared.Calls("get")
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			p.read(t)
		}
		if n := p.shared.Calls("get") - reads; n > 0 {
			t.Errorf("the shared tier was asked %d times", n)
		}
	})
}

// race R49: a process that hears nothing, and does not know, is stale for StampTrust and two
// intervals at most.
func TestADeafProcessThatDoesNotKnowIsStaleForABoundedTime(t *testing.T) {
	inProcesses(t, func(t *testing.T, p processes) {
		time.Sleep(10 * time.Second)
		p.line.Lose(func([]byte) bool { return true })
		p.change()
		changed := time.Now()
		for p.read(t) == 1 && time.Since(changed) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		const bound = runtime.DefaultStampTrust + 2*time.Second
		if took := time.Since(changed); took > bound {
			t.Errorf("stale for %v", took)
		}
		reads := p.shared.Calls("get")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			p.read(t)
		}
		if n := p.shared.Calls("get") - reads; n > 60 {
			t.Errorf("in a minute the shared tier was asked %d times", n)
		}
	})
}

// race R24: a message that is lost while others arrive is missed when the sender is heard next.
func TestAMessageThatIsLostIsMadeUpFor(t *testing.T) {
	inProcesses(t, func(t *testing.T, p processes) {
		time.Sleep(10 * time.Second)
		p.line.Lose(func(message []byte) bool { return !faketier.IsHeartbeat(message) })
		p.change()
		p.line.Lose(nil)
		time.Sleep(time.Second + time.Millisecond)
		if got := p.read(t); got != 2 {
			t.Errorf("read %d after a heartbeat of the sender", got)
		}
	})
}

// While all is well, what memory has is served without asking, however long nothing changes.
func TestWhileHeartbeatsAreHeardNothingIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var src source
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.Bus(&faketier.Bus{}), runtime.TTL(time.Hour)))
		for range 600 {
			if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		wantLoads(t, &src, 1)
	})
}
