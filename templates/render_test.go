package templates_test

import (
	"bytes"
	"errors"
	"flag"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/templates"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the generated files under testdata")

// The expected files are Go files of packages under testdata, next to the source
// that the models below stand for, so that they can be built and vetted.
var cases = []struct {
	name, path string
	model      func() *templates.File
}{
	{"a repository and functions", "users/user_repo_cachegen.go", usersFile},
	{"shapes of signatures, keys and targets", "shapes/shapes_cachegen.go", shapesFile},
	{"value receivers and caches of others", "values/values_cachegen.go", valuesFile},
	{"methods that bind to a transaction", "transactions/transactions_cachegen.go", transactionsFile},
	{"clashing package names and a build constraint", "clash/clash_cachegen.go", clashFile},
}

func TestRenderGolden(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := templates.Render(c.model())
			if err != nil {
				if broken, ok := errors.AsType[*templates.SourceError](err); ok {
					t.Logf("source:\n%s", broken.Source)
				}
				t.Fatal(err)
			}
			if again, err := format.Source(got); err != nil || !bytes.Equal(got, again) {
				t.Errorf("gofmt changes what Render gives (error %v)", err)
			}
			path := filepath.Join("testdata", c.path)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs from what Render gives; after a wanted change, run with -update", path)
			}
		})
	}
}

func TestGoldenFilesTypeCheck(t *testing.T) {
	var patterns []string
	for _, c := range cases {
		patterns = append(patterns, "./testdata/"+filepath.Dir(c.path))
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != len(cases) {
		t.Fatalf("loaded %d packages, want %d", len(pkgs), len(cases))
	}
	for _, p := range pkgs {
		for _, err := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, err)
		}
	}
}

func TestSameModelGivesSameBytes(t *testing.T) {
	for _, c := range cases {
		first, err := templates.Render(c.model())
		if err != nil {
			t.Fatal(err)
		}
		model := c.model()
		for range 5 {
			again, err := templates.Render(model)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, again) {
				t.Errorf("%s: two renderings differ", c.name)
			}
		}
	}
}

// What the compiler moves to the heap is allocated on every hit.
func TestKeyBuffersStayOnTheStack(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", "./testdata/users", "./testdata/shapes", "./testdata/values").CombinedOutput()
	if err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("user_repo_cachegen.go")) {
		t.Fatalf("the compiler reported nothing about the generated file:\n%s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_cachegen.go") && strings.Contains(line, "moved to heap: buf") {
			t.Error(strings.TrimSpace(line))
		}
	}
}

func TestRenderRefusesWhatItCannotExpress(t *testing.T) {
	t.Run("a key field in two segments", func(t *testing.T) {
		f := usersFile()
		f.Caches[0].Key.Segments = append(f.Caches[0].Key.Segments, templates.Segment{Field: 0})
		wantError(t, f, "field 0 is in 2 segments")
	})
	t.Run("text that is no Go", func(t *testing.T) {
		f := usersFile()
		f.Caches[0].KeyType = "User Key"
		wantError(t, f, "formatting generated code")
	})
}

func wantError(t *testing.T, f *templates.File, part string) {
	t.Helper()
	if _, err := templates.Render(f); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}
