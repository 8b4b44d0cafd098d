package load

import (
	"context"
	"go/parser"
	"go/token"
	"os"
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
		Dir: cfg.Dir, Fset: out.Fset, BuildFlags: buildFlags(cfg), ParseFile: in.parse, Tests: true, Overlay: renamed(candidates),
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

// renamed is the output for tests whose package has got another name since, with that name. The go
// command would find two packages in the directory, and take the name of the wrong one.
func renamed(candidates []*candidate) map[string][]byte {
	found := map[string][]byte{}
	for _, c := range candidates {
		if !c.testOutput {
			continue
		}
		names, _ := filepath.Glob(filepath.Join(c.dir, "*_test.go"))
		within := "" // of the package that is tested
		if !c.noFiles {
			within = c.name
		}
		output := map[string][]byte{}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			if Replaceable(name, src) {
				output[name] = src
			} else if clause, _ := clauseOf(name, src); clause != "" && within == "" {
				within = strings.TrimSuffix(clause, "_test")
			}
		}
		for name, src := range output {
			clause, at := clauseOf(name, src)
			if clause == "" || within == "" || strings.TrimSuffix(clause, "_test") == within {
				continue
			}
			right := within
			if strings.HasSuffix(testsPackage(name, src, clause), "_test") {
				right += "_test"
			}
			found[name] = slices.Concat(src[:at], []byte(right), src[at+len(clause):])
		}
	}
	return found
}

// clauseOf is the name in a file's package clause, and its offset. It is empty if the file cannot be read.
func clauseOf(name string, src []byte) (clause string, at int) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.PackageClauseOnly)
	if err != nil {
		return "", 0
	}
	return f.Name.Name, fset.PositionFor(f.Name.Pos(), false).Offset
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
