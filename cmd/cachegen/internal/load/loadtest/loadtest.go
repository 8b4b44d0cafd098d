// Package loadtest makes loaded packages of sources in memory, for tests of what comes after
// loading. It runs no go command for the sources: the standard library is imported as compiled.
package loadtest

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// Module is the import path of the directory that the files of an archive are in.
const Module = "example.com/app"

// standard imports packages of the standard library, once for all tests. It is not safe for
// concurrent use by itself.
var (
	mu       sync.Mutex
	standard = importer.ForCompiler(token.NewFileSet(), "gc", nil)
)

// Packages returns the packages of an archive of Go files, sorted by directory, those of tests
// among them. Files that do not parse are left out. Problems of directives go to list.
func Packages(t testing.TB, archive *txtar.Archive, list *diag.List) []*load.Package {
	t.Helper()
	a := &sources{fset: token.NewFileSet(), text: map[string][]byte{}, dirs: map[string][]*ast.File{}, types: map[string]*types.Package{}}
	for _, f := range archive.Files {
		if path.Ext(f.Name) != ".go" {
			continue
		}
		name := "/" + f.Name
		file, err := parser.ParseFile(a.fset, name, f.Data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		a.text[name] = f.Data
		a.dirs[path.Dir(name)] = append(a.dirs[path.Dir(name)], file)
	}
	var dirs []string
	for dir := range a.dirs {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	var all []*load.Package
	for _, dir := range dirs {
		found, err := a.parsed(dir).Packages(list)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// Package returns the package of one file.
func Package(t testing.TB, source string) *load.Package {
	t.Helper()
	var problems diag.List
	archive := &txtar.Archive{Files: []txtar.File{{Name: "repo.go", Data: []byte(source)}}}
	all := Packages(t, archive, &problems)
	if len(all) != 1 || problems.Len() > 0 {
		t.Fatalf("%d packages, %d problems of the source:\n%s", len(all), problems.Len(), source)
	}
	return all[0]
}

// sources are the files of an archive, by directory.
type sources struct {
	fset  *token.FileSet
	text  map[string][]byte
	dirs  map[string][]*ast.File
	types map[string]*types.Package // by directory
}

func (a *sources) parsed(dir string) *load.Parsed {
	files := a.dirs[dir]
	return &load.Parsed{
		Path: path.Join(Module, dir), Name: files[0].Name.Name, Fset: a.fset, Files: files,
		Import: a.imported, ReadFile: func(name string) ([]byte, error) { return a.text[name], nil },
	}
}

// imported is a package of the archive, or of the standard library.
func (a *sources) imported(name string) (*types.Package, error) {
	if dir, ok := directory(name); ok && a.dirs[dir] != nil {
		if a.types[dir] == nil {
			config := types.Config{IgnoreFuncBodies: true, Importer: importerFunc(a.imported), Error: func(error) {}}
			a.types[dir], _ = config.Check(name, a.fset, a.dirs[dir], nil)
		}
		return a.types[dir], nil
	}
	mu.Lock()
	defer mu.Unlock()
	return standard.Import(name)
}

// directory is where an archive has the package with an import path.
func directory(name string) (string, bool) {
	if len(name) > len(Module) && name[:len(Module)] == Module && name[len(Module)] == '/' {
		return name[len(Module):], true
	}
	return "/", name == Module
}

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(name string) (*types.Package, error) { return f(name) }
