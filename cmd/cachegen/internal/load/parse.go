package load

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// An input is the state of one Load: what the parser learns about each file.
type input struct {
	*Result
	candidates []*candidate
	byPath     map[string]*candidate
	byDir      map[string]*candidate

	tests      bool            // generates for test files, and takes others as they are
	unreadable map[string]bool // directories with a file that has directives and does not parse

	mu      sync.Mutex // guards sources: packages.Load parses concurrently
	sources map[string]*source
}

// A source is a file as the parser found it.
type source struct {
	output     bool
	directives []*directive.Directive
	refused    []*ast.FuncDecl
	problems   diag.List
	err        error // of the syntax
}

func newInput(r *Result, candidates []*candidate) *input {
	in := &input{
		Result: r, candidates: candidates, sources: map[string]*source{},
		byPath: map[string]*candidate{}, byDir: map[string]*candidate{}, unreadable: map[string]bool{},
	}
	for _, c := range candidates {
		in.byPath[c.path], in.byDir[c.dir] = c, c
	}
	return in
}

const mode = parser.ParseComments | parser.SkipObjectResolution

// parse is the hook through which packages.Load reads files. It sees files of an
// earlier run as empty, takes the directives, and drops function bodies, which may
// use what is about to be generated and do not matter here.
func (in *input) parse(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
	c := in.byDir[filepath.Dir(name)]
	if c != nil && Replaceable(name, src) && (!in.tests || isTest(name)) {
		in.keep(name, &source{output: true})
		if isTest(name) {
			return empty(fset, name, testsPackage(name, src, c.listed))
		}
		return empty(fset, name, c.listed)
	}
	f, err := parser.ParseFile(fset, name, src, mode)
	if c == nil && diag.FromCgo(name) {
		// What cgo has made of a file is in another directory, and says where it is from.
		name = sourceName(fset, f)
		c = in.byDir[filepath.Dir(name)]
	}
	if c == nil || in.tests && !isTest(name) {
		// A package that something imports and that has no export data. Its output is
		// welcome as long as it can be read.
		if err != nil && Replaceable(name, src) {
			return empty(fset, name, f.Name.Name)
		}
		strip(f)
		return f, err
	}
	s := &source{}
	if slices.Contains(c.mention, name) {
		if s.err = err; err == nil {
			s.directives, s.refused = directive.Parse(fset, f, &s.problems)
		} else {
			syntaxProblem(&s.problems, name, src, err)
		}
	}
	in.keep(name, s)
	strip(f)
	if f.Name.Name == c.name && !in.tests {
		f.Name.Name = c.listed // or the type checker ignores the file; collect undoes it
	}
	return f, err
}

// sourceName is the name of the file that people wrote.
func sourceName(fset *token.FileSet, f *ast.File) string {
	return fset.Position(f.Package).Filename
}

func (in *input) keep(name string, s *source) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.sources[name] = s
}

// empty is a file without declarations. The package name has to be the others', for
// the type checker.
func empty(fset *token.FileSet, name, pkg string) (*ast.File, error) {
	if pkg == "" || pkg == "_" {
		pkg = "p"
	}
	return parser.ParseFile(fset, name, "package "+pkg+"\n", mode)
}

func strip(f *ast.File) {
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			fn.Body = nil
		}
	}
}

// syntaxProblem reports that a file with directives cannot be read. Generating for
// the readable half would be worse than nothing: the other functions would lose their wrappers.
func syntaxProblem(list *diag.List, name string, src []byte, err error) {
	pos, message := token.Position{Filename: name, Line: 1, Column: 1}, err.Error()
	var errs scanner.ErrorList
	if errors.As(err, &errs) && len(errs) > 0 {
		message = errs[0].Msg
		// The parser's line is what //line comments say; its offset is the file's.
		before := src[:min(errs[0].Pos.Offset, len(src))]
		pos.Line += bytes.Count(before, []byte("\n"))
		pos.Column = len(before) - bytes.LastIndexByte(before, '\n')
	}
	list.Addf(pos, diag.Syntax, "a file with //cache: directives cannot be parsed: %s", message).
		Hintf("fix it; until then the package keeps the generated files that it has")
}

// reportOthers reports directives in files that are not generated for, and files with
// directives that go list left out because it could not read them. Then it collects
// the problems of every file.
func (in *input) reportOthers() {
	for _, c := range in.candidates {
		if c.context {
			continue
		}
		for _, name := range c.mention {
			switch {
			case slices.Contains(c.tests, name):
				continue // see Tests
			case slices.Contains(c.excluded, name):
				in.reportExcluded(name, c)
				continue
			case in.sources[name] != nil:
				continue
			}
			in.reportUnlisted(name)
		}
	}
	for name, s := range in.sources {
		if s.err != nil {
			in.unreadable[filepath.Dir(name)] = true
		}
		if c := in.byDir[filepath.Dir(name)]; c == nil || !c.context {
			in.Problems.Append(&s.problems) // in any order: a diag.List sorts
		}
	}
}

// reportExcluded reads a file that build constraints exclude. A run with other
// constraints generates for it, and the output of such a run is kept.
func (in *input) reportExcluded(name string, c *candidate) {
	src, err := os.ReadFile(name)
	if err != nil {
		return // whoever builds it will say so
	}
	f, err := parser.ParseFile(in.Fset, name, src, mode)
	if f == nil || err != nil {
		return
	}
	why := "is in a file that build constraints exclude, so nothing is generated for it in this run"
	if _, err := os.Stat(OutputName(name)); err == nil && !slices.Contains(c.compiled, OutputName(name)) {
		why = "" // such a run has been, and the file's constraints are the same as then
	}
	if directive.Left(in.Fset, f, in.Problems, why, "run cachegen also with the -tags, GOOS or GOARCH that include the file") {
		c.kept = append(c.kept, OutputName(name))
	}
}

// reportUnlisted reads a file that was not part of the load.
func (in *input) reportUnlisted(name string) {
	src, err := os.ReadFile(name)
	if err != nil {
		in.Problems.Addf(token.Position{Filename: name, Line: 1, Column: 1}, diag.Syntax, "%v", err)
		return
	}
	f, err := parser.ParseFile(in.Fset, name, src, mode)
	if err != nil {
		syntaxProblem(in.Problems, name, src, err)
		in.unreadable[filepath.Dir(name)] = true
		return
	}
	in.Problems.Addf(diag.Position(in.Fset, f.Package), diag.Stray,
		"a file with //cache: directives is not part of the package that the go command loads").
		Hintf("go list says why: the name in its package clause, or a build constraint")
}
