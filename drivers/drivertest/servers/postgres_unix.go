//go:build unix

package servers

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Pause stops the server and the processes of its connections from answering.
func (s *PostgresServer) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP) // first, so that no new connections come
	s.signalConnections(t, syscall.SIGSTOP)
}

// Resume continues a paused server.
func (s *PostgresServer) Resume(t testing.TB) {
	t.Helper()
	s.signalConnections(t, syscall.SIGCONT)
	s.signal(t, syscall.SIGCONT)
}

func (s *PostgresServer) signalConnections(t testing.TB, signal syscall.Signal) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		ids := strings.Fields(line)
		if len(ids) != 2 || ids[1] != strconv.Itoa(s.cmd.Process.Pid) {
			continue
		}
		pid, err := strconv.Atoi(ids[0])
		if err != nil {
			t.Fatalf("ps printed %q", line)
		}
		if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
			t.Fatalf("send %s to process %d of postgres: %v", signal, pid, err)
		}
	}
}
