package load

import (
	"context"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// Tests loads the tests of those packages of r whose test files have directives, or output. It is
// called once the packages' own files are written: tests see them as they are.
func (r *Result) Tests(ctx context.Context, cfg Config) (*Result, error) {
	var candidates []*candidate
	for _, c := range r.candidates {
		if (len(c.tests) > 0 || c.testOutput) && !c.context {
			candidates = append(candidates, c)
		}
	}
	out := &Result{Fset: token.NewFileSet(), Problems: &diag.List{}}
	if len(candidates) == 0 {
		return out, nil
	}
	in := newInput(out, candidates)
	in.tests = true
	var patterns []string
	for _, c := range candidates {
		patterns = append(patterns, c.path)
	}
	loaded, err := packages.Load(&packages.Config{
		Context: ctx,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes |
			packages.NeedTypesInfo | packages.NeedForTest,
		Dir: cfg.Dir, Fset: out.Fset, BuildFlags: buildFlags(cfg), ParseFile: in.parse, Tests: true,
	}, patterns...)
	if err != nil {
		return nil, failed("load tests", err)
	}
	for _, p := range loaded {
		if c := in.byPath[p.ForTest]; c != nil && !strings.HasSuffix(p.PkgPath, ".test") {
			out.Packages = append(out.Packages, in.collectTests(p, c))
		}
	}
	for name, s := range in.sources {
		if s.err != nil {
			in.unreadable[filepath.Dir(name)] = true
		}
		out.Problems.Append(&s.problems)
	}
	out.Packages = slices.DeleteFunc(out.Packages, func(p *Package) bool { return in.unreadable[p.Dir] })
	slices.SortFunc(out.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// collectTests makes a Package of the test files of what was loaded: a package with its
// own tests, or one of tests outside of it.
func (in *input) collectTests(p *packages.Package, c *candidate) *Package {
	pkg := &Package{
		Path: p.PkgPath, Fset: in.Fset, Types: p.Types, Info: p.TypesInfo, TypeErrors: p.TypeErrors,
		Name: p.Name, Dir: c.dir, Test: true, Kept: c.kept,
	}
	for _, f := range p.Syntax {
		name := in.Fset.PositionFor(f.FileStart, false).Filename
		if s := in.sources[name]; isTest(name) && s != nil && !s.output && s.err == nil && filepath.Dir(name) == c.dir {
			pkg.Files = append(pkg.Files, &File{Name: name, AST: f, Directives: s.directives, Refused: s.refused})
		}
	}
	slices.SortFunc(pkg.Files, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
	return pkg
}

// testsPackage is the package clause of what a test file's output has to have.
func testsPackage(output string, src []byte, listed string) string {
	source := strings.TrimSuffix(output, testSuffix) + "_test.go"
	for _, try := range []struct {
		name string
		src  any
	}{{source, nil}, {output, src}} {
		f, err := parser.ParseFile(token.NewFileSet(), try.name, try.src, parser.PackageClauseOnly)
		if err == nil {
			return f.Name.Name
		}
	}
	return listed
}
