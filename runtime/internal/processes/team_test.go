package processes

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A member is a child as its parent sees it.
type member struct {
	config
	gateway *gateway
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	ended   chan struct{} // closed when nothing comes from it any more
	ready   chan struct{}

	mu      sync.Mutex
	next    int
	waiting map[int]chan report
	events  []report
	log     []string // the last lines that it has logged
}

// A team is several processes on the same servers.
type team struct {
	t       *testing.T
	db      *database
	members []*member
	events  []report // of members that have been replaced
}

// trust is the StampTrust of the processes.
const trust = time.Second

// start starts n processes. change may alter the configuration of each.
func start(t *testing.T, s system, n int, change ...func(*config)) *team {
	t.Helper()
	tm := &team{t: t, db: newDatabase(t)}
	for i := range n {
		c := config{Process: i, Database: tm.db.path, System: s, Trust: trust, TTL: time.Minute}
		for _, f := range change {
			f(&c)
		}
		tm.members = append(tm.members, launch(t, c, newGateway(t)))
	}
	t.Cleanup(func() {
		for _, m := range tm.members {
			m.kill()
		}
	})
	for _, m := range tm.members {
		m.await()
	}
	return tm
}

func launch(t *testing.T, c config, g *gateway) *member {
	t.Helper()
	c.Gateway = g.path
	m := &member{config: c, gateway: g, waiting: map[int]chan report{}, ended: make(chan struct{}), ready: make(chan struct{})}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command(os.Args[0], "-test.run=^$")
	m.cmd.Env = append(os.Environ(), childEnv+"="+string(text), "GOMAXPROCS=2")
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	logs, err := m.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			m.mu.Lock()
			if m.log = append(m.log, lines.Text()); len(m.log) > 40 {
				m.log = m.log[1:]
			}
			m.mu.Unlock()
		}
		_, _ = io.Copy(io.Discard, logs)
	}()
	go func() {
		defer close(m.ended)
		defer func() { <-logged; _ = m.cmd.Wait() }()
		dec := json.NewDecoder(out)
		for {
			var r report
			if dec.Decode(&r) != nil {
				return
			}
			m.take(r)
		}
	}()
	return m
}

func (m *member) take(r report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Event == "ready" {
		close(m.ready)
		return
	}
	if r.Event != "" {
		m.events = append(m.events, r)
	}
	if r.Done {
		m.waiting[r.ID] <- r
		delete(m.waiting, r.ID)
	}
}

func (m *member) await() {
	select {
	case <-m.ready:
	case <-m.ended:
	case <-time.After(30 * time.Second):
	}
}

// tell gives a command. What it returns gets the answer; a report with an error if the child
// ends before.
func (m *member) tell(c command) <-chan report {
	answer := make(chan report, 1)
	m.mu.Lock()
	m.next++
	c.ID = m.next
	m.waiting[c.ID] = answer
	m.mu.Unlock()
	if err := json.NewEncoder(m.stdin).Encode(c); err != nil {
		answer <- report{Err: "not told: " + err.Error()}
	}
	result := make(chan report, 1)
	go func() {
		select {
		case r := <-answer:
			result <- r
		case <-m.ended:
			select {
			case r := <-answer:
				result <- r
			default:
				result <- report{Err: "the process has ended"}
			}
		}
	}()
	return result
}

func (m *member) signal(s syscall.Signal) { _ = m.cmd.Process.Signal(s) }

func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// do gives a command and returns the answer. It fails the test if there is none in time.
func (tm *team) do(process int, op string, row int) report {
	tm.t.Helper()
	return tm.answer(tm.members[process].tell(command{Op: op, Row: row}))
}

func (tm *team) answer(c <-chan report) report {
	tm.t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(40 * time.Second):
		tm.t.Fatal("no answer within 40 seconds\n" + tm.logs())
		return report{}
	}
}

func (tm *team) logs() string {
	var b strings.Builder
	for i, m := range tm.members {
		m.mu.Lock()
		for _, line := range m.log[max(0, len(m.log)-10):] {
			fmt.Fprintf(&b, "process %d: %s\n", i, line)
		}
		m.mu.Unlock()
	}
	return b.String()
}

// replace starts a new process in place of one that was killed.
func (tm *team) replace(process int) {
	tm.t.Helper()
	old := tm.members[process]
	old.kill()
	old.mu.Lock()
	tm.events = append(tm.events, old.events...)
	old.mu.Unlock()
	tm.members[process] = launch(tm.t, old.config, old.gateway)
	tm.members[process].await()
}

// all returns what the processes have reported.
func (tm *team) all() []report {
	events := append([]report{}, tm.events...)
	for _, m := range tm.members {
		m.mu.Lock()
		events = append(events, m.events...)
		m.mu.Unlock()
	}
	return events
}
