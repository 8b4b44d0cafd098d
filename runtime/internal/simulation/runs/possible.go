package runs

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// possible appends to events what can happen now. Of what there are many, such as keys that the
// tier could evict, it has one, drawn by draw, or all if draw is nil.
func (r *run) possible(events []event, draw func(n int) int) []event {
	events = r.nextOps(events, draw == nil)
	for _, c := range r.Calls {
		events = r.ofCall(events, c, draw)
	}
	events = r.ofMessages(events)
	for machine, p := range r.current {
		if p == nil {
			events = append(events, event{kind: opens, weight: 6, machine: machine})
			continue
		}
		events = r.ofProcess(events, p, draw)
	}
	events = r.ofTier(events, draw)
	if r.mayFail(clockSteps) {
		for _, h := range []time.Duration{-3, -1, 0, 1, 2} {
			events = append(events, event{kind: clockIsSet, weight: 1, fault: true, by: h * time.Hour})
		}
	}
	passes := event{kind: timePasses, weight: 3}
	switch {
	case len(events) == 0:
		passes.weight = 100
	case r.awaitsServer():
		passes.weight = 1
	}
	events = append(events, passes)
	if r.mayFail(tierHangs) || draw == nil {
		events = append(events, event{kind: timeRuns, weight: 3, fault: true})
	}
	return events
}

// mayFail reports whether faults of a kind happen in this run, and it has not had all of its
// faults.
func (r *run) mayFail(f fault) bool {
	return r.plan.faults&f != 0 && (r.faults < r.plan.budget && len(r.picks) >= r.plan.calm || r.replays)
}

// awaitsServer reports whether the tier or the bus is to answer.
func (r *run) awaitsServer() bool {
	return slices.ContainsFunc(r.Calls, func(c *steps.Call) bool { return c.At != steps.Database && !c.Held() && !c.Abandoned() })
}

// nextOps appends the operation that begins next, or, with all, each that has not begun.
func (r *run) nextOps(events []event, all bool) []event {
	for _, o := range r.plan.ops {
		p := r.current[o.Machine]
		switch {
		case r.begun[o.ID]:
			continue
		case o.Kind == record.Close && p != nil && p.Closing: // nobody closes it twice
			if !all {
				r.begun[o.ID] = true
			}
			continue
		case p == nil || !p.Running() || p.Busy >= r.plan.atOnce:
			if all {
				continue
			}
			return events
		}
		events = append(events, event{kind: begins, weight: 8, op: o, process: p})
		if !all {
			return events
		}
	}
	return events
}

// ofMessages appends what can become of messages. Of those to one process the oldest arrives
// first, unless they are reordered.
func (r *run) ofMessages(events []event) []event {
	for i, m := range r.Messages {
		if !m.To.Running() || !m.To.Bus.Ready() {
			continue
		}
		weight := 8
		if slices.ContainsFunc(r.Messages[:i], func(other *processes.Message) bool { return other.To == m.To }) {
			if r.plan.faults&busReorders == 0 {
				continue
			}
			weight = 1
		}
		events = append(events, event{kind: arrives, weight: weight, message: m})
		if r.mayFail(busDoubles) && !m.Again {
			events = append(events, event{kind: arrivesTwice, weight: 2, fault: true, message: m})
		}
		if r.mayFail(busLoses) && !m.Again {
			events = append(events, event{kind: isLost, weight: lossWeight(m), fault: true, message: m})
		}
	}
	return events
}

// lossWeight returns the weight of the loss of a message. What says nothing that its receiver has to
// know may as well be lost, and shows nothing.
func lossWeight(m *processes.Message) int {
	switch changed, held := m.Matters(); {
	case held:
		return 30
	case changed:
		return 3
	}
	return 1
}

// ofProcess appends what can happen to a process.
func (r *run) ofProcess(events []event, p *processes.Process, draw func(int) int) []event {
	add := func(kind eventKind, weight int) {
		events = append(events, event{kind: kind, weight: weight, process: p})
	}
	fault := func(f fault, kind eventKind, keys ...string) {
		for _, key := range keys {
			if r.mayFail(f) {
				events = append(events, event{kind: kind, weight: 1, fault: true, process: p, key: key})
			}
		}
	}
	switch {
	case !p.Opened || p.OpenErr != nil:
		return events
	case p.StandsStill():
		add(goesOn, 3)
		fault(crashes, dies, "")
		return events
	}
	if r.mayFail(crashes) && r.owes(p) { // the moment for which there are outboxes
		events = append(events, event{kind: dies, weight: 20, fault: true, process: p})
	} else {
		fault(crashes, dies, "")
	}
	if b := p.Bus; b.Ready() {
		switch {
		case b.Cut && b.Up:
			add(noticesLoss, 2)
			add(findsBus, 1)
		case !b.Up:
			add(findsBus, 6)
		case b.Deaf:
			add(hearsAgain, 1)
		default:
			fault(busIsCut, losesBus, "")
			fault(busIsDeaf, goesDeaf, "")
		}
	}
	if p.CutOff {
		add(findsTier, 1)
	} else {
		fault(tierIsCut, losesTier, "")
	}
	fault(pauses, stops, "")
	if r.mayFail(memoryEvicts) {
		fault(memoryEvicts, forgets, drawn(p.Memory.Keys(), draw)...)
	}
	return events
}

// owes reports whether a process has committed a transaction of which an outbox knows, and has not
// carried it out.
func (r *run) owes(p *processes.Process) bool {
	return slices.ContainsFunc(r.Record.Ops, func(o *record.Op) bool {
		return o.Process == &p.Process && o.Kept && o.Ended == record.NotYet
	})
}

// ofTier appends what can happen to the tier.
func (r *run) ofTier(events []event, draw func(int) int) []event {
	if r.mayFail(tierEvicts) {
		for _, key := range drawn(r.Tier.Keys(), draw) {
			events = append(events, event{kind: evicts, weight: 2, fault: true, key: key})
		}
	}
	switch {
	case r.plan.faults&tierGoesBack == 0:
	case !r.Tier.HasCopy():
		events = append(events, event{kind: keepsCopy, weight: 2})
	case r.mayFail(tierGoesBack):
		events = append(events, event{kind: goesBack, weight: 2, fault: true})
	}
	return events
}

// drawn returns one of keys, or all without draw.
func drawn(keys []string, draw func(int) int) []string {
	if draw == nil || len(keys) == 0 {
		return keys
	}
	i := draw(len(keys))
	return keys[i : i+1]
}
