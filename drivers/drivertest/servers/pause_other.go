//go:build !unix

package servers

import "testing"

// Pause skips the test: this system cannot pause a process.
func (p *process) Pause(t testing.TB) {
	t.Helper()
	t.Skipf("%s cannot be paused on this system", p.name)
}

// Resume continues a paused server.
func (p *process) Resume(testing.TB) {}
