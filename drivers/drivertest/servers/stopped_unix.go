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

// A signal reaches one thread of a process, and the others go on until that one has
// run; on a busy machine they answer one more request meanwhile.

// awaitStopped waits for the state T of every thread, where there is a /proc to tell it.
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
		// The state is behind the program's name, which is in parentheses.
		if _, state, _ := bytes.Cut(stat, []byte(") ")); err == nil && !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}
