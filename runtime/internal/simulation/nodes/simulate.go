package nodes

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// A Result is what came of a run.
type Result struct {
	plan  *plan
	picks []pick
	lines []line
	Found []Violation
	reads int
}

// simulate runs the plan of a seed in virtual time. With picks it repeats a run.
func simulate(t *testing.T, p *plan, m Mutation, picks []pick, tells bool) (res Result) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(p, m)
		r.tells = tells
		defer func() {
			r.end()
			res = Result{p, r.picks, r.lines, r.found, len(r.ops)}
		}()
		r.start()
		if picks == nil {
			r.record()
		} else {
			r.replay(picks)
		}
		r.heal()
		r.check()
	})
	return res
}

// until returns what happened until a step, for people.
func (res *Result) until(step int) string {
	var b strings.Builder
	for _, l := range res.lines {
		if l.step <= step {
			fmt.Fprintln(&b, l.text)
		}
	}
	return b.String()
}
