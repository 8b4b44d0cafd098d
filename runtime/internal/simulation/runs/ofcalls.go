package runs

import (
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// partyOf returns the process that makes a call.
func (r *run) partyOf(c *steps.Call) *processes.Process { return r.Processes[c.Party.ID] }

// ofCall appends what can become of a call.
func (r *run) ofCall(events []event, c *steps.Call, draw func(n int) int) []event {
	add := func(kind eventKind, weight int, fault bool) {
		events = append(events, event{kind: kind, weight: weight, fault: fault, call: c})
	}
	switch {
	case c.Held():
		return events
	case c.Abandoned():
		add(comesLate, 2, false)
		add(vanishes, 1, false)
		return events
	case c.At == steps.Database:
		return r.ofLoad(events, c)
	}
	p := r.partyOf(c)
	goesOn := !p.StandsStill()
	reached := c.At == steps.Tier && !p.CutOff || c.At == steps.Bus && !p.Bus.Cut
	if c.State == steps.Answered {
		if goesOn && reached {
			add(returns, 8, false)
		}
		if goesOn && (r.mayFail(tierLoses) || !reached) {
			add(breaksLate, 2, reached)
		}
		if w := r.repeatWeight(c); goesOn && w > 0 {
			add(isRepeated, w, true)
		}
		return events
	}
	switch {
	case reached && c.Sent > 0: // its client has to connect first, and much happens meanwhile
		if draw == nil || draw(4) == 0 {
			add(takesEffect, 1, false)
		}
	case reached:
		add(takesEffect, 4, false)
		if goesOn {
			add(isDone, 10, false)
		}
		if c.Open() > 1 && r.plan.faults&tierSplits != 0 {
			add(partly, 4, false)
		}
	}
	if w := r.repeatWeight(c); goesOn && reached && w > 0 {
		add(isRepeated, w, true)
	}
	if goesOn && (r.mayFail(tierLoses) || !reached) {
		add(breaks, 2, reached)
	}
	if goesOn && r.mayFail(tierRefuses) && c.At == steps.Tier {
		add(isRefused, 2, true)
	}
	return events
}

// repeatWeight returns the weight of it that a client sends a call once more, because it has lost
// the answer; 0 if it does not do so.
func (r *run) repeatWeight(c *steps.Call) int {
	switch {
	case !r.mayFail(tierRepeats) || c.At != steps.Tier || c.Sent == 2:
		return 0
	case !c.Once:
		return 2
	case r.Mutation == processes.RepeatsWrites && c.Adds: // what others can remove in between
		return 60
	case r.Mutation == processes.RepeatsWrites:
		return 6
	}
	return 0
}

// ofLoad appends what can become of a loader, or of a commit.
func (r *run) ofLoad(events []event, c *steps.Call) []event {
	add := func(kind eventKind, weight int, fault bool) {
		events = append(events, event{kind: kind, weight: weight, fault: fault, call: c})
	}
	goesOn := !c.Party.StandsStill()
	switch {
	case c.Hangs:
		return events
	case c.State == steps.Answered:
		if goesOn {
			add(returns, 4, false)
		}
		if goesOn && c.Commits && r.mayFail(loadsFail) {
			add(breaksLate, 2, true)
		}
		return events
	}
	add(takesEffect, 5, false)
	if !goesOn {
		return events
	}
	add(isDone, 3, false)
	if c.Commits {
		add(fails, 1, false)
	}
	if r.mayFail(loadsFail) && c.Commits {
		add(breaks, 1, true)
	} else if r.mayFail(loadsFail) {
		add(fails, 2, true)
	}
	if r.mayFail(loadsHang) {
		add(hangs, 2, true)
	}
	return events
}
