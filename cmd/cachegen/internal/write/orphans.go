package write

import (
	"bytes"
	"errors"
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// Orphans says what becomes of generated files for which there is nothing to generate any more.
type Orphans int

const (
	// Remove removes them.
	Remove Orphans = iota
	// Empty leaves them without code. The go command lists the files of all packages before
	// go generate runs the first line, and opens each of them later: that one is missing would be the
	// end of the run. What is left compiles, and is the same after each run.
	Empty
	// Accept removes them, but for those that are without code already.
	Accept
)

// emptied says, in a file without code, why the file is there.
const emptied = `// There is nothing to generate here any more. The file is left because go generate
// opens it after cachegen has run. Remove it, or run cachegen by hand, which does.
`

// orphans finds the generated files of the directory that are not wanted. left are those that stay, without
// code.
func (d Directory) orphans(wanted map[string]bool, what Orphans) (changes []Change, left []string, err error) {
	entries, err := os.ReadDir(d.Name)
	if err != nil {
		return nil, nil, fmt.Errorf("look for generated files: %w", err)
	}
	for _, e := range entries {
		name := filepath.Join(d.Name, e.Name())
		if wanted[name] || strings.HasSuffix(name, "_test.go") != d.Tests || !load.IsOutput(name, []byte(load.Header)) || e.IsDir() {
			continue
		}
		old, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another run has removed it
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look for generated files: %w", err)
		}
		if !load.IsOutput(name, old) {
			continue
		}
		empty := d.empty(name, old)
		same := bytes.Equal(unix(old), empty)
		if what == Empty {
			left = append(left, name)
		}
		switch {
		case same && what != Remove:
		case what == Empty:
			changes = append(changes, Change{Name: name, Old: old, New: empty})
		default:
			changes = append(changes, Change{Name: name, Old: old})
		}
	}
	return changes, left, nil
}

// empty is a generated file without code, in the place of old. It is compiled when old was, for otherwise
// it could make a package of a directory that has none.
func (d Directory) empty(name string, old []byte) []byte {
	var b bytes.Buffer
	b.WriteString(load.Header + "\n\n")
	for line := range bytes.Lines(unix(old)) {
		text := strings.TrimSpace(string(line))
		if constraint.IsGoBuild(text) {
			b.WriteString(text + "\n\n")
		}
		if strings.HasPrefix(text, "package ") {
			break
		}
	}
	b.WriteString(emptied + "\npackage " + d.clause(name, old) + "\n")
	return b.Bytes()
}

// clause is the package that a file without code belongs to: of tests, it may be the one outside of the
// package, as old was.
func (d Directory) clause(name string, old []byte) string {
	switch {
	case d.Package == "":
		return "p" // the go command could read no package clause
	case !d.Tests:
		return d.Package
	}
	within := strings.TrimSuffix(d.Package, "_test")
	f, err := parser.ParseFile(token.NewFileSet(), name, old, parser.PackageClauseOnly)
	if err == nil && strings.HasSuffix(f.Name.Name, "_test") {
		return within + "_test"
	}
	return within
}
