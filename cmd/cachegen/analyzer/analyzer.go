// Package analyzer checks //cache: directives while code is written. It reports the same problems as
// command cachegen, as an analyzer for go vet and for linters that take one.
//
//	go vet -vettool=$(go tool -n cachegen) ./...
//
// Where it is clear what was meant, a diagnostic comes with a fix:
//
//	go vet -vettool=$(go tool -n cachegen) -fix ./...
//
// A message ends with a code in brackets, and "cachegen explain CODE" says what it means.
//
// An analyzer sees one package at a time. Problems between several packages, such as keys that can be
// equal, are reported only by cachegen, and so is output that is out of date.
// The go command, unlike cachegen, does not look at packages with type errors.
package analyzer

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// Analyzer reports wrong //cache: directives, with the positions, messages and codes of cachegen. It has
// no flags, no facts and no result, and may run in any number of goroutines.
var Analyzer = &analysis.Analyzer{
	Name: "cachegen",
	Doc: "check the //cache: directives of cachegen\n\n" +
		"Directives that cachegen would refuse are reported: misspelt or misplaced ones, keys that\n" +
		"leave out a parameter, values that cannot be stored, invalidations of what is not cached.",
	URL:              "https://pkg.go.dev/github.com/cachegen/cachegen/cmd/cachegen",
	Run:              run,
	RunDespiteErrors: true, // what is yet to be generated is missing
}

func run(pass *analysis.Pass) (any, error) {
	path, _, _ := strings.Cut(pass.Pkg.Path(), " ") // without the test that it is compiled for
	in := &load.Parsed{
		Path: path, Name: pass.Pkg.Name(), GoVersion: pass.Pkg.GoVersion(),
		Fset: pass.Fset, Files: pass.Files, Ignored: pass.IgnoredFiles,
		Import: imports(pass), ReadFile: pass.ReadFile,
	}
	list := &diag.List{}
	packages, err := in.Packages(list)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		check.Alone(p, list)
	}
	r := &reporter{pass: pass, sources: map[string][]byte{}}
	for _, d := range list.All() {
		pass.Report(r.diagnostic(d))
	}
	return nil, nil
}

// imports finds what the package imports among what it was checked with.
func imports(pass *analysis.Pass) func(string) (*types.Package, error) {
	found := map[string]*types.Package{}
	for _, f := range pass.Files {
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if name := pass.TypesInfo.PkgNameOf(spec); name != nil && err == nil {
				found[path] = name.Imported()
			}
		}
	}
	return func(path string) (*types.Package, error) {
		if p := found[path]; p != nil {
			return p, nil
		}
		return nil, errors.New("could not import " + path)
	}
}

// A reporter turns cachegen's diagnostics into those of an analyzer.
type reporter struct {
	pass    *analysis.Pass
	sources map[string][]byte // by file name
}

func (r *reporter) diagnostic(d *diag.Diagnostic) analysis.Diagnostic {
	out := analysis.Diagnostic{Pos: d.At, Category: d.Code.String()}
	if !out.Pos.IsValid() {
		out.Pos = r.pos(d.Pos)
	}
	message := fmt.Sprintf("%s [%s]", d.Message, d.Code)
	if d.Warning {
		message = "warning: " + message
	}
	for _, other := range d.Related {
		if pos := r.pos(other.Pos); pos.IsValid() {
			out.Related = append(out.Related, analysis.RelatedInformation{Pos: pos, Message: other.Message})
		} else {
			message += fmt.Sprintf("\n\t%s: %s", other.Pos, other.Message)
		}
	}
	for _, hint := range d.Hints {
		message += "\n\t" + hint
	}
	out.Message = message
	if fix := r.fix(d); fix != nil {
		out.SuggestedFixes = []analysis.SuggestedFix{*fix}
	}
	return out
}

// pos is the place of a position in one of the files; none if it is in another.
func (r *reporter) pos(p token.Position) (found token.Pos) {
	for f := range r.pass.Fset.Iterate {
		if f.Name() == p.Filename && p.Line >= 1 && p.Line <= f.LineCount() {
			return f.LineStart(p.Line) + token.Pos(p.Column-1)
		}
	}
	return token.NoPos
}

// fix is what corrects d, if that is known and the text to replace is where it should be.
func (r *reporter) fix(d *diag.Diagnostic) *analysis.SuggestedFix {
	if len(d.Edits) == 0 {
		return nil
	}
	fix := &analysis.SuggestedFix{}
	for _, e := range d.Edits {
		if !r.has(e) {
			return nil
		}
		if fix.Message == "" {
			fix.Message = fmt.Sprintf("Write %s", e.New)
		}
		fix.TextEdits = append(fix.TextEdits, analysis.TextEdit{Pos: e.Pos, End: e.End(), NewText: []byte(e.New)})
	}
	return fix
}

// has reports whether an edit's old text is at its place, in a file of the package that
// people wrote.
func (r *reporter) has(e diag.Edit) bool {
	for _, f := range r.pass.Files {
		if e.Pos < f.FileStart || e.End() > f.FileEnd {
			continue
		}
		src, ok := r.source(f)
		start := int(e.Pos - f.FileStart)
		return ok && start <= len(src) && bytes.HasPrefix(src[start:], []byte(e.Old))
	}
	return false
}

// source is the text of a file; there is none for what cgo made.
func (r *reporter) source(f *ast.File) ([]byte, bool) {
	name := r.pass.Fset.PositionFor(f.FileStart, false).Filename
	if diag.FromCgo(name) {
		return nil, false
	}
	src, known := r.sources[name]
	if !known {
		var err error
		if src, err = r.pass.ReadFile(name); err != nil {
			return nil, false
		}
		r.sources[name] = src
	}
	return src, true
}
