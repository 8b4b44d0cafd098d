package runs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// An eventKind is a kind of what a run can let happen next.
type eventKind uint8

const (
	begins eventKind = iota // an operation of a client

	// Of a call.
	takesEffect // and its answer is on the way
	isDone      // takes effect and is answered
	partly      // takes effect for the first of its keys
	returns     // the answer arrives
	breaks      // the connection is lost before it takes effect
	breaksLate  // the connection is lost before the answer arrives
	isRefused   // the server answers with an error
	isRepeated  // the answer is lost, and the client sends it once more
	comesLate   // takes effect although nobody waits for it any more
	vanishes    // does not take effect, and nobody waits for it
	fails       // the database answers with an error
	hangs       // the database does not answer until everything works again

	// Of a message.
	arrives
	arrivesTwice // once now, and once more later
	isLost

	// Of a process.
	opens
	stops
	goesOn
	dies
	losesBus
	noticesLoss
	findsBus
	goesDeaf
	hearsAgain
	losesTier
	findsTier
	forgets // an entry in memory

	// Of the tier and the clock.
	evicts
	keepsCopy
	goesBack
	clockIsSet

	timePasses // until something happens
	timeRuns   // whatever happens
)

var verbs = [...]string{
	begins: "begins", takesEffect: "takes effect", isDone: "is done", partly: "is done in part", returns: "returns", breaks: "is cut off",
	breaksLate: "loses its answer", isRefused: "is refused", isRepeated: "is repeated", comesLate: "takes effect late", vanishes: "vanishes",
	fails: "fails", hangs: "hangs", arrives: "arrives", arrivesTwice: "arrives, and will once more", isLost: "is lost",
	opens: "opens", stops: "stands still", goesOn: "goes on", dies: "dies", losesBus: "loses the bus", noticesLoss: "notices that the bus is lost",
	findsBus: "finds the bus", goesDeaf: "goes deaf", hearsAgain: "hears again", losesTier: "loses the tier", findsTier: "finds the tier",
	forgets: "forgets", evicts: "the tier evicts", keepsCopy: "the tier is copied", goesBack: "the tier goes back to its copy", clockIsSet: "the clocks are set",
	timePasses: "time passes", timeRuns: "time runs",
}

// An event is one thing that can happen next.
type event struct {
	kind    eventKind
	weight  int
	fault   bool // it is one of those of which a run has a number only
	call    *steps.Call
	message *processes.Message
	process *processes.Process
	op      *record.Op
	machine int
	key     string // of the tier or of memory
	by      time.Duration
}

// label names an event, so that a run can be repeated. Times are no part of it.
func (e *event) label() string {
	verb := verbs[e.kind]
	switch {
	case e.call != nil:
		return e.call.Label + " " + verb
	case e.message != nil:
		return e.message.Label + " " + verb
	case e.op != nil:
		return e.op.Name() + " " + verb
	case e.kind == opens:
		return fmt.Sprintf("machine %d %s", e.machine, verb)
	case e.process != nil && e.key != "":
		return e.process.Name() + " " + verb + " " + e.key
	case e.process != nil:
		return e.process.Name() + " " + verb
	case e.key != "":
		return verb + " " + e.key
	case e.kind == clockIsSet:
		return fmt.Sprintf("%s to %v", verb, e.by)
	}
	return verb
}

// matches reports whether the event has a label, and whether it has but for the number that
// tells it from others.
func (e *event) matches(label string) (exactly, about bool) {
	of := ""
	switch {
	case e.call != nil:
		of = e.call.Label
	case e.message != nil:
		of = e.message.Label
	default:
		exactly = e.label() == label
		return exactly, exactly
	}
	given, ok := strings.CutSuffix(label, " "+verbs[e.kind])
	return ok && given == of, ok && steps.WithoutNumber(given) == steps.WithoutNumber(of)
}

// possible appends to events what can happen now. Of what there are many, such as keys that the
// tier could evict, it has one, drawn by draw, or all if draw is nil.
func (r *run) possible(events []event, draw func(n int) int) []event {
	events = r.nextOps(events, draw == nil)
	for _, c := range r.Calls {
		events = r.ofCall(events, c)
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
	return r.plan.faults&f != 0 && (r.faults < r.plan.budget || r.replays)
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

// partyOf returns the process that makes a call.
func (r *run) partyOf(c *steps.Call) *processes.Process { return r.Processes[c.Party.ID] }

// ofCall appends what can become of a call.
func (r *run) ofCall(events []event, c *steps.Call) []event {
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
		if goesOn && r.mayFail(tierRepeats) && (!c.Once || r.Mutation == processes.RepeatsWrites) && c.Sent < 2 {
			add(isRepeated, 3, true)
		}
		return events
	}
	if reached {
		add(takesEffect, 4, false)
		if goesOn {
			add(isDone, 10, false)
		}
		if c.Open() > 1 && r.plan.faults&tierSplits != 0 {
			add(partly, 4, false)
		}
	}
	if goesOn && (r.mayFail(tierLoses) || !reached) {
		add(breaks, 2, reached)
	}
	if goesOn && r.mayFail(tierRefuses) && c.At == steps.Tier {
		add(isRefused, 2, true)
	}
	return events
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
			events = append(events, event{kind: isLost, weight: 3, fault: true, message: m})
		}
	}
	return events
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
	fault(crashes, dies, "")
	if r.mayFail(memoryEvicts) {
		fault(memoryEvicts, forgets, drawn(p.Memory.Keys(), draw)...)
	}
	return events
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

// apply lets an event happen. d is how much time passes, in one that is about time.
func (r *run) apply(e *event, d time.Duration) {
	if e.fault {
		r.faults++
	}
	if e.call != nil {
		r.applyToCall(e.kind, e.call)
		return
	}
	switch p := e.process; e.kind {
	case begins:
		r.begun[e.op.ID] = true
		r.Begin(e.op, p)
		r.Notef(p, "%v begins%s", e.op, e.op.WroteText())
		return
	case timePasses:
		r.passTime(d, true)
		return
	case timeRuns:
		r.passTime(d, false)
	case opens:
		r.open(e.machine)
	case stops:
		p.Stop()
	case goesOn:
		p.GoOn()
	case dies:
		p.Crash()
	case losesBus:
		p.Bus.Lose()
	case noticesLoss:
		p.Bus.Notice()
	case findsBus:
		p.Bus.ComeUp()
	case goesDeaf:
		p.Bus.Deafen()
	case hearsAgain:
		p.Bus.Deaf = false
	case losesTier:
		p.CutOff = true
	case findsTier:
		p.CutOff = false
	case forgets:
		p.Memory.Evict(e.key)
	case arrives:
		r.Deliver(e.message, false)
	case arrivesTwice:
		r.Deliver(e.message, true)
	case isLost:
		r.Drop(e.message)
	case evicts:
		r.Tier.Evict(e.key)
	case keepsCopy:
		r.Tier.Keep()
	case goesBack:
		r.Tier.GoBack()
	case clockIsSet:
		r.setClock(e.by)
	}
	r.Notef(nil, "%s", e.label())
}

// applyToCall lets something become of a call.
func (r *run) applyToCall(kind eventKind, c *steps.Call) {
	switch kind {
	case takesEffect:
		c.Take(c.Open())
	case partly:
		c.Take(1)
	case isDone:
		c.Take(c.Open())
		c.Reply(c.Err)
	case comesLate:
		c.Take(c.Open())
		c.State = steps.Ended
	case returns:
		c.Reply(c.Err)
	case breaks, breaksLate:
		if c.Commits {
			c.Reply(processes.ErrUnclear)
		} else {
			c.Reply(processes.ErrDisconnected)
		}
	case isRefused:
		c.Reply(drivers.Answered(errRefused))
	case isRepeated:
		c.Again()
	case vanishes:
		c.State = steps.Ended
	case fails:
		if c.Commits {
			c.Reply(processes.ErrRolledBack)
		} else {
			c.Reply(&record.LoadError{Load: c.Label})
		}
	case hangs:
		c.Hangs = true
	}
	if r.Note == nil {
		return
	}
	text := strings.TrimPrefix(c.Label, c.Party.Name+" ")
	switch kind {
	case takesEffect, partly, isDone, comesLate:
		if c.Result != nil {
			text += ": " + c.Result() + ":"
		}
	}
	r.Notef(r.partyOf(c), "%s %s", text, verbs[kind])
}
