package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/explain"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/write"
)

// Every code has a page, and every page is about a code. No other code can be emitted: package diag
// alone makes them.
func TestEveryCodeHasAPage(t *testing.T) {
	pages, err := explain.Codes()
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, c := range diag.Codes() {
		codes = append(codes, c.String())
	}
	if slices.Sort(codes); !slices.Equal(codes, pages) {
		t.Errorf("the codes are\n\t%v\nand there are pages for\n\t%v", codes, pages)
	}
}

// The wrong example of a page gets its code and no other, as the page prints it, and the right one
// gets nothing and is generated for. With UPDATE_SCRIPTS=1 the reports in the pages are written anew.
func TestExamplesOfPages(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26\n"))
	pages := map[string]*explain.Page{}
	for _, code := range diag.Codes() {
		page, err := explain.Read(code)
		if err != nil {
			t.Fatal(err)
		}
		pages[code.String()] = page
		for example, files := range map[string][]txtar.File{"wrong": page.Wrong, "right": page.Right} {
			for _, f := range files {
				writeFile(t, filepath.Join(dir, code.String(), example, f.Name), f.Data)
			}
		}
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOWORK", "off")
	loaded, err := load.Load(t.Context(), load.Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			problems, _ := generateIn(loaded, filepath.Join(dir, name, "wrong"))
			for _, d := range problems.All() {
				if d.Code != page.Code {
					t.Errorf("the wrong example gets %s: %s", d.Code, d.Message)
				}
				if d.Warning != page.Code.Warning() {
					t.Errorf("the wrong example gets %q as an error or warning, which the code is not", d.Message)
				}
			}
			if report := printed(t, problems, filepath.Join(dir, name, "wrong")); report == "" {
				t.Error("the wrong example gets nothing")
			} else if report != page.Report {
				if os.Getenv("UPDATE_SCRIPTS") != "" {
					updateReport(t, name, report)
				} else {
					t.Errorf("the report is\n%s\nand the page has\n%s", report, page.Report)
				}
			}
			problems, changes := generateIn(loaded, filepath.Join(dir, name, "right"))
			if report := printed(t, problems, dir); report != "" {
				t.Errorf("the right example gets\n%s", report)
			}
			if len(changes) == 0 {
				t.Error("nothing is generated for the right example")
			}
		})
	}
}

// generateIn checks and generates for the package of one directory, without writing.
func generateIn(loaded *load.Result, dir string) (*diag.List, []write.Change) {
	g := &generation{check: true, problems: &diag.List{}}
	for _, d := range loaded.Problems.All() {
		if filepath.Dir(d.Pos.Filename) == dir {
			g.problems.Add(*d)
		}
	}
	in := *loaded
	in.Packages = slices.DeleteFunc(slices.Clone(loaded.Packages), func(p *load.Package) bool { return p.Dir != dir })
	g.generate(&in)
	return g.problems, g.changes
}

func printed(t *testing.T, problems *diag.List, dir string) string {
	t.Helper()
	var b bytes.Buffer
	if err := problems.Print(&b, dir); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func updateReport(t *testing.T, code, report string) {
	t.Helper()
	name := filepath.Join("internal", "explain", "pages", code+".txtar")
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "report" })
	archive.Files = append(archive.Files, txtar.File{Name: "report", Data: []byte(report)})
	writeFile(t, name, txtar.Format(archive))
}

// writeFile writes a file, and the directories above it.
func writeFile(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Pages are read in terminals: lines are short, in the text and in the examples.
func TestPagesAreNarrow(t *testing.T) {
	for _, code := range diag.Codes() {
		page, err := explain.Read(code)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(page.Text) {
			if len(line) > 85 {
				t.Errorf("the page of %s has a line of %d letters: %s", code, len(line), line)
			}
		}
	}
}
