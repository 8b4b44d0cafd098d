package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A MariaDBServer is a MariaDB server with a superuser root without a password, and a
// database cachegen. It does not sync to disk.
type MariaDBServer struct {
	process
	directory string
}

// MariaDB starts a MariaDB server for the duration of the test. args are further
// arguments of its command line, such as "--read-only".
func MariaDB(t testing.TB, args ...string) *MariaDBServer {
	t.Helper()
	RequireMariaDB(t)
	s, err := StartMariaDB(args...)
	return forTest(t, s, err)
}

// RequireMariaDB skips or fails the test if MariaDB is not installed. It is for tests
// that share a server of [StartMariaDB].
func RequireMariaDB(t testing.TB) {
	t.Helper()
	requireBinary(t, mariadbProgram(), "apt-get install mariadb-server, brew install mariadb, or https://mariadb.org/download")
}

// StartMariaDB starts a MariaDB server for longer than one test. The caller stops it with
// Close.
func StartMariaDB(args ...string) (*MariaDBServer, error) { return startMariaDB(false, args...) }

// MariaDBOnSmallDisk is [MariaDB] with files of at most [SmallDisk] bytes: a write beyond
// that fails as on a full disk. It needs a Unix system.
func MariaDBOnSmallDisk(t testing.TB, args ...string) *MariaDBServer {
	t.Helper()
	RequireMariaDB(t)
	s, err := startMariaDB(true, append(args, "--innodb-log-file-size=8M")...)
	return forTest(t, s, err)
}

func startMariaDB(small bool, args ...string) (*MariaDBServer, error) {
	dir, as, err := dataDir("mariadb", "mysql", "nobody")
	if err != nil {
		return nil, err
	}
	data, first := filepath.Join(dir, "data"), filepath.Join(dir, "first.sql")
	s := &MariaDBServer{directory: dir, process: process{
		name: mariadbProgram(),
		args: func(port string) []string {
			return append([]string{
				"--no-defaults", "--datadir=" + data, "--port=" + port, "--bind-address=127.0.0.1",
				"--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"),
				"--init-file=" + first, "--skip-name-resolve", "--skip-log-bin",
				"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-use-native-aio=0",
			}, args...)
		},
		ready: "ready for connections",
		ping:  func(addr string) error { return pingGreeting(addr, nil) },
		as:    as.attributes,
		dir:   dir,
		small: small,
	}}
	err = os.WriteFile(first, []byte("CREATE DATABASE IF NOT EXISTS cachegen;\n"), 0o644)
	if err == nil {
		err = run(dir, as, find("mariadb-install-db"), "--no-defaults", "--datadir="+data,
			"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-log-at-trx-commit=0")
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// DSN returns the address in the form of github.com/go-sql-driver/mysql.
func (s *MariaDBServer) DSN() string { return fmt.Sprintf("root@tcp(%s)/cachegen", s.Addr()) }

// Close stops the server and removes its data.
func (s *MariaDBServer) Close() {
	s.Stop()
	os.RemoveAll(s.directory)
}

func mariadbProgram() string {
	return find("mariadbd", "/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/opt/homebrew/opt/mariadb*/bin/mariadbd")
}
