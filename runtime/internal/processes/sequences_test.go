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

// newest fails if a process reads another version than the database has. The process has made the
// last change itself, or has nothing in memory that is older.
func (tm *team) newest(t *testing.T, process, row int) {
	t.Helper()
	if r := tm.do(process, "read", row); r.Err != "" || r.Version != tm.db.version(row) {
		t.Errorf("process %d reads version %d of row %d, which has %d; error: %q", process, r.Version, row, tm.db.version(row), r.Err)
	}
}

// soonNewest is newest for a process that may have something older in memory until it hears of
// the change: it reads again until then, for as long as the bound allows.
func (tm *team) soonNewest(t *testing.T, process, row int) {
	t.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r := tm.do(process, "read", row); r.Err != "" || r.Version == tm.db.version(row) {
			break
		}
	}
	tm.newest(t, process, row)
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
	const loads, changes = 3, 1
	for name, test := range map[string]struct {
		// Change has the row changed by the other process, and release lets the load store what
		// it has read.
		change func(loader *member, change, release func())
		deaf   bool
	}{
		"while it loads": {change: func(_ *member, change, release func()) {
			change()
			release()
		}},
		// The fill is held back on the network, and arrives when the invalidation has returned.
		"while it stores": {change: func(loader *member, change, release func()) {
			loader.gateway.set(fault{up: true}, "tier")
			release()
			time.Sleep(100 * time.Millisecond)
			change()
			loader.gateway.set(fault{}, "tier")
		}},
		"it hears nothing": {deaf: true, change: func(_ *member, change, release func()) {
			change()
			release()
		}},
		// race R47: it stands still in its load, and goes on.
		"it is stopped": {change: func(loader *member, change, release func()) {
			loader.signal(syscall.SIGSTOP)
			change()
			release()
			time.Sleep(50 * time.Millisecond)
			loader.signal(syscall.SIGCONT)
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel() // most of the time they wait
			s, _ := redisSystem(t)
			tm := start(t, s, 4)
			loader := tm.members[loads]
			if test.deaf {
				loader.gateway.set(fault{down: true}, "bus")
			}
			sequence(t, tm, func(t *testing.T, row int) {
				g := tm.db.hold(loads, row)
				loading := loader.tell(command{Op: "read", Row: row})
				<-g.reached
				test.change(loader, func() { tm.deleted(t, changes, row) }, func() { close(g.released) })
				tm.answer(loading)
				for p := range tm.members {
					if p != loads {
						tm.newest(t, p, row)
					}
				}
				tm.soonNewest(t, loads, row)
			})
		})
	}
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
		tm.newest(t, 2, row)
		for p := range 2 { // they have the row in memory
			tm.soonNewest(t, p, row)
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
		tm.newest(t, 1, row)
		tm.newest(t, 2, row)
		tm.soonNewest(t, 0, row)
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

// race R35: two builds, whose types differ, share the keys. Each loads each row once
// after a change, whichever has changed it.
func TestTwoBuilds(t *testing.T) {
	for name, without := range map[string]bool{"memory": false, "no memory": true} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s, _ := redisSystem(t)
			tm := start(t, s, 4, func(c *config) { c.Build, c.NoMemory = c.Process%2, without })
			const rounds, some, builds = 20, 4 * kinds, 2
			read := func() {
				for range rounds {
					for p := range tm.members {
						for row := range some {
							tm.newest(t, p, row)
						}
					}
				}
			}
			loads := 0
			once := func(what string) {
				before := loads
				loads = 0
				for row := range some {
					loads += tm.db.loadsOf(row)
				}
				if n := loads - before; n != some*builds {
					t.Errorf("%s: %d loads of %d rows by %d builds, in %d reads", what, n, some, builds, rounds*some*len(tm.members))
				}
			}
			read()
			once("at first")
			// Each ends with a row of the first kind, whose message is counted, so that all is heard.
			for p := range tm.members {
				for row := p; row < some; row += len(tm.members) {
					tm.deleted(t, p, row)
				}
				tm.deleted(t, p, some)
			}
			for _, m := range tm.members {
				others := len(tm.members) - 1
				byKey := some/kinds/len(tm.members) + 1
				if r := tm.answer(m.tell(command{Op: "heard", N: others * byKey})); r.Err != "" {
					t.Fatal(r.Err)
				}
			}
			read()
			once("after a change")
		})
	}
}

// race R48: the old build does not know of a tag that the new one gives to rows. What it has stored
// is not reached when the tag is deleted, and so is nothing that the new one reads.
func TestATagThatOnlyTheNewBuildKnows(t *testing.T) {
	s, _ := redisSystem(t)
	tm := start(t, s, 3, func(c *config) { c.Build, c.Untagged = min(c.Process, 1), c.Process == 0 })
	for row := range 4 * kinds {
		if kindOf(row) == 0 { // has no tag
			continue
		}
		for p := range tm.members {
			tm.newest(t, p, row)
		}
		tm.deleted(t, 1, row)
		tm.newest(t, 1, row)
		tm.soonNewest(t, 2, row)
	}
}

// race R59: the processes load from a replica of the database that is behind. What they load right
// after a change is kept by none of them, nor by the server.
func TestAReplicaThatLagsBehind(t *testing.T) {
	for _, kind := range []string{"redis", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const behind = time.Second
			tm := start(t, systemOf(t, kind), 3, func(c *config) { c.Lag = 2 * behind })
			tm.db.mu.Lock()
			tm.db.behind = behind
			tm.db.mu.Unlock()
			for row := range kinds {
				for p := range tm.members {
					tm.newest(t, p, row)
				}
				tm.deleted(t, 1, row)
				for p := range tm.members {
					if r := tm.do(p, "read", row); r.Err != "" || r.Version != 1 {
						t.Errorf("process %d reads version %d of row %d from a replica without it; error: %q", p, r.Version, row, r.Err)
					}
				}
			}
			time.Sleep(bound)
			for row := range kinds {
				for p := range tm.members {
					tm.newest(t, p, row)
				}
			}
		})
	}
}
