package check

import (
	"time"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// durationRule compares the durations of a directive with each other and with the defaults of the
// type.
type durationRule struct{ *pass }

func (p durationRule) check() {
	for _, w := range p.Wrappers {
		if w.Directive != nil {
			p.contradictions(w.Directive, nil)
		}
	}
	for _, c := range p.Caches {
		p.contradictions(c.Directive, c.Defaults())
	}
}

// A contradiction is a pair of durations that cannot be given together.
type contradiction struct {
	a, b string
	bad  func(a, b time.Duration) bool
	why  string
}

var contradictions = []contradiction{
	{"timeout", "hardtimeout", func(soft, hard time.Duration) bool { return soft >= hard && hard > 0 },
		"hardtimeout would cancel every load before timeout lets a stale value be returned"},
	{"gracebackoff", "grace", func(backoff, grace time.Duration) bool { return backoff > grace && grace > 0 },
		"the grace period would be over before the first retry"},
	{"l1ttl", "ttl", func(l1, ttl time.Duration) bool { return l1 > ttl },
		"the memory tier serves no value longer than its ttl"},
	{"refresh", "ttl", func(refresh, ttl time.Duration) bool { return refresh >= ttl },
		"the value would expire before it is refreshed"},
	{"jitter", "ttl", func(jitter, ttl time.Duration) bool { return jitter >= ttl },
		"jitter shortens the ttl, and could leave nothing of it"},
	{"locktimeout", "hardtimeout", func(lock, hard time.Duration) bool { return lock >= hard && hard > 0 },
		"hardtimeout would cancel the load before locktimeout ends the wait for it"},
}

// contradictions reports durations of d that contradict each other or the defaults. Contradictions
// among the defaults are reported where they are given.
func (p durationRule) contradictions(d, defaults *directive.Directive) {
	for _, c := range contradictions {
		p.contradiction(d, defaults, c)
	}
}

func (p durationRule) contradiction(d, defaults *directive.Directive, c contradiction) {
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
		Relatedf(p.Position(second.Pos), "%s", second.Text).
		Hintf("%s", c.why)
}

func given(d *directive.Directive, option string) bool {
	_, ok := d.Option(option)
	return ok
}
