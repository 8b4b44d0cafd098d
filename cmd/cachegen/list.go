package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/summary"
)

// list prints the cached functions of packages, those of their tests last. Those that
// have problems are left out, and the problems printed.
func list(ctx context.Context, c *call) int {
	var src source
	src.register(c.flags)
	asJSON := c.flags.Bool("json", false, "print a JSON array")
	if code, ok := c.parse(); !ok {
		return code
	}
	if err := src.resolve(); err != nil {
		return fail(c.stderr, err)
	}
	patterns := c.flags.Args()
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	config := load.Config{Dir: src.dir, Tags: src.tags, Patterns: patterns}
	loaded, err := load.Load(ctx, config)
	if err != nil {
		return fail(c.stderr, err)
	}
	tests, err := loaded.Tests(ctx, config)
	if err != nil {
		return fail(c.stderr, err)
	}
	functions := summary.Functions(check.Packages(loaded.Packages, loaded.Problems), loaded.Problems)
	functions = append(functions, summary.Functions(check.Packages(tests.Packages, tests.Problems), tests.Problems)...)
	loaded.Problems.Append(tests.Problems)
	for i := range functions {
		f := &functions[i]
		f.File = diag.Relative(f.File, src.dir)
		if f.Batch != nil {
			f.Batch.File = diag.Relative(f.Batch.File, src.dir)
		}
		for j := range f.Transactions {
			f.Transactions[j].File = diag.Relative(f.Transactions[j].File, src.dir)
		}
		for j := range f.InvalidatedBy {
			f.InvalidatedBy[j].File = diag.Relative(f.InvalidatedBy[j].File, src.dir)
		}
	}
	show := listText
	if *asJSON {
		show = listJSON
	}
	if err := show(c.stdout, functions); err != nil {
		return fail(c.stderr, err)
	}
	if err := loaded.Problems.Print(c.stderr, src.dir); err != nil {
		return fail(c.stderr, err)
	}
	if loaded.Problems.Errors() > 0 {
		return exitProblems
	}
	return exitOK
}

func listJSON(w io.Writer, functions []summary.Function) error {
	if functions == nil {
		functions = []summary.Function{} // [], not null
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	return e.Encode(functions)
}

// listText writes a block for each function. What is not given is not shown.
func listText(w io.Writer, functions []summary.Function) error {
	var b bytes.Buffer
	for i, f := range functions {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s.%s  %s\n", f.Package, f.Label(), place(f.Place))
		line := func(label, text string) {
			if text != "" {
				fmt.Fprintf(&b, "\t%-20s%s\n", label, text)
			}
		}
		line("key", f.Key)
		line("value", f.Value)
		line("fingerprint", f.Fingerprint)
		line("store", f.Store)
		line("namespace", f.Namespace)
		line("ttl", f.TTL)
		line("l1ttl", f.L1TTL)
		line("jitter", f.Jitter)
		line("refresh", f.Refresh)
		line("grace", f.Grace)
		line("gracebackoff", f.GraceBackoff)
		line("timeout", f.Timeout)
		line("hardtimeout", f.HardTimeout)
		line("locktimeout", f.LockTimeout)
		line("notfound", f.NotFound)
		line("notfoundttl", f.NotFoundTTL)
		line("errorttl", f.ErrorTTL)
		line("invalidationerrors", f.InvalidationErrors)
		if f.Shared {
			line("shared", "yes")
		}
		line("instances", f.Instances)
		line("tags", strings.Join(f.Tags, " "))
		line("ignored", strings.Join(f.Ignored, " "))
		if f.Batch != nil {
			line("batch", f.Batch.Label()+"  "+place(*f.Batch))
		}
		for j, m := range f.Transactions {
			label := "in transactions"
			if j > 0 {
				label = ""
			}
			line(label, m.Label()+"  "+place(m))
		}
		if len(f.InvalidatedBy) == 0 {
			line("invalidated by", "nothing")
		}
		for j, by := range f.InvalidatedBy {
			label := "invalidated by"
			if j > 0 {
				label = ""
			}
			name := by.Label()
			if by.Package != f.Package {
				name = by.Package + "." + name
			}
			target := by.Target
			if by.Collect {
				target += " collect"
			}
			line(label, fmt.Sprintf("%s  %s %s  %s", name, by.Verb, target, place(by.Place)))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func place(p summary.Place) string { return fmt.Sprintf("%s:%d", p.File, p.Line) }
