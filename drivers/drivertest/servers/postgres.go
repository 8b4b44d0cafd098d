package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A PostgresServer is a PostgreSQL server with one superuser, cachegen, whose password
// is secret, and a database of that name. It does not sync to disk.
type PostgresServer struct {
	process
	directory string
}

// Postgres starts a PostgreSQL server for the duration of the test. args are further
// arguments of its command line, such as "-c", "default_transaction_read_only=on".
func Postgres(t testing.TB, args ...string) *PostgresServer {
	t.Helper()
	RequirePostgres(t)
	s, err := StartPostgres(args...)
	return forTest(t, s, err)
}

// RequirePostgres skips or fails the test if PostgreSQL is not installed. It is for
// tests that share a server of [StartPostgres].
func RequirePostgres(t testing.TB) {
	t.Helper()
	requireBinary(t, postgresProgram("postgres"), "apt-get install postgresql, brew install postgresql, or https://www.postgresql.org/download")
}

// StartPostgres starts a PostgreSQL server for longer than one test. The caller stops it
// with Close.
func StartPostgres(args ...string) (*PostgresServer, error) { return startPostgres(false, args...) }

// PostgresOnSmallDisk is [Postgres] with files of at most [SmallDisk] bytes: a write beyond
// that fails as on a full disk. It needs a Unix system.
func PostgresOnSmallDisk(t testing.TB, args ...string) *PostgresServer {
	t.Helper()
	RequirePostgres(t)
	s, err := startPostgres(true, args...)
	return forTest(t, s, err)
}

func startPostgres(small bool, args ...string) (*PostgresServer, error) {
	dir, as, err := dataDir("postgres", "postgres", "nobody")
	if err != nil {
		return nil, err
	}
	s := newPostgres(dir, as, "ready to accept connections", args...)
	s.small = small
	err = s.initialize(as)
	if err == nil {
		err = s.start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func newPostgres(dir string, as user, ready string, args ...string) *PostgresServer {
	return &PostgresServer{directory: dir, process: process{
		name: postgresProgram("postgres"),
		args: func(port string) []string {
			return append([]string{
				"-D", filepath.Join(dir, "data"), "-p", port, "-c", "listen_addresses=127.0.0.1",
				"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off",
			}, args...)
		},
		ready: ready,
		// The request for TLS, which the server answers with one byte.
		ping: func(addr string) error { return pingGreeting(addr, []byte{0, 0, 0, 8, 4, 210, 22, 47}) },
		as:   as.attributes,
		dir:  dir,
	}}
}

// Standby starts a hot standby of the server for the duration of the test: a replica that
// can be read, begins with everything that the server has committed, and follows it.
func (s *PostgresServer) Standby(t testing.TB) *PostgresServer {
	t.Helper()
	dir, as, err := dataDir("postgres", "postgres", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	standby := newPostgres(dir, as, "ready to accept read-only connections")
	t.Cleanup(standby.Close)
	// With --write-recovery-conf the copy starts as a standby.
	err = run(dir, as, postgresProgram("pg_basebackup"), "--pgdata", filepath.Join(dir, "data"), "--dbname", s.URL(),
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	if err == nil {
		err = standby.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return standby
}

func (s *PostgresServer) initialize(as user) error {
	password := filepath.Join(s.directory, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		return err
	}
	if err := as.own(password); err != nil {
		return err
	}
	return run(s.directory, as, postgresProgram("initdb"), "-D", filepath.Join(s.directory, "data"),
		"-U", "cachegen", "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync")
}

// URL returns the address in the form of the PostgreSQL client libraries.
func (s *PostgresServer) URL() string {
	return fmt.Sprintf("postgres://cachegen:secret@%s/postgres?sslmode=disable", s.Addr())
}

// Stop ends the server like a crash: connections break, and the next start recovers from the
// log. On a stopped server it does nothing.
func (s *PostgresServer) Stop() {
	if s.cmd == nil {
		return
	}
	// Not with SIGKILL: the processes of its connections would live on for a while and keep
	// the data directory locked.
	if s.cmd.Process.Signal(syscall.SIGQUIT) == nil {
		timeout := time.NewTimer(startTimeout)
		defer timeout.Stop()
		select {
		case <-s.done:
		case <-timeout.C:
		}
	}
	s.process.Stop()
}

// Close stops the server and removes its data.
func (s *PostgresServer) Close() {
	s.Stop()
	os.RemoveAll(s.directory)
}

func postgresProgram(name string) string {
	return find(name, "/usr/lib/postgresql/*/bin/"+name, "/opt/homebrew/opt/postgresql*/bin/"+name, "/usr/local/pgsql/bin/"+name)
}
