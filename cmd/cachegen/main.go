// Command cachegen writes typed cache wrappers for functions that are annotated
// with //cache: directives.
//
//	cachegen [flags] [packages]
//
// Packages are patterns as for go list; without one it is the package of the
// current directory. The usual way is a line
//
//	//go:generate go tool cachegen
//
// in a package, or with ./... at the root of a module. For each source file with
// directives, user_repo.go, one file is written beside it, user_repo_cachegen.go.
//
// The exit code is 0 if all is well, 1 if the sources have problems or, with -check, a
// file is out of date, and 2 if the command was used wrongly or the packages could
// not be loaded.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is main without the process around it.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("cachegen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: cachegen [flags] [packages]")
		flags.PrintDefaults()
	}
	var opts options
	flags.BoolVar(&opts.check, "check", false, "write nothing; print what is out of date and exit with code 1")
	flags.StringVar(&opts.tags, "tags", "", "comma-separated `list` of build tags")
	flags.BoolVar(&opts.verbose, "v", false, "print the names of the files that are written and removed")
	dir := flags.String("C", ".", "change to `dir` first")
	if err := flags.Parse(args); err == flag.ErrHelp {
		return exitOK
	} else if err != nil {
		return exitFailure
	}
	var err error
	if opts.dir, err = filepath.Abs(*dir); err == nil {
		_, err = os.Stat(opts.dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "cachegen:", err)
		return exitFailure
	}
	opts.patterns = flags.Args()
	if len(opts.patterns) == 0 {
		opts.patterns = []string{"."}
	}
	return run(ctx, opts, stdout, stderr)
}
