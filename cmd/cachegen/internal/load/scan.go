package load

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// A candidate is a package that is worth loading with types.
type candidate struct {
	path, dir  string
	name       string   // as the sources have it
	listed     string   // as go list has it, which output of before a renaming can mislead
	noFiles    bool     // the build constraints leave no file
	hasOutput  bool     // of an earlier run
	kept       []string // output of excluded files that have directives
	compiled   []string // output that build constraints include
	testOutput bool     // of an earlier run, for tests
	context    bool     // matches no pattern: others refer to it
	mention    []string // files that may contain directives, in the build or not
	excluded   []string // of those, the ones that build constraints exclude
	tests      []string // of those, the tests
}

// scan lists the packages that match and keeps those in which the text of some file
// mentions a directive, or comes from an earlier run. Listing costs a fraction of
// loading with types, so a run with nothing to do ends early.
func scan(ctx context.Context, cfg Config) ([]*candidate, error) {
	listed, err := packages.Load(&packages.Config{
		Context:    ctx,
		Mode:       packages.NeedName | packages.NeedFiles,
		Dir:        cfg.Dir,
		BuildFlags: buildFlags(cfg),
	}, cfg.Patterns...)
	if err != nil {
		return nil, failed("list packages", err)
	}
	return candidates(listed)
}

// candidates are those of the packages that concern the generator.
func candidates(listed []*packages.Package) ([]*candidate, error) {
	var found []*candidate
	var failures []error
	for _, p := range listed {
		c, err := scanPackage(p)
		if err != nil {
			failures = append(failures, err)
		}
		if c != nil {
			found = append(found, c)
		}
	}
	return found, errors.Join(failures...)
}

// scanPackage returns nil if the package does not concern the generator.
func scanPackage(p *packages.Package) (*candidate, error) {
	if p.PkgPath == "command-line-arguments" {
		return nil, errors.New("arguments must be packages, not files")
	}
	ignored := slices.DeleteFunc(slices.Clone(p.IgnoredFiles), func(name string) bool { return !isIgnoredSource(name) })
	all := append(slices.Clone(p.GoFiles), ignored...)
	if len(all) == 0 && !hasTests(p.Dir) {
		if len(p.Errors) > 0 {
			return nil, errors.New(p.Errors[0].Msg)
		}
		return nil, nil
	}
	c := &candidate{path: p.PkgPath, name: p.Name, listed: p.Name, dir: p.Dir, noFiles: len(p.GoFiles) == 0}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("list files of %s: %w", p.PkgPath, err)
	}
	for _, e := range entries {
		name := filepath.Join(c.dir, e.Name())
		test := isTest(name)
		excluded := slices.Contains(ignored, name)
		if !test && !excluded && !slices.Contains(p.GoFiles, name) {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p.PkgPath, err)
		}
		if Replaceable(name, src) {
			c.hasOutput = true
			c.testOutput = c.testOutput || isTest(name)
			if slices.Contains(p.GoFiles, name) {
				c.compiled = append(c.compiled, name)
			}
			continue
		}
		if !directive.Mentions(src) {
			continue
		}
		c.mention = append(c.mention, name)
		switch {
		case excluded:
			c.excluded = append(c.excluded, name)
		case test:
			c.tests = append(c.tests, name)
		}
	}
	if !c.hasOutput && len(c.mention) == 0 {
		if c.noFiles && len(p.Errors) > 0 {
			return nil, errors.New(p.Errors[0].Msg)
		}
		return nil, nil
	}
	c.name = sourcesName(c, p)
	return c, nil
}

// hasTests reports whether a directory has test files. They alone make a package, too.
func hasTests(dir string) bool {
	entries, _ := os.ReadDir(dir) // without a directory there is nothing
	return dir != "" && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return isTest(e.Name()) && isIgnoredSource(e.Name()) })
}

// isIgnoredSource reports whether a file that the go command ignores is a Go file that it
// could compile under other build constraints.
func isIgnoredSource(name string) bool {
	base := filepath.Base(name)
	return filepath.Ext(base) == ".go" && base[0] != '_' && base[0] != '.'
}

// sourcesName is the package name of the first source that has one.
func sourcesName(c *candidate, p *packages.Package) string {
	if !c.hasOutput {
		return p.Name
	}
	for _, name := range p.GoFiles {
		src, err := os.ReadFile(name)
		if err != nil || Replaceable(name, src) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.PackageClauseOnly)
		if err == nil {
			return f.Name.Name
		}
	}
	return p.Name
}
