package servers

import (
	"sync"
	"testing"
)

// A Shared server is one for all tests of a package, since starting it takes seconds:
//
//	var running = servers.Shared[*servers.PostgresServer]{
//		Require: servers.RequirePostgres,
//		Start:   func() (*servers.PostgresServer, error) { return servers.StartPostgres() },
//	}
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(running.Around(m)) }
//
// It is started when a test first asks for it.
type Shared[S interface{ Close() }] struct {
	Require func(testing.TB) // skips or fails the test without the server's program
	Start   func() (S, error)

	once    sync.Once
	started bool
	server  S
	err     error
}

// Of returns the server for a test, which fails if it could not be started.
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

// Around returns a runner of tests that ends the server after them, and so before
// goroutines are counted. m is a [testing.M], or what Around of another server returned.
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
