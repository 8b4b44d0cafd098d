package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// warnf reports what a correct program can have too, unless one of the directives
// allows it.
func (p *pack) warnf(pos token.Pos, allow []*directive.Directive, code, format string, args ...any) *diag.Diagnostic {
	for _, d := range allow {
		if slices.ContainsFunc(d.Options("allow"), func(a directive.Arg) bool { return a.Value == code }) {
			return &diag.Diagnostic{}
		}
	}
	return p.problems.Warnf(p.position(pos), code, format, args...)
}

// allowed checks the allow options of a package's directives.
func (p *pack) allowed() {
	for _, file := range p.Files {
		for _, d := range file.Directives {
			for _, arg := range d.Options("allow") {
				if !slices.Contains(diag.Warnings, arg.Value) {
					p.addf(arg.ValuePos, diag.Option, "%q is not the code of a warning", arg.Value).
						Choose(arg.Value, diag.Warnings, "")
				}
			}
		}
	}
}

// withoutEffect warns of options that change nothing. Only what the directive of the
// function itself says is looked at: a default of a type is for many.
func (p *pack) withoutEffect(c *cache) {
	warn := func(arg directive.Arg, format string, args ...any) {
		p.warnf(arg.Pos, c.levels(), diag.Effect, format, args...).Hintf("write allow=%s to keep it", diag.Effect)
	}
	if c.options.Grace != nil && *c.options.Grace == 0 {
		for _, option := range []string{"timeout", "gracebackoff"} {
			if d, arg, ok := c.d.Duration(option); ok && d > 0 {
				warn(arg, "%s has no effect: with grace=0 no stale value can stand in", arg.Text)
			}
		}
	}
	if c.options.Forever {
		for _, option := range []string{"refresh", "jitter"} {
			if _, percent, arg, ok := c.d.Amount(option); ok && percent > 0 {
				warn(arg, "%s has no effect: there is no part of a ttl that never ends", arg.Text)
			}
		}
	}
	if arg, ok := c.d.Option("hardtimeout"); ok && c.noContext {
		warn(arg, "%s does not stop %s, which takes no context: callers stop waiting, and it goes on", arg.Text, c.name())
	}
}
