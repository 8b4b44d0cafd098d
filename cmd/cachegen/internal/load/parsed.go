package load

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// Parsed is a package that somebody else has found and parsed, such as the go command for
// a vet tool.
type Parsed struct {
	Path, Name string
	GoVersion  string
	Fset       *token.FileSet
	Files      []*ast.File // those that are compiled, with comments and bodies; tests and output among them
	Ignored    []string    // names of files that build constraints exclude

	Import   func(path string) (*types.Package, error)
	ReadFile func(name string) ([]byte, error)
}

// Packages sees a parsed package as [Load] would see it, and its tests as [Result.Tests]
// would, and reports the same problems of their directives to list. The types are made
// anew, because those that the package was checked with are not the sources' alone. It
// returns none if there are no directives. The files are not changed.
func (in *Parsed) Packages(list *diag.List) ([]*Package, error) {
	p := &Package{Path: in.Path, Name: in.Name, Dir: in.dir(), Fset: in.Fset}
	tests := &Package{Path: in.Path, Name: in.Name, Dir: p.Dir, Fset: in.Fset, Test: true}
	var sources []*ast.File
	annotated := false
	for _, f := range in.Files {
		name := in.name(f)
		src, err := in.ReadFile(in.Fset.PositionFor(f.FileStart, false).Filename)
		if err != nil {
			return nil, err
		}
		if Replaceable(name, src) {
			continue
		}
		sources = append(sources, f)
		if filepath.Dir(name) != p.Dir {
			continue // what cgo adds
		}
		file := &File{Name: name, AST: f}
		if directive.Mentions(src) {
			file.Directives, file.Refused = directive.Parse(in.Fset, f, list)
			annotated = annotated || len(file.Directives)+len(file.Refused) > 0
		}
		if isTest(name) {
			tests.Files = append(tests.Files, file)
		} else {
			p.Files = append(p.Files, file)
		}
	}
	if err := in.ignored(list); err != nil {
		return nil, err
	}
	if !annotated {
		return nil, nil
	}
	in.check(p, sources)
	tests.Types, tests.Info, tests.TypeErrors = p.Types, p.Info, p.TypeErrors
	var found []*Package
	for _, p := range []*Package{p, tests} {
		slices.SortFunc(p.Files, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
		if len(p.Files) > 0 {
			found = append(found, p)
		}
	}
	return found, nil
}

// ignored reports what is close to a directive in files that build constraints exclude. Of
// directives there a run of cachegen says that it leaves them out; this is none.
func (in *Parsed) ignored(list *diag.List) error {
	for _, name := range in.Ignored {
		if !isIgnoredSource(name) {
			continue
		}
		src, err := in.ReadFile(name)
		if err != nil {
			return err
		}
		if Replaceable(name, src) || !directive.Mentions(src) {
			continue
		}
		if f, _ := parser.ParseFile(in.Fset, name, src, mode); f != nil {
			directive.Left(in.Fset, f, list, "", "")
		}
	}
	return nil
}

func newInfo() *types.Info {
	return &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Implicits:  map[ast.Node]types.Object{},
		Instances:  map[*ast.Ident]types.Instance{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
		Scopes:     map[ast.Node]*types.Scope{},
	}
}

// check makes the types of the sources.
func (in *Parsed) check(p *Package, sources []*ast.File) {
	p.Info = newInfo()
	config := types.Config{
		GoVersion: in.GoVersion, IgnoreFuncBodies: true, Importer: importer(in.Import),
		Error: func(err error) {
			if e, ok := err.(types.Error); ok {
				p.TypeErrors = append(p.TypeErrors, e)
			}
		},
	}
	p.Types, _ = config.Check(in.Path, in.Fset, sources, p.Info)
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }

// dir is the directory of the sources. What cgo adds is in another one.
func (in *Parsed) dir() string {
	for _, f := range in.Files {
		if name := in.name(f); !strings.HasPrefix(filepath.Base(name), "_cgo") {
			return filepath.Dir(name)
		}
	}
	return ""
}

func (in *Parsed) name(f *ast.File) string {
	name := in.Fset.PositionFor(f.FileStart, false).Filename
	if diag.FromCgo(name) {
		name = sourceName(in.Fset, f)
	}
	return name
}
