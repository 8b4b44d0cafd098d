package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/build"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// The output depends on what the sources say, not on the order in which packages come
// or type errors were met, nor on that of a map: many runs write what is committed.
func TestDeterminism(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := load.Load(t.Context(), load.Config{Dir: root, Patterns: []string{"./generated_test/...", "./example/..."}})
	if err != nil {
		t.Fatal(err)
	}
	committed := map[string][]byte{}
	random := rand.New(rand.NewPCG(1, 2))
	for run := range 200 {
		random.Shuffle(len(loaded.Packages), func(i, j int) {
			loaded.Packages[i], loaded.Packages[j] = loaded.Packages[j], loaded.Packages[i]
		})
		for _, pkg := range loaded.Packages {
			errs := pkg.TypeErrors
			random.Shuffle(len(errs), func(i, j int) { errs[i], errs[j] = errs[j], errs[i] })
		}
		var problems diag.List
		plans := build.Files(check.Packages(loaded.Packages, &problems))
		if n := problems.Errors(); n > 0 {
			problems.Print(os.Stderr, root)
			t.Fatalf("run %d: %d problems", run, n)
		}
		front := loaded.Packages[:3] // those that chance has put there: rendering takes the most time
		for _, pkg := range front {
			files, err := render(pkg, plans)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				want, ok := committed[file.Name]
				if !ok {
					if want, err = os.ReadFile(file.Name); err != nil {
						t.Fatal(err)
					}
					committed[file.Name] = want
				}
				if !bytes.Equal(file.Content, want) {
					t.Fatalf("run %d: %s is not what is committed", run, file.Name)
				}
			}
		}
	}
	if len(committed) < 10 {
		t.Errorf("%d files are compared", len(committed))
	}
}
