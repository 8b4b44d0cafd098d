package write

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The two contents that a file has in turn; writing one takes many system calls or a long one.
var contents = [2][]byte{
	bytes.Repeat([]byte("old\n"), 1<<18),
	bytes.Repeat([]byte("new!\n"), 1<<18),
}

func whole(text []byte) bool { return bytes.Equal(text, contents[0]) || bytes.Equal(text, contents[1]) }

// TestMain makes the test binary the process that is interrupted: it writes one content after
// the other until it is killed, and says each time that it begins.
func TestMain(m *testing.M) {
	name := os.Getenv("CACHEGEN_TEST_WRITE")
	if name == "" {
		os.Exit(m.Run())
	}
	for i := 0; ; i++ {
		os.Stdout.WriteString(".")
		if _, err := Apply([]Change{{Name: name, New: contents[i%2]}}); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
	}
}

// Whenever the process is killed, the file has all of what it had before or of what it
// was to get, and so it has for everybody who reads it meanwhile.
func TestInterruptedWriteLeavesAWholeFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a_cachegen.go")
	if err := os.WriteFile(name, contents[0], 0o644); err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CACHEGEN_TEST_WRITE="+name)
		var problems bytes.Buffer
		cmd.Stderr = &problems
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed at the beginning of another write each time, a little later than it says so.
		_, err = io.ReadFull(out, make([]byte, 1+round))
		for range 1 + round {
			if text, err := os.ReadFile(name); err != nil || !whole(text) {
				t.Errorf("read %d bytes while it is written, %v", len(text), err)
			}
		}
		if killed := cmd.Process.Kill(); err != nil || killed != nil {
			t.Fatal(err, killed, problems.String())
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("it ended by itself: %v: %s", err, problems.String())
		}
		if text, err := os.ReadFile(name); err != nil || !whole(text) {
			t.Fatalf("%d bytes are left, %v", len(text), err)
		}
	}
}
