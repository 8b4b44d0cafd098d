package check

import (
	"time"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
)

// readOptions combines a directive's options with the defaults of the wrapped type.
func (p *pack) readOptions(c *cache) {
	levels := []*directive.Directive{c.d}
	if c.recv != nil && c.recv.d != nil {
		levels = append(levels, c.recv.d)
	}
	c.store, c.namespace = text(levels, "store"), text(levels, "namespace")
	for _, d := range levels {
		if _, ok := d.Flag("shared"); ok {
			c.shared = true
		}
	}
	o := &c.options
	o.TTL = duration(levels, "ttl")
	if o.TTL != nil && *o.TTL == directive.Forever {
		o.TTL, o.Forever = nil, true
	}
	o.Grace = duration(levels, "grace")
	o.GraceBackoff = duration(levels, "gracebackoff")
	o.Timeout = duration(levels, "timeout")
	o.HardTimeout = duration(levels, "hardtimeout")
	if len(levels) > 1 {
		p.contradictions(c.d, levels[1])
	} else {
		p.contradictions(c.d, nil)
	}
}

// text is the value of an option at the first level that has it.
func text(levels []*directive.Directive, name string) string {
	for _, d := range levels {
		if arg, ok := d.Option(name); ok {
			return arg.Value
		}
	}
	return ""
}

func duration(levels []*directive.Directive, name string) *time.Duration {
	for _, d := range levels {
		if v, _, ok := d.Duration(name); ok {
			return &v
		}
	}
	return nil
}

// contradictions reports durations of d that rule each other, or the defaults that
// they meet, out. Defaults among themselves are reported where they are given.
func (p *pack) contradictions(d, defaults *directive.Directive) {
	p.contradiction(d, defaults, "timeout", "hardtimeout", func(soft, hard time.Duration) bool { return soft >= hard && hard > 0 },
		"the hard timeout would end every load before the soft one hands out a stale value")
	p.contradiction(d, defaults, "gracebackoff", "grace", func(backoff, grace time.Duration) bool { return backoff > grace && grace > 0 },
		"the grace period would be over before the first retry")
}

func (p *pack) contradiction(d, defaults *directive.Directive, a, b string, bad func(x, y time.Duration) bool, why string) {
	x, first, fromA := d.Duration(a)
	y, second, fromB := d.Duration(b)
	if !fromA && !fromB {
		return
	}
	if defaults != nil && !fromA {
		if x, first, fromA = defaults.Duration(a); !fromA {
			return
		}
		first, second, a, b = second, first, b, a // report at the directive
	} else if defaults != nil && !fromB {
		y, second, fromB = defaults.Duration(b)
	}
	if !fromA || !fromB || !bad(x, y) {
		return
	}
	p.addf(first.Pos, diag.Duration, "%s contradicts %s", first.Text, second.Text).
		Relatedf(p.position(second.Pos), "%s", second.Text).
		Hintf("%s", why)
}

// checkValue reports what of the cached value does not survive being stored.
func (p *pack) checkValue(c *cache) {
	for _, problem := range value.Check(c.value(), p.qualifier) {
		d := p.addf(c.results[0].typeExpr.Pos(), diag.Value, "%s", problem.Message)
		if p.ours(problem.Field) {
			d.Relatedf(p.position(problem.Field), "the field")
		}
		if problem.Hint != "" {
			d.Hintf("%s", problem.Hint)
		}
	}
}
