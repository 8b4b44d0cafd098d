package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/modfile"
)

// TestMain makes the test binary the command too: scripts run "cachegen".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cachegen": main})
}

// TestScripts runs testdata/script/*.txtar: sources in, exact output or exact
// problems out. UPDATE_SCRIPTS=1 rewrites what cmp compares with.
//
// In a script, $WORK/go.mod need not exist for packages that only import the
// standard library: one for module example.com/app is made. The command
// "runtime" adds what is needed to compile generated code.
func TestScripts(t *testing.T) {
	env := goEnv(t, "GOMODCACHE", "GOCACHE", "GOPATH", "GOTOOLCHAIN")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	download(t, root)
	cachegen, err := exec.LookPath("cachegen")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if testing.Short() {
		scripts = slices.DeleteFunc(scripts, compiles)
	}
	testscript.Run(t, testscript.Params{
		Files:               scripts,
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			// Everything a script needs is in the module cache, or the test says so.
			e.Vars = append(e.Vars, "CACHEGEN_ROOT="+root, "CACHEGEN="+cachegen, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0")
			name := filepath.Join(e.WorkDir, "go.mod")
			if _, err := os.Stat(name); err == nil {
				return nil
			}
			return os.WriteFile(name, []byte("module example.com/app\n\ngo 1.26\n"), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"runtime": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 0 {
					ts.Fatalf("usage: runtime")
				}
				ts.Check(useRuntime(root, ts.MkAbs(".")))
			},
			"same-file": sameFile,
			"mode": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: mode octal file")
				}
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
					ts.Fatalf("mode of %s is %s, not %s", args[1], got, args[0])
				}
			},
			"bom": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: bom file")
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\uFEFF"+ts.ReadFile(args[0])), 0o644))
			},
			"crlf": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: crlf file")
				}
				text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
			},
		},
	})
}

// compiles reports whether a script has the go command compile, which is most of the time
// that all of them take: go test -short leaves such scripts out.
func compiles(script string) bool {
	text, err := os.ReadFile(script)
	return err == nil && regexp.MustCompile(`(?m)\bgo (build|generate|run|test|vet)\b`).Match(text)
}

// useRuntime makes the module in dir require the one in root, with the same
// versions of everything else.
func useRuntime(root, dir string) error {
	read := func(name string) (*modfile.File, error) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return modfile.Parse(name, data, nil)
	}
	ours, err := read(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	theirs, err := read(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	for _, r := range ours.Require {
		theirs.AddNewRequire(r.Mod.Path, r.Mod.Version, r.Indirect)
	}
	theirs.AddNewRequire(ours.Module.Mod.Path, "v0.0.0", false)
	if err := theirs.AddReplace(ours.Module.Mod.Path, "", root, ""); err != nil {
		return err
	}
	text, err := theirs.Format()
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go.mod"), text, 0o644)
}

// sameFile checks that a file has not been written: "same-file remember NAME", and later
// "same-file NAME". A file that is replaced has another identity.
func sameFile(ts *testscript.TestScript, neg bool, args []string) {
	remembered := func(name string) string { return ts.MkAbs(name) + ".remembered" }
	switch {
	case len(args) == 2 && args[0] == "remember" && !neg:
		ts.Check(os.Link(ts.MkAbs(args[1]), remembered(args[1])))
	case len(args) == 1:
		before, err := os.Stat(remembered(args[0]))
		ts.Check(err)
		now, err := os.Stat(ts.MkAbs(args[0]))
		ts.Check(err)
		if same := os.SameFile(before, now); same == neg {
			ts.Fatalf("%s: the same file as before: %t", args[0], same)
		}
	default:
		ts.Fatalf("usage: same-file [remember] file")
	}
}

// download fills the module cache with what the root module requires: building this test
// needed only a part of that, while scripts run without a proxy and may need all of it.
func download(t *testing.T, root string) {
	t.Helper()
	cmd := exec.Command("go", "mod", "download")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts need all dependencies of %s in the module cache, and \"go mod download\" failed there: %v\n%s", root, err, out)
	}
}

func goEnv(t *testing.T, names ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	values := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(values) != len(names) {
		t.Fatalf("go env printed %d values for %d names", len(values), len(names))
	}
	var env []string
	for i, name := range names {
		env = append(env, fmt.Sprintf("%s=%s", name, values[i]))
	}
	return env
}
