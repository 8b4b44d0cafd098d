package write

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of a package that cannot be written keeps the others as they are.
func TestApplyAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	name := func(base string) string { return filepath.Join(dir, base) }
	for _, base := range []string{"a.go", "gone.go"} {
		if err := os.WriteFile(name(base), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	changes := []Change{
		{Name: name("a.go"), Old: []byte("old"), New: []byte("new")},
		{Name: name("gone.go"), Old: []byte("old")},
		{Name: name("missing/b.go"), New: []byte("new")},
	}
	made, err := Apply(changes)
	if err == nil || !strings.Contains(err.Error(), name("missing/b.go")) || len(made) != 0 {
		t.Errorf("made %v, error %v", made, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	if text, err := os.ReadFile(name("a.go")); err != nil || string(text) != "old" {
		t.Errorf("a.go: %q, %v", text, err)
	}

	made, err = Apply(changes[:2])
	if err != nil || len(made) != 2 {
		t.Errorf("made %v, error %v", made, err)
	}
	if text, err := os.ReadFile(name("a.go")); err != nil || string(text) != "new" {
		t.Errorf("a.go: %q, %v", text, err)
	}
	if _, err := os.Stat(name("gone.go")); !os.IsNotExist(err) {
		t.Errorf("gone.go: %v", err)
	}
}

// What is not a file is not touched, and no temporary file is left behind.
func TestApplyNoFile(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.go"), filepath.Join(dir, "b.go")
	if err := os.Mkdir(b, 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := Apply([]Change{{Name: a, New: []byte("a")}, {Name: b, New: []byte("b")}})
	if err == nil || !strings.Contains(err.Error(), b) || len(made) != 0 {
		t.Errorf("made %v, error %v", made, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("files: %v", entries)
	}
}

// A file that another run has removed meanwhile is no failure.
func TestApplyRemovedAlready(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone.go")
	if made, err := Apply([]Change{{Name: gone, Old: []byte("old")}}); err != nil || len(made) != 1 {
		t.Errorf("made %v, error %v", made, err)
	}
}
