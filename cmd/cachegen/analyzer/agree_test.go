package analyzer

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// acrossPackages are scripts with targets in other packages, of which an analyzer knows nothing.
var acrossPackages = []string{
	"elsewhere.txtar", "check_target_lists.txtar", "check_batch_elsewhere.txtar", "check_handles_elsewhere.txtar", "modules.txtar",
}

// The sources of all scripts of the command get the diagnostics from the analyzer that
// the command has for them: the same places, words and hints.
func TestAgreesWithTheCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("it loads what all scripts have, twice")
	}
	scripts, err := filepath.Glob("../testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOWORK", "off")
	t.Setenv("CGO_ENABLED", "0")
	compared := 0
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if !extract(t, archive, dir) {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			want, ok := byCommand(t, dir)
			if !ok {
				t.Skip("the command does not get as far as to the directives")
			}
			compared += len(want)
			got := byAnalyzer(t, dir)
			for _, d := range want {
				if slices.Contains(acrossPackages, filepath.Base(script)) && (strings.Contains(d, "[target]") || strings.Contains(d, "[name]")) {
					continue // what is in another package takes two, too
				}
				if !slices.Contains(got, d) {
					t.Errorf("only the command says:\n%s", d)
				}
			}
			for _, d := range got {
				if !slices.Contains(want, d) {
					t.Errorf("only the analyzer says:\n%s", d)
				}
			}
		})
	}
	if compared < 200 {
		t.Errorf("compared %d diagnostics, and the scripts have more", compared)
	}
}

// extract writes the files of a script, and reports whether there is one of Go.
func extract(t *testing.T, archive *txtar.Archive, dir string) (found bool) {
	t.Helper()
	write := func(name string, text []byte) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", []byte("module example.com/app\n\ngo 1.26\n"))
	for _, f := range archive.Files {
		found = found || filepath.Ext(f.Name) == ".go"
		write(f.Name, f.Data)
	}
	return found
}

// packageOf names the package that a file belongs to. A directory may have two, one of them for
// tests.
func packageOf(t *testing.T, file string) string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(file) + " " + parsed.Name.Name
}

// byCommand are the diagnostics that the command has and an analyzer can have.
func byCommand(t *testing.T, dir string) ([]string, bool) {
	t.Helper()
	config := load.Config{Dir: dir, Patterns: []string{"./..."}}
	loaded, err := load.Load(context.Background(), config)
	if err != nil {
		return nil, false
	}
	tests, err := loaded.Tests(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Problems.Append(tests.Problems)
	for _, d := range loaded.Problems.All() {
		if d.Code == diag.Syntax && strings.HasPrefix(d.Message, "a file with") {
			return nil, false
		}
	}
	check.Packages(loaded.Packages, loaded.Problems)
	check.Packages(tests.Packages, loaded.Problems)
	var list []string
	for _, d := range loaded.Problems.All() {
		elsewhere := func(r diag.Related) bool { return packageOf(t, r.Pos.Filename) != packageOf(t, d.Pos.Filename) }
		if slices.ContainsFunc(d.Related, elsewhere) {
			continue // it takes two packages
		}
		if d.Code == diag.Excluded {
			continue // that is about this run of the command
		}
		warning := ""
		if d.Warning {
			warning = "warning: "
		}
		text := fmt.Sprintf("%s: %s%s [%s]", d.Pos, warning, d.Message, d.Code)
		for _, hint := range d.Hints {
			text += "\n\t" + hint
		}
		for _, r := range d.Related {
			text += fmt.Sprintf("\n%s: %s", r.Pos, r.Message)
		}
		list = append(list, text)
	}
	return list, true
}

func byAnalyzer(t *testing.T, dir string) []string {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax | packages.NeedModule, Dir: dir, Tests: true}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{Analyzer}, loaded, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, act := range graph.Roots {
		if act.Err != nil {
			t.Errorf("%s: %v", act.Package.ID, act.Err)
		}
		at := act.Package.Fset.PositionFor
		for _, d := range act.Diagnostics {
			pos := at(d.Pos, false)
			pos.Offset = 0
			text := fmt.Sprintf("%s: %s", pos, d.Message)
			for _, r := range d.Related {
				text += fmt.Sprintf("\n%s: %s", at(r.Pos, false), r.Message)
			}
			if !slices.Contains(list, text) { // a package is checked again with its tests
				list = append(list, text)
			}
		}
	}
	return list
}
