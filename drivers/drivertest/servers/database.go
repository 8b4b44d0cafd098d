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

// A database server's data outlive the server, in a directory that a user without
// rights owns: neither program runs as root.

// dataDir makes a directory for a server that runs as one of users, or as whoever runs
// the test if that is not root.
func dataDir(name string, users ...string) (dir string, as user, err error) {
	if as, err = unprivileged(users...); err != nil {
		return "", as, fmt.Errorf("%s: %w", name, err)
	}
	// Not a directory of testing: those above it are closed to other users.
	if dir, err = os.MkdirTemp("", "cachegen-"+name); err != nil {
		return "", as, err
	}
	return dir, as, as.own(dir)
}

// run runs a program that prepares a server's directory.
func run(dir string, as user, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr, cmd.Dir = as.attributes, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// find returns the path of a program: from PATH, else of the newest version that
// patterns find.
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
		return name // whose absence requireBinary reports
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

// pingGreeting connects, sends request and waits for the first byte of an answer.
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

// forTest hands a server to a test that ends it.
func forTest[S interface{ Close() }](t testing.TB, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
