package write

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
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

// A generated file without a source is removed, but in a run of go generate: there it is left without code, which
// changes no more and which a comparison accepts.
func TestOrphans(t *testing.T) {
	const clause = "package users_test\n"
	d := Directory{Name: t.TempDir(), Package: "users", Tests: true}
	name := filepath.Join(d.Name, "a_cachegen_test.go")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compare := func(what Orphans) (text string, left int) {
		t.Helper()
		var problems diag.List
		changes, names, err := d.Compare(what, &problems)
		if err != nil || problems.Len() > 0 || len(changes) > 1 {
			t.Fatal(changes, problems, err)
		}
		if len(changes) == 0 {
			return "stays", len(names)
		}
		if changes[0].New == nil {
			return "removed", len(names)
		}
		return string(changes[0].New), len(names)
	}
	is := func(what Orphans, want string, wantLeft int) {
		t.Helper()
		if got, left := compare(what); got != want || left != wantLeft {
			t.Errorf("orphans %d: got %q, %d left, want %q, %d", what, got, left, want, wantLeft)
		}
	}
	put(load.Header + "\n\n//go:build linux\n\n" + clause + "\nvar x = 1\n")
	is(Remove, "removed", 0)
	is(Accept, "removed", 0)
	empty := load.Header + "\n\n//go:build linux\n\n" + emptied + "\n" + clause
	is(Empty, empty, 1)
	put(empty)
	is(Empty, "stays", 1)
	is(Accept, "stays", 0)
	is(Remove, "removed", 0)
	put(strings.ReplaceAll(empty, "\n", "\r\n"))
	is(Accept, "stays", 0)

	// The package has another name now.
	d.Package = "people"
	is(Accept, "removed", 0)
	is(Empty, strings.Replace(empty, "users", "people", 1), 1)

	// Those of the package are not looked at with the tests.
	d.Tests = false
	is(Remove, "stays", 0)
}
