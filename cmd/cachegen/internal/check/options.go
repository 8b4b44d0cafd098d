package check

import (
	"time"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
	"github.com/cachegen/cachegen/templates"
)

// levels are the directives that give c's options, the nearest first.
func (c *cache) levels() []*directive.Directive {
	if c.recv != nil && c.recv.d != nil {
		return []*directive.Directive{c.d, c.recv.d}
	}
	return []*directive.Directive{c.d}
}

// readOptions combines a directive's options with the defaults of the wrapped type.
func (p *pack) readOptions(c *cache) {
	levels := c.levels()
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
	o.L1TTL = duration(levels, "l1ttl")
	o.Grace = duration(levels, "grace")
	o.GraceBackoff = duration(levels, "gracebackoff")
	o.Timeout = duration(levels, "timeout")
	o.HardTimeout = duration(levels, "hardtimeout")
	o.LockTimeout = duration(levels, "locktimeout")
	o.NotFoundTTL = duration(levels, "notfoundttl")
	o.ErrorTTL = duration(levels, "errorttl")
	o.Refresh, o.Jitter = amount(levels, "refresh"), amount(levels, "jitter")
	p.contradictions(c.d, c.recvDefaults())
	p.readNotFound(c)
	p.requestScoped(c)
	p.withoutEffect(c)
}

// recvDefaults is the wrap directive of c's type, or nil.
func (c *cache) recvDefaults() *directive.Directive {
	if levels := c.levels(); len(levels) > 1 {
		return levels[1]
	}
	return nil
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

func amount(levels []*directive.Directive, name string) *templates.Amount {
	for _, d := range levels {
		if v, percent, _, ok := d.Amount(name); ok {
			return &templates.Amount{Duration: v, Percent: percent}
		}
	}
	return nil
}

// A contradiction is a pair of durations that rule each other out.
type contradiction struct {
	a, b string
	bad  func(a, b time.Duration) bool
	why  string
}

var contradictions = []contradiction{
	{"timeout", "hardtimeout", func(soft, hard time.Duration) bool { return soft >= hard && hard > 0 },
		"the hard timeout would end every load before the soft one hands out a stale value"},
	{"gracebackoff", "grace", func(backoff, grace time.Duration) bool { return backoff > grace && grace > 0 },
		"the grace period would be over before the first retry"},
	{"l1ttl", "ttl", func(l1, ttl time.Duration) bool { return l1 > ttl },
		"memory keeps no value longer than it is fresh"},
	{"refresh", "ttl", func(refresh, ttl time.Duration) bool { return refresh >= ttl },
		"the value would have ended before it is refreshed"},
	{"jitter", "ttl", func(jitter, ttl time.Duration) bool { return jitter >= ttl },
		"jitter shortens the ttl, and nothing would be left of it"},
	{"locktimeout", "hardtimeout", func(lock, hard time.Duration) bool { return lock >= hard && hard > 0 },
		"the hard timeout would end the load that is waited for before"},
}

// contradictions reports durations of d that rule each other, or the defaults that
// they meet, out. Defaults among themselves are reported where they are given.
func (p *pack) contradictions(d, defaults *directive.Directive) {
	for _, c := range contradictions {
		p.contradiction(d, defaults, c)
	}
}

func (p *pack) contradiction(d, defaults *directive.Directive, c contradiction) {
	x, first, fromA := d.Duration(c.a)
	y, second, fromB := d.Duration(c.b)
	if !fromA && !fromB {
		return
	}
	swapped := false
	if defaults != nil && !fromA && !given(d, c.a) {
		if x, first, fromA = defaults.Duration(c.a); !fromA {
			return
		}
		swapped = true // report at the directive
	} else if defaults != nil && !fromB && !given(d, c.b) {
		y, second, fromB = defaults.Duration(c.b)
	}
	if !fromA || !fromB || !c.bad(x, y) {
		return
	}
	if swapped {
		first, second = second, first
	}
	p.addf(first.Pos, diag.Duration, "%s contradicts %s", first.Text, second.Text).
		Relatedf(p.position(second.Pos), "%s", second.Text).
		Hintf("%s", c.why)
}

func given(d *directive.Directive, option string) bool {
	_, ok := d.Option(option)
	return ok
}

// checkValue reports what of the cached value does not survive being stored, or cannot be
// copied for each caller.
func (p *pack) checkValue(c *cache) {
	problems := value.Check(c.value(), p.qualifier, p.namable)
	if p.valueProblems(c, diag.Value, problems); len(problems) == 0 {
		p.valueProblems(c, diag.Copy, value.Copy(c.value(), p.Types, p.qualifier, c.shared))
	}
}

func (p *pack) valueProblems(c *cache, code string, problems []value.Problem) {
	for _, problem := range problems {
		d := p.addf(c.results[0].typeExpr.Pos(), code, "%s", problem.Message)
		if p.ours(problem.Field) {
			d.Relatedf(p.position(problem.Field), "the field")
		}
		if problem.Hint != "" {
			d.Hintf("%s", problem.Hint)
		}
	}
}
