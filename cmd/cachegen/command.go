package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A command is what the first argument can name. A package with such an import path is written as a
// directory: ./list.
type command struct {
	name      string
	arguments string // in the usage line
	about     string // lower case, without a full stop
	run       func(ctx context.Context, c *call) int
}

// commands are all commands but generating, which has no name.
var commands = []command{
	{"list", "[flags] [packages]", "print the cached functions and what invalidates them", list},
	{"explain", "[code]", "print what the code of a diagnostic means, or all codes", explainCode},
}

// A call is one use of a command.
type call struct {
	args           []string // without the command's name
	flags          *flag.FlagSet
	stdout, stderr io.Writer
}

// parse reads the flags. If ok is false the call is over, with that exit code.
func (c *call) parse() (code int, ok bool) {
	switch err := c.flags.Parse(c.args); {
	case err == flag.ErrHelp:
		return exitOK, false
	case err != nil:
		return exitFailure, false
	}
	return exitOK, true
}

// dispatch runs the command that args begin with, or else generates.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, arguments, work := "cachegen", "[flags] [packages]", generate
	if cmd := find(args); cmd != nil {
		name, arguments, work, args = "cachegen "+cmd.name, cmd.arguments, cmd.run, args[1:]
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: %s %s\n", name, arguments)
		if name == "cachegen" {
			for _, cmd := range commands {
				fmt.Fprintf(stderr, "       cachegen %s %s\n    \t%s\n", cmd.name, cmd.arguments, cmd.about)
			}
		}
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "The directives and their options: go doc github.com/cachegen/cachegen/cmd/cachegen")
	}
	return work(ctx, &call{args: args, flags: flags, stdout: stdout, stderr: stderr})
}

// find returns the command that args begin with, if there is one.
func find(args []string) *command {
	if len(args) == 0 {
		return nil
	}
	for i := range commands {
		if commands[i].name == args[0] {
			return &commands[i]
		}
	}
	return nil
}

// source are the flags of commands that read Go sources.
type source struct {
	dir, tags string
}

func (s *source) register(flags *flag.FlagSet) {
	flags.StringVar(&s.dir, "C", ".", "change to `dir` first")
	flags.StringVar(&s.tags, "tags", "", "comma-separated `list` of build tags")
}

// resolve makes the directory absolute and checks that it exists.
func (s *source) resolve() error {
	dir, err := filepath.Abs(s.dir)
	if err == nil {
		_, err = os.Stat(dir)
	}
	s.dir = dir
	return err
}
