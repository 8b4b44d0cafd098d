package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The data of a database server stay when the server stops. The directory belongs to an
// unprivileged user, because neither PostgreSQL nor MariaDB runs as root.

// dataDir makes a directory for a server that runs as one of users, if the test runs as
// root, and otherwise as the user of the test.
func dataDir(name string, users ...string) (dir string, as user, err error) {
	if as, err = unprivileged(users...); err != nil {
		return "", as, fmt.Errorf("%s: %w", name, err)
	}
	// Not t.TempDir, whose parent directories other users cannot enter.
	if dir, err = os.MkdirTemp("", "cachegen-"+name); err != nil {
		return "", as, err
	}
	if err := as.own(dir); err != nil {
		os.RemoveAll(dir)
		return "", as, err
	}
	return dir, as, nil
}

// run runs a program that prepares the directory of a server.
func run(dir string, as user, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr, cmd.Dir = as.attributes, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// find returns the path of a program: the one in PATH, otherwise the newest version that
// matches one of patterns.
func find(name string, patterns ...string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	var found []string
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern)
		found = append(found, matches...)
	}
	if len(found) == 0 {
		return name // requireBinary reports that it is not installed
	}
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		if a < b {
			return -1
		}
		return 1
	})
	return found[len(found)-1]
}

// pingGreeting connects, sends request and waits for the first byte of the answer.
func pingGreeting(addr string, request []byte) error {
	c, err := net.DialTimeout("tcp", addr, startTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// forTest returns a server that is closed at the end of the test.
func forTest[S interface{ Close() }](t testing.TB, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
