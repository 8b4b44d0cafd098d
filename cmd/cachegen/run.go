package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
	dir      string // absolute
	tags     string
	patterns []string
	check    bool
	verbose  bool
}

// run generates for the packages that match. Every problem of every package is
// printed in one go, and a package with a problem keeps the files it has.
func run(ctx context.Context, opts options, stdout, stderr io.Writer) int {
	loaded, err := load.Load(ctx, load.Config{Dir: opts.dir, Tags: opts.tags, Patterns: opts.patterns})
	if err != nil {
		return fail(stderr, err)
	}
	problems := loaded.Problems
	plans := check.Packages(loaded.Packages, problems)
	var changes, written []write.Change
	var failures []error
	for _, pkg := range loaded.Packages {
		if pkg.Broken {
			continue
		}
		files, err := render(pkg, plans)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		c, err := write.Compare(pkg.Dir, files, problems)
		failures = append(failures, err)
		changes = append(changes, c...)
		if !opts.check {
			made, err := write.Apply(c)
			failures = append(failures, err)
			written = append(written, made...)
		}
	}
	if opts.check {
		failures = append(failures, write.Show(stdout, changes, opts.dir))
	} else if opts.verbose {
		report(stdout, written, opts.dir)
	}
	failures = append(failures, problems.Print(stderr, opts.dir))
	switch err := errors.Join(failures...); {
	case err != nil:
		return fail(stderr, err)
	case problems.Len() > 0, opts.check && len(changes) > 0:
		return exitProblems
	}
	return exitOK
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

// unreadable keeps source text that does not parse, for the report of a mistake that
// is the generator's, not the user's.
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

func report(w io.Writer, changes []write.Change, dir string) {
	for _, c := range changes {
		verb := "wrote"
		if c.New == nil {
			verb = "removed"
		}
		fmt.Fprintln(w, verb, diag.Relative(c.Name, dir))
	}
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "cachegen:", err)
	return exitFailure
}
