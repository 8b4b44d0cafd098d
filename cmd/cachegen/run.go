package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/build"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/write"
	"github.com/cachegen/cachegen/templates"
)

// Exit codes.
const (
	exitOK       = 0
	exitProblems = 1 // in the sources, or, with -check, out of date
	exitFailure  = 2 // wrong usage, or packages that cannot be loaded
)

type options struct {
	source
	patterns []string
	check    bool
	verbose  bool
}

// run generates for the packages that match. Every problem of every package is
// printed in one go, and a package with a problem keeps the files it has.
func run(ctx context.Context, opts options, stdout, stderr io.Writer) int {
	config := load.Config{Dir: opts.dir, Tags: opts.tags, Patterns: opts.patterns}
	loaded, err := load.Load(ctx, config)
	if err != nil {
		return fail(stderr, err)
	}
	problems := loaded.Problems
	g := &generation{check: opts.check, problems: problems}
	switch {
	case opts.check:
		g.orphans = write.Accept
	case byGoGenerate():
		g.orphans = write.Empty
	}
	g.generate(loaded)
	if tests, err := loaded.Tests(ctx, config); err != nil {
		g.fail(err)
	} else {
		problems.Append(tests.Problems)
		g.generate(tests)
	}
	failures := g.failures
	if opts.check {
		failures = append(failures, write.Show(stdout, g.changes, opts.dir))
	} else if opts.verbose {
		g.report(stdout, opts.dir)
	}
	failures = append(failures, problems.Print(stderr, opts.dir), tellLeft(stderr, g.left, opts.dir))
	switch err := errors.Join(failures...); {
	case err != nil:
		return fail(stderr, err)
	case problems.Errors() > 0, opts.check && len(g.changes) > 0:
		return exitProblems
	}
	return exitOK
}

// A generation is what one run does to the files.
type generation struct {
	check            bool // write nothing
	orphans          write.Orphans
	problems         *diag.List
	changes, written []write.Change
	left             []string // files that stay without code
	failures         []error
}

func (g *generation) fail(err error) { g.failures = append(g.failures, err) }

// generate brings the files of loaded packages up to date, directories in parallel. Two packages of
// tests can be in one directory.
func (g *generation) generate(loaded *load.Result) {
	plans := build.Files(check.Packages(loaded.Packages, g.problems))
	packages := map[string][]*load.Package{}
	var dirs []string
	for _, pkg := range loaded.Packages {
		if !pkg.Context {
			if packages[pkg.Dir] == nil {
				dirs = append(dirs, pkg.Dir)
			}
			packages[pkg.Dir] = append(packages[pkg.Dir], pkg)
		}
	}
	done := make([]outcome, len(dirs))
	rendering := make(chan struct{}, goruntime.GOMAXPROCS(0))
	var all errgroup.Group
	all.SetLimit(cap(rendering) + writing)
	for i, dir := range dirs {
		all.Go(func() error {
			done[i] = g.directory(dir, packages[dir], plans, rendering)
			return nil
		})
	}
	_ = all.Wait() // each has its own error
	for i := range done {
		g.changes = append(g.changes, done[i].changes...)
		g.written = append(g.written, done[i].written...)
		g.left = append(g.left, done[i].left...)
		g.problems.Append(&done[i].problems)
		g.fail(done[i].err)
	}
}

// writing is how many directories are written at a time, besides those that are rendered: writing is
// mostly waiting for the disk.
const writing = 8

// An outcome is the result for one directory.
type outcome struct {
	changes, written []write.Change
	left             []string
	problems         diag.List
	err              error
}

// directory generates the files of one directory. rendering limits how many packages are rendered at a
// time.
func (g *generation) directory(dir string, packages []*load.Package, plans map[*load.File]*templates.File, rendering chan struct{}) (o outcome) {
	want := write.Directory{Name: dir, Package: packages[0].Name, Tests: packages[0].Test}
	for _, pkg := range packages {
		if pkg.Broken {
			return o
		}
		rendering <- struct{}{}
		made, err := render(pkg, plans)
		<-rendering
		if err != nil {
			o.err = err
			return o
		}
		want.Files, want.Kept = append(want.Files, made...), append(want.Kept, pkg.Kept...)
	}
	o.changes, o.left, o.err = want.Compare(g.orphans, &o.problems)
	if !g.check {
		made, err := write.Apply(o.changes)
		o.written, o.err = made, errors.Join(o.err, err)
	}
	return o
}

// render makes the files of one package.
func render(pkg *load.Package, plans map[*load.File]*templates.File) ([]write.File, error) {
	var files []write.File
	for _, source := range pkg.Files {
		file := plans[source]
		if file == nil {
			continue
		}
		content, err := templates.Render(file)
		if err != nil {
			return nil, unreadable(source, err)
		}
		files = append(files, write.File{Name: source.Output(), Content: content})
	}
	return files, nil
}

// unreadable saves generated text that does not parse, so that it can be reported: such a mistake is
// the generator's, not the user's.
func unreadable(source *load.File, err error) error {
	err = fmt.Errorf("internal error, please report it: generate %s: %w", source.Output(), err)
	var bad *templates.SourceError
	if !errors.As(err, &bad) {
		return err
	}
	f, failed := os.CreateTemp("", "cachegen-*.txt")
	if failed != nil {
		return err
	}
	defer f.Close()
	if _, failed := f.Write(bad.Source); failed != nil {
		return err
	}
	return fmt.Errorf("%w\nthe text is in %s", err, f.Name())
}

// report prints what was done to which file.
func (g *generation) report(w io.Writer, dir string) {
	for _, c := range g.written {
		verb := "wrote"
		switch {
		case c.New == nil:
			verb = "removed"
		case slices.Contains(g.left, c.Name):
			verb = "emptied"
		}
		fmt.Fprintln(w, verb, diag.Relative(c.Name, dir))
	}
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "cachegen:", err)
	return exitFailure
}
