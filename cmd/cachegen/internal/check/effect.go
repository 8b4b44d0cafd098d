package check

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// effectRule warns of options that have no effect.
type effectRule struct{ *pass }

func (p effectRule) check() {
	for _, c := range p.Caches {
		p.withoutEffect(c)
	}
}

// withoutEffect looks at the options of one function. Only the directive of the
// function itself counts: a default of a type is for many functions.
func (p effectRule) withoutEffect(c *facts.Cache) {
	warn := func(arg directive.Arg, format string, args ...any) {
		p.warnf(arg.Pos, c.Levels(), diag.Effect, format, args...).Hintf("remove it, or write allow=%s to keep it", diag.Effect)
	}
	if c.Options.Grace != nil && *c.Options.Grace == 0 {
		for _, option := range []string{"timeout", "gracebackoff"} {
			if d, arg, ok := c.Directive.Duration(option); ok && d > 0 {
				warn(arg, "%s has no effect: with grace=0 there is no stale value to return", arg.Text)
			}
		}
	}
	if c.Options.Forever {
		for _, option := range []string{"refresh", "jitter"} {
			if _, percent, arg, ok := c.Directive.Amount(option); ok && percent > 0 {
				warn(arg, "%s has no effect: ttl=forever never ends", arg.Text)
			}
		}
	}
	if arg, ok := c.Directive.Option("instances"); ok {
		switch {
		case c.Recv == nil:
			warn(arg, "%s has no effect: %s is not a method, and has one source", arg.Text, c.Name())
		case c.ReceiverInKey():
			warn(arg, "%s has no effect: the key says which %s it is", arg.Text, c.Recv.Object.Name())
		}
	}
	if arg, ok := c.Directive.Option("hardtimeout"); ok && c.NoContext {
		warn(arg, "%s does not stop %s, which takes no context: callers stop waiting, but the load goes on", arg.Text, c.Name())
	}
}
