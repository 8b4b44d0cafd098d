package runs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// A result is what came of a run.
type result struct {
	plan  *plan
	picks []steps.Pick
	lines []line
	found []record.Violation
}

// simulate runs a plan in virtual time. With picks it repeats a run.
func simulate(t *testing.T, p *plan, m processes.Mutation, picks []steps.Pick, tells bool) (res result) {
	synctest.Test(t, func(*testing.T) {
		r := newRun(p, m, tells)
		defer func() {
			r.end()
			res = result{p, r.picks, r.lines, r.Record.Found}
		}()
		r.start()
		if picks == nil {
			r.record()
		} else {
			r.replay(picks)
		}
		r.heal()
		r.Record.Check()
	})
	return res
}

// until returns what happened until a step, for people.
func (res *result) until(step int) string {
	var b strings.Builder
	for _, l := range res.lines {
		if l.step <= step {
			fmt.Fprintln(&b, l.text)
		}
	}
	return b.String()
}
