// Package load finds the packages that have directives and type-checks them, once,
// together, and in spite of nearly everything that can be wrong with sources that somebody is
// working on.
//
// The types are those of the sources alone: files of an earlier run are seen as
// empty, whether they are right, stale, broken or full of conflict markers, and so
// are function bodies, which may use what is about to be generated. What a run writes
// is thus a function of what people wrote. Type errors are kept and not reported: package
// check reports those that make an annotated signature unusable.
package load

import (
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// A Config says what to load.
type Config struct {
	Dir      string   // absolute; patterns are relative to it
	Tags     string   // as for go build -tags
	Patterns []string // as for go list
}

// A Result is everything that was loaded.
type Result struct {
	Fset *token.FileSet
	// Packages are those with directives or with output, sorted by import path. A
	// package in which a file with directives cannot be parsed is not one of them: it
	// has a problem, and what else would be said of it might not be true.
	Packages []*Package
	Problems *diag.List // of the directives, and of files that cannot be read

	candidates []*candidate
	listed     map[string]*packages.Package // by import path: the candidates, and others
}

// A Package is a package that has directives, or output of an earlier run.
type Package struct {
	Path, Name string
	Dir        string // absolute
	Fset       *token.FileSet
	Types      *types.Package
	Info       *types.Info
	Files      []*File // without output and tests, sorted by name
	Broken     bool    // set by the checker: something of the package was reported
	// Kept is the output of files with directives that this run's build constraints exclude.
	Kept []string
	// Test says that the files are those of the package's tests, or of a package of tests.
	Test bool
	// Context says that no pattern matches the package: nothing is generated for it, but
	// others refer to what its directives are about.
	Context bool

	// TypeErrors are those that the type checker reported, in source order. Most are
	// of no concern, such as uses of what is yet to be generated; see [Package.Why].
	TypeErrors []types.Error
}

// A File is a source file.
type File struct {
	Name       string    // absolute
	Cgo        bool      // it imports C, which the AST that cgo has made does not show
	AST        *ast.File // with comments, without function bodies
	Directives []*directive.Directive
	// Refused are functions of which a directive, or what was meant as one, has been
	// reported: they may be missing in Directives.
	Refused []*ast.FuncDecl
}

// Output is the name of the file that is generated for f, if it has directives.
func (f *File) Output() string { return OutputName(f.Name) }

// Why says why the type checker has no type for node, a type expression in file: the first
// error inside of it, or else one about the import that it needs. It returns node's
// position and no message if there is none.
func (p *Package) Why(file *File, node ast.Node) (token.Pos, string) {
	if at, message := p.errorIn(node); message != "" {
		return at, message
	}
	used := map[string]bool{}
	ast.Inspect(node, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				if name, ok := p.Info.Uses[x].(*types.PkgName); ok {
					used[name.Imported().Path()] = true
				}
			}
		}
		return true
	})
	for _, spec := range file.AST.Imports {
		if used[strings.Trim(spec.Path.Value, "\"`")] {
			if at, message := p.errorIn(spec); message != "" {
				return at, message
			}
		}
	}
	return node.Pos(), ""
}

func (p *Package) errorIn(node ast.Node) (token.Pos, string) {
	for _, e := range p.TypeErrors {
		if !e.Soft && node.Pos() <= e.Pos && e.Pos < node.End() {
			return e.Pos, e.Msg
		}
	}
	return token.NoPos, ""
}

// Load loads the packages that cfg's patterns match and that have directives. It
// fails if a pattern matches nothing or go list cannot work; what is wrong with the
// sources is in Result.Problems.
func Load(ctx context.Context, cfg Config) (*Result, error) {
	r, err := find(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if len(r.candidates) == 0 {
		return r, nil
	}
	r.candidates = append(r.candidates, r.mentionedPackages()...)
	in := newInput(r, r.candidates)
	if err := in.load(ctx); err != nil {
		return nil, err
	}
	for i, p := range r.Packages {
		if in.missesOutput(p) {
			if r.Packages[i], err = in.reload(ctx, p); err != nil {
				return nil, err
			}
		}
	}
	in.reportOthers()
	for _, p := range r.Packages {
		p.Kept = in.byPath[p.Path].kept
	}
	r.Packages = slices.DeleteFunc(r.Packages, func(p *Package) bool { return in.unreadable[p.Dir] })
	slices.SortFunc(r.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return r, nil
}

// load adds the candidates to in.Packages.
func (in *input) load(ctx context.Context) error {
	var roots []*packages.Package
	for _, c := range in.candidates {
		if p := in.listed[c.path]; p != nil && !c.noFiles {
			roots = append(roots, p)
		}
	}
	checked, err := typeCheck(ctx, in.Fset, in.parse, roots)
	if err != nil {
		return fmt.Errorf("load packages: %w", err)
	}
	for _, p := range checked {
		in.Packages = append(in.Packages, in.collect(p))
	}
	return nil
}

func buildFlags(cfg Config) []string {
	flags := []string{"-buildvcs=false"} // a checkout without its .git directory is fine
	if cfg.Tags != "" {
		flags = append(flags, "-tags="+cfg.Tags)
	}
	return flags
}

// collect makes a Package of what was loaded.
func (in *input) collect(p *packages.Package) *Package {
	pkg := &Package{
		Path: p.PkgPath, Fset: in.Fset, Types: p.Types, Info: p.TypesInfo, TypeErrors: p.TypeErrors,
	}
	c := in.byPath[p.PkgPath]
	pkg.Name, pkg.Dir, pkg.Context = c.name, c.dir, c.context
	pkg.Types.SetName(c.name)
	for _, f := range p.Syntax {
		if f.Name.Name == c.listed {
			f.Name.Name = c.name
		}
		name := in.Fset.PositionFor(f.FileStart, false).Filename
		cgo := diag.FromCgo(name)
		if cgo {
			name = sourceName(in.Fset, f)
		}
		if s := in.sources[name]; s != nil && !s.output && s.err == nil && filepath.Dir(name) == pkg.Dir {
			pkg.Files = append(pkg.Files, &File{Name: name, Cgo: cgo, AST: f, Directives: s.directives, Refused: s.refused})
		}
	}
	slices.SortFunc(pkg.Files, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
	return pkg
}
