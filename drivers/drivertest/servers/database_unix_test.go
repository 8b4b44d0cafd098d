//go:build unix

package servers

import "testing"

func TestDatabasesStopAndRestartOnTheirPort(t *testing.T) {
	type server interface {
		Addr() string
		Stop()
		Restart(testing.TB)
		Pause(testing.TB)
		Resume(testing.TB)
	}
	for name, start := range map[string]func(*testing.T) (server, func(addr string) error){
		"Postgres": func(t *testing.T) (server, func(string) error) { s := Postgres(t); return s, s.ping },
		"MariaDB":  func(t *testing.T) (server, func(string) error) { s := MariaDB(t); return s, s.ping },
	} {
		t.Run(name, func(t *testing.T) {
			s, ping := start(t)
			addr := s.Addr()
			s.Stop()
			if err := ping(addr); err == nil {
				t.Fatal("a stopped server answers")
			}
			s.Restart(t)
			if s.Addr() != addr {
				t.Fatalf("restarted on %s, was on %s", s.Addr(), addr)
			}
			s.Pause(t)
			s.Resume(t)
			if err := ping(addr); err != nil {
				t.Fatal(err)
			}
		})
	}
}
