package processes

import (
	"flag"
	"strings"
	"syscall"
	"testing"
	"time"
)

var repeats = flag.Int("repeats", 1, "how often each exact sequence is run")

// sequence runs f for rows of each kind.
func sequence(t *testing.T, tm *team, f func(t *testing.T, row int)) {
	for row := range *repeats * kinds {
		f(t, row)
		if t.Failed() {
			t.Logf("row %d, kind %d\n%s", row, kindOf(row), tm.logs())
			return
		}
	}
}

// newest fails if a process reads another version than the database has.
func (tm *team) newest(t *testing.T, process, row int) {
	t.Helper()
	if r := tm.do(process, "read", row); r.Err != "" || r.Version != tm.db.version(row) {
		t.Errorf("process %d reads version %d of row %d, which has %d; error: %q", process, r.Version, row, tm.db.version(row), r.Err)
	}
}

func (tm *team) deleted(t *testing.T, process, row int) {
	t.Helper()
	if r := tm.do(process, "write", row); r.Err != "" {
		t.Errorf("the invalidation of row %d by process %d failed: %s", row, process, r.Err)
	}
}

// race R44: a load in one process has read the row, another process changes it, and the first
// one's fill comes after that.
func TestALateFillOfAnotherProcess(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 4)
	sequence(t, tm, func(t *testing.T, row int) {
		g := tm.db.hold(3, row)
		loading := tm.members[3].tell(command{Op: "read", Row: row})
		<-g.reached
		tm.deleted(t, 1, row)
		close(g.released)
		tm.answer(loading)
		for p := range 4 {
			tm.newest(t, p, row)
		}
	})
}

// race R44: the same, and the fill is on its way when the row is changed: it is held back on the
// network, and arrives when the invalidation has returned.
func TestAFillOfAnotherProcessThatIsUnderWay(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 4)
	sequence(t, tm, func(t *testing.T, row int) {
		g := tm.db.hold(3, row)
		loading := tm.members[3].tell(command{Op: "read", Row: row})
		<-g.reached
		tm.members[3].gateway.set(fault{up: true}, "tier")
		close(g.released)
		time.Sleep(100 * time.Millisecond)
		tm.deleted(t, 1, row)
		tm.members[3].gateway.set(fault{}, "tier")
		tm.answer(loading)
		for p := range 4 {
			tm.newest(t, p, row)
		}
	})
}

// race R53: the same, of a process that does not hear the bus.
func TestALateFillOfADeafProcess(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 4)
	tm.members[3].gateway.set(fault{down: true}, "bus")
	sequence(t, tm, func(t *testing.T, row int) {
		g := tm.db.hold(3, row)
		loading := tm.members[3].tell(command{Op: "read", Row: row})
		<-g.reached
		tm.deleted(t, 1, row)
		close(g.released)
		tm.answer(loading)
		for p := range 3 {
			tm.newest(t, p, row)
		}
	})
}

// race R47: the same, of a process that stands still in its load and goes on.
func TestALateFillOfAStoppedProcess(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 4)
	sequence(t, tm, func(t *testing.T, row int) {
		g := tm.db.hold(3, row)
		loading := tm.members[3].tell(command{Op: "read", Row: row})
		<-g.reached
		tm.members[3].signal(syscall.SIGSTOP)
		tm.deleted(t, 1, row)
		close(g.released)
		time.Sleep(50 * time.Millisecond)
		tm.members[3].signal(syscall.SIGCONT)
		tm.answer(loading)
		for p := range 3 {
			tm.newest(t, p, row)
		}
	})
}

// race R46: the server comes back with what it had before an invalidation.
func TestAServerThatComesBackWithOlderData(t *testing.T) {
	s, server := redisSystem(t)
	tm := start(t, s, 3)
	sequence(t, tm, func(t *testing.T, row int) {
		for p := range 3 {
			tm.newest(t, p, row)
		}
		if answer, err := redisCommand(server.Addr(), "SAVE"); err != nil || !strings.HasPrefix(answer, "+OK") {
			t.Fatalf("SAVE: %q, %v", answer, err)
		}
		tm.deleted(t, 1, row)
		tm.newest(t, 1, row)
		server.Stop()
		server.Restart(t)
		tm.newest(t, 1, row)
		time.Sleep(bound)
		for p := range 3 {
			tm.newest(t, p, row)
		}
	})
}

// race R47: a process that stood still serves nothing from before when it goes on.
func TestAProcessThatWasStopped(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 2)
	sequence(t, tm, func(t *testing.T, row int) {
		tm.newest(t, 0, row)
		tm.newest(t, 1, row)
		tm.members[0].signal(syscall.SIGSTOP)
		tm.deleted(t, 1, row)
		time.Sleep(bound)
		tm.members[0].signal(syscall.SIGCONT)
		tm.newest(t, 0, row)
	})
}

// race R47: the same, and nothing that it has missed reaches it.
func TestAProcessThatWasStoppedAndIsDeaf(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 2)
	sequence(t, tm, func(t *testing.T, row int) {
		tm.newest(t, 0, row)
		tm.newest(t, 1, row)
		tm.members[0].gateway.set(fault{down: true}, "bus")
		tm.members[0].signal(syscall.SIGSTOP)
		tm.deleted(t, 1, row)
		time.Sleep(bound)
		tm.members[0].signal(syscall.SIGCONT)
		tm.newest(t, 0, row)
		tm.members[0].gateway.set(fault{}, "bus")
		time.Sleep(trust)
	})
}

// race R50: the server's answer to a lease is lost. Nobody waits for the process that has it.
func TestTheAnswerToALeaseIsLost(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 3)
	sequence(t, tm, func(t *testing.T, row int) {
		lost := make(chan struct{})
		tm.members[0].gateway.set(fault{loseReply: "eval", lost: func() { close(lost) }}, "tier")
		if r := tm.do(0, "read", row); r.Err != "" {
			t.Errorf("the process whose answer was lost: %s", r.Err)
		}
		select {
		case <-lost:
		case <-time.After(5 * time.Second):
			t.Error("no answer was lost")
		}
		r := tm.do(1, "read", row)
		if took := time.Duration(r.End - r.Start); took > time.Second {
			t.Errorf("the next process waited %v for nobody", took)
		}
		tm.deleted(t, 2, row)
		for p := range 3 {
			tm.newest(t, p, row)
		}
	})
}

// race R50: a lease lands after the deletion that should have ended it, and after its process
// has given it up.
func TestALeaseThatLandsLate(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 3)
	sequence(t, tm, func(t *testing.T, row int) {
		// The first look at the tier passes; all that follows is held back.
		g := tm.db.hold(0, row)
		tm.members[0].gateway.set(fault{up: true}, "tier")
		loading := tm.members[0].tell(command{Op: "read", Row: row})
		<-g.reached // it has given the tier up
		tm.deleted(t, 1, row)
		tm.members[0].gateway.set(fault{}, "tier")
		close(g.released)
		tm.answer(loading)
		r := tm.do(2, "read", row)
		if took := time.Duration(r.End - r.Start); took > 2*time.Second {
			t.Errorf("the next process waited %v for nobody", took)
		}
		for p := range 3 {
			tm.newest(t, p, row)
		}
		time.Sleep(1500 * time.Millisecond) // the breaker of process 0
	})
}

// 10,000 callers in eight processes ask for one cold key.
func TestOneLoadInAllProcesses(t *testing.T) {
	for _, kind := range []string{"redis", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			s := systemOf(t, kind)
			tm := start(t, s, 8)
			tm.db.slow(100 * time.Millisecond)
			for row := range kinds {
				var herd []<-chan report
				for _, m := range tm.members {
					herd = append(herd, m.tell(command{Op: "herd", Row: row, N: 1250}))
				}
				for _, h := range herd {
					if r := tm.answer(h); r.Err != "" {
						t.Error(r.Err)
					}
				}
				if n := tm.db.loadsOf(row); n != 1 {
					t.Errorf("row %d of kind %d was loaded %d times\n%s", row, kindOf(row), n, tm.logs())
				}
			}
		})
	}
}
