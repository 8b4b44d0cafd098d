package conventions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/cachegen/cachegen"
)

// A source is a file of the repository in Go.
type source struct {
	name string // relative to the root, with slashes
	*ast.File
}

// dir returns the directory of the file, relative to the root.
func (s source) dir() string {
	dir, _, _ := cutLast(s.name, "/")
	return dir
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return "", s, false
}

// sources returns the files of all modules, without the inputs of tests, which may be wrong on
// purpose.
func sources(t *testing.T) (files []source, positions *token.FileSet) {
	t.Helper()
	positions = token.NewFileSet()
	for _, name := range names(t, ".go") {
		file, err := parser.ParseFile(positions, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(file) && !strings.HasSuffix(name, "_cachegen.go") {
			continue // another generator has its own conventions
		}
		files = append(files, source{name, file})
	}
	if len(files) < 300 {
		t.Fatalf("only %d files were found", len(files))
	}
	return files, positions
}

// names returns the files of the repository with an ending.
func names(t *testing.T, ending string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ending):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// importedBy returns the path of the package of a name that a file takes from another package.
func importedBy(file source, of *ast.SelectorExpr) string {
	if of == nil {
		return ""
	}
	in, ok := of.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		_, name, found := cutLast(path, "/")
		if !found {
			name = path
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == in.Name {
			return path
		}
	}
	return ""
}
