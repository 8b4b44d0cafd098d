package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages of the generator with those of them that each may import: what is found
// flows from load to check, and from there to what is written or printed. No arrow runs back.
var layers = map[string][]string{
	"diag":      {},
	"gotype":    {},
	"naming":    {},
	"key":       {"templates"},
	"directive": {"diag"},
	"value":     {"templates"},
	"load":      {"diag", "directive"},
	"facts":     {"diag", "directive", "gotype", "key", "load", "naming", "templates"},
	"check":     {"diag", "directive", "facts", "gotype", "key", "load", "naming", "templates", "value"},
	"build":     {"facts", "gotype", "load", "naming", "templates"},
	"summary":   {"diag", "facts", "templates"},
	"explain":   {"check", "diag"},
	"write":     {"diag", "load"},
}

func TestImportsRunInOneDirection(t *testing.T) {
	const prefix = "github.com/cachegen/cachegen/"
	found := map[string]bool{}
	err := filepath.WalkDir("internal", func(name string, d fs.DirEntry, err error) error {
		dir := filepath.ToSlash(filepath.Dir(name))
		room := strings.TrimPrefix(dir, "internal/")
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(dir, "testdata") || strings.HasSuffix(dir, "test") {
			return err
		}
		found[room] = true
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			of, ours := strings.CutPrefix(path, prefix)
			of = strings.TrimPrefix(of, "cmd/cachegen/internal/")
			if ours && !slices.Contains(layers[room], of) {
				t.Errorf("%s imports %s, and %s may import %v", name, of, room, layers[room])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range layers {
		if !found[room] {
			t.Errorf("there is no package %s", room)
		}
	}
	for room := range found {
		if layers[room] == nil {
			t.Errorf("package %s has no place in the layers", room)
		}
	}
}
