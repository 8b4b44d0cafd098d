// Package historytest tests what a driver tells of the history of a server: see
// drivers.Historian.
package historytest

import (
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Store is a driver under test.
type Store interface {
	drivers.L2
	drivers.Historian
}

// A Server can be stopped and started again.
type Server interface {
	Stop()
	Restart(t testing.TB)
}

// Of returns the history that a store tells.
func Of(t testing.TB, s drivers.Historian) string {
	t.Helper()
	text, err := s.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Get reads a key.
func Get(t testing.TB, s drivers.L2) error {
	_, err := s.GetMany(t.Context(), []string{"a"})
	return err
}

// Eventually waits for what a server does in its own time.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Noticed waits until a store tells another history than before.
func Noticed(t testing.TB, s drivers.Historian, before string) {
	t.Helper()
	Eventually(t, "another history is told", func() bool {
		text, err := s.History(t.Context())
		return err == nil && text != before
	})
}

// Restart checks that a server that comes back, perhaps with older data, has another history. Its
// start is told in units of precision.
func Restart(t *testing.T, server Server, s Store, precision time.Duration) {
	first := Of(t, s)
	time.Sleep(precision)
	server.Stop()
	if err := Get(t, s); err == nil {
		t.Fatal("a server that is stopped answers")
	}
	if text, err := s.History(t.Context()); err == nil {
		t.Errorf("of a server that is stopped: %q", text)
	}
	server.Restart(t)
	Eventually(t, "the server answers", func() bool { return Get(t, s) == nil })
	second := Of(t, s) // at once, because an operation has failed
	if second == first {
		t.Errorf("the history is %q before and after a restart", first)
	}
	// No operation is there to fail.
	time.Sleep(precision)
	server.Stop()
	server.Restart(t)
	Noticed(t, s, second)
}

// Killed checks that connections that kill ends are no other history.
func Killed(t *testing.T, s Store, kill func()) {
	first := Of(t, s)
	for range 3 {
		if err := Get(t, s); err != nil {
			t.Fatal(err)
		}
		kill()
		_ = Get(t, s)
		if text := Of(t, s); text != first {
			t.Errorf("the history is %q, it was %q", text, first)
		}
	}
}
