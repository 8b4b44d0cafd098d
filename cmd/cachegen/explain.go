package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/explain"
)

// explainCode prints the page of the code of a diagnostic, or without one a list of all codes.
func explainCode(_ context.Context, c *call) int {
	if code, ok := c.parse(); !ok {
		return code
	}
	args := c.flags.Args()
	switch len(args) {
	case 0:
		if err := explain.List(c.stdout); err != nil {
			return fail(c.stderr, err)
		}
		return exitOK
	case 1:
	default:
		fmt.Fprintf(c.stderr, "cachegen: explain takes one code, not %d: cachegen explain %s\n", len(args), args[0])
		return exitFailure
	}
	name := strings.Trim(args[0], "[]") // as diagnostics print it
	code, ok, nearest := explain.Find(name)
	if !ok {
		fmt.Fprintf(c.stderr, "cachegen: no diagnostic has the code %q\n", name)
		if nearest != "" {
			fmt.Fprintf(c.stderr, "\tdid you mean %q?\n", nearest)
		} else {
			fmt.Fprintln(c.stderr, "\tcachegen explain lists all codes")
		}
		return exitFailure
	}
	page, err := explain.Read(code)
	if err == nil {
		err = page.Print(c.stdout)
	}
	if err != nil {
		return fail(c.stderr, err)
	}
	return exitOK
}
