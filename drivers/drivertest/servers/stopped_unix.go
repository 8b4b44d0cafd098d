//go:build unix

package servers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// awaitStopped waits until every thread is stopped (state T), on systems with /proc. A signal
// reaches one thread of a process first; on a busy machine the other threads can answer one
// more request before they stop.
func (p *process) awaitStopped(t testing.TB) {
	t.Helper()
	tasks := fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid)
	for deadline := time.Now().Add(startTimeout); !stopped(tasks); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not stopped after %s", p.name, startTimeout)
		}
	}
}

func stopped(tasks string) bool {
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return true
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(filepath.Join(tasks, thread.Name(), "stat"))
		// The state follows the name of the program, which is in parentheses.
		if _, state, _ := bytes.Cut(stat, []byte(") ")); err == nil && !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}
