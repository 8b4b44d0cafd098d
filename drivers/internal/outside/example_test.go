package outside

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// In this repository the example could import packages that are internal to the module, and modules
// of go.work that nobody else can get. So the example, and the file that the README shows, are
// compiled as what they stand for: a module of somebody else, who has what is published of this
// repository and nothing more.
func TestTheExampleIsAModuleOfSomebodyElse(t *testing.T) {
	if testing.Short() {
		t.Skip("it gets modules, and compiles what they have")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "example"))); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?ms)^```go\n(package .*?)^```$").FindAllSubmatch(readme, -1)
	if len(shown) == 0 {
		t.Fatal("the README shows no file in Go")
	}
	for i, file := range shown {
		name := filepath.Join(dir, "readme", strings.Repeat("x", i+1), "shown.go")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file[1], 0o600); err != nil {
			t.Fatal(err)
		}
	}

	const ours = "github.com/cachegen/cachegen"
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" && d.Name() != "go.mod" {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name, bytes.ReplaceAll(content, []byte(ours+"/example"), []byte("example.com/service")), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}

	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("mod", "edit", "-replace", ours+"="+root)
	for _, driver := range []string{"dynamodb", "nats", "postgres/pgxbus"} { // the modules that have a driver
		run("mod", "edit", "-replace", ours+"/drivers/"+driver+"="+filepath.Join(root, "drivers", driver))
	}
	run("vet", "./...") // compiles tests, too
	run("tool", "cachegen", "-check", "./...")
}
