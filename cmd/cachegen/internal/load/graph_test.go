package load

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
)

// The guess costs time where it is wrong, so it counts what the patterns match and no more.
func TestMostAnnotated(t *testing.T) {
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(`
-- go.mod --
module example.com/app
-- few/a/a.go --
package a

//cache:getorset x
-- few/b/b.go --
package b
-- few/c/c.go --
package c
-- most/a/a.go --
package a

//cache:getorset x
-- most/b/b_cachegen.go --
-- most/c/c.go --
package c
-- most/testdata/d/d.go --
package d
-- most/_e/e.go --
package e
-- most/module/go.mod --
module example.com/other
-- most/module/f.go --
package f
-- none/a.go --
package none
`)).Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		patterns []string
		want     bool
	}{
		{[]string{"./few/..."}, false},
		{[]string{"./few/a"}, true},
		{[]string{"./most/..."}, true},
		{[]string{"./few/a", "./none"}, true},
		{[]string{"./few/...", "./most/..."}, true},
		{[]string{"./few/...", "./none"}, false},
		{[]string{"./none"}, false},
		{[]string{"./missing/..."}, false},
		{[]string{"./m.../a"}, false},
		{[]string{"example.com/app/most/..."}, false},
	} {
		if got := mostAnnotated(Config{Dir: dir, Patterns: test.patterns}); got != test.want {
			t.Errorf("%v: %v", test.patterns, got)
		}
	}
}
