//go:build !unix

package servers

import "testing"

// Pause skips the test: nothing here stops a process and lets it go on.
func (p *process) Pause(t testing.TB) {
	t.Helper()
	t.Skipf("%s cannot be paused on this system", p.name)
}

// Resume lets a paused server go on.
func (p *process) Resume(testing.TB) {}
