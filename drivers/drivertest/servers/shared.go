package servers

import (
	"sync"
	"testing"
)

// A Shared is one server for all tests of a package, because a start takes seconds:
//
//	var running = servers.Shared[*servers.PostgresServer]{
//		Require: servers.RequirePostgres,
//		Start:   func() (*servers.PostgresServer, error) { return servers.StartPostgres() },
//	}
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(running.Around(m)) }
//
// It is started by the first call of Of.
type Shared[S interface{ Close() }] struct {
	Require func(testing.TB) // skips or fails the test if the server's program is not installed
	Start   func() (S, error)

	once    sync.Once
	started bool
	server  S
	err     error
}

// Of returns the server. The test fails if the server could not be started.
func (s *Shared[S]) Of(t testing.TB) S {
	t.Helper()
	s.Require(t)
	s.once.Do(func() {
		s.server, s.err = s.Start()
		s.started = s.err == nil
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Around returns a Runner that runs m and then closes the server, before goleak counts
// goroutines. m is a [testing.M], or the result of Around of another server.
func (s *Shared[S]) Around(m Runner) Runner {
	return runner(func() int {
		code := m.Run()
		if s.started {
			s.server.Close()
		}
		return code
	})
}

// A Runner runs the tests of a package and returns their exit code.
type Runner interface{ Run() int }

type runner func() int

func (r runner) Run() int { return r() }
