//go:build unix

package servers

import (
	"syscall"
	"testing"
)

// Pause stops the server from answering while its connections stay open, a fault that only
// a timeout or a ping can detect.
func (p *process) Pause(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	p.awaitStopped(t)
}

// Resume continues a paused server. It then handles what was sent in the meantime.
func (p *process) Resume(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: send %s: %v", p.name, s, err)
	}
}
