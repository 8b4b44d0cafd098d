package nodes

import (
	"fmt"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// An eventKind is a kind of what the run can let happen next.
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
	stops // stands still
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
	call    *call
	message *message
	node    *node
	op      *op
	key     string // of the tier or of memory
	by      time.Duration
}

// label names an event, so that a run can be repeated. Times are no part of it.
func (e *event) label() string {
	verb := verbs[e.kind]
	switch {
	case e.call != nil:
		return e.call.label + " " + verb
	case e.message != nil:
		return e.message.label + " " + verb
	case e.op != nil:
		return e.op.name() + " " + verb
	case e.kind == opens:
		return fmt.Sprintf("machine %d %s", e.by, verb)
	case e.node != nil && e.key != "":
		return e.node.name + " " + verb + " " + e.key
	case e.node != nil:
		return e.node.name + " " + verb
	case e.key != "":
		return verb + " " + e.key
	case e.kind == clockIsSet:
		return fmt.Sprintf("%s to %v", verb, e.by)
	}
	return verb
}

// possible appends to events what can happen now. Of what there are many, such as keys that the
// tier could evict, it has one, drawn by draw, or all if draw is nil.
func (r *run) possible(events []event, draw func(n int) int) []event {
	if e := r.nextOps(draw == nil); e != nil {
		events = append(events, e...)
	}
	waiting := false
	for _, c := range r.calls {
		waiting = waiting || c.at != atDatabase && !c.held && !c.left && !c.node.gone
		events = r.ofCall(events, c)
	}
	events = r.ofMessages(events)
	for machine, n := range r.current {
		if n == nil {
			events = append(events, event{kind: opens, weight: 6, by: time.Duration(machine)})
			continue
		}
		events = r.ofNode(events, n, draw)
	}
	events = r.ofTier(events, draw)
	if r.mayFail(clockSteps) {
		for _, h := range []time.Duration{-3, -1, 0, 1, 2} {
			events = append(events, event{kind: clockIsSet, weight: 1, fault: true, by: h * time.Hour})
		}
	}
	passes := event{kind: timePasses, weight: 3}
	if len(events) == 0 {
		passes.weight = 100
	}
	if draw == nil || !waiting {
		events = append(events, passes)
	} else {
		passes.weight = 1
		events = append(events, passes)
	}
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

// nextOps returns the operation that begins next, or, with all, any that has not begun.
func (r *run) nextOps(all bool) (events []event) {
	for _, o := range r.plan.ops {
		n := r.current[o.machine]
		if r.begun[o.id] {
			continue
		}
		if o.kind == shutDown && n != nil && n.closing { // nobody closes it twice
			r.begun[o.id] = r.begun[o.id] || !all
			continue
		}
		if n == nil || !n.running() || n.busy >= 3 {
			if all {
				continue
			}
			return nil
		}
		events = append(events, event{kind: begins, weight: 8, op: o, node: n})
		if !all {
			return events
		}
	}
	return events
}

// ofCall appends what can become of a call.
func (r *run) ofCall(events []event, c *call) []event {
	add := func(kind eventKind, weight int, fault bool) {
		events = append(events, event{kind: kind, weight: weight, fault: fault, call: c})
	}
	switch {
	case c.held:
		return events
	case c.left || c.node.dead: // nobody waits for it
		add(comesLate, 2, false)
		add(vanishes, 1, false)
		return events
	}
	goesOn := c.node.still == nil
	if c.at == atDatabase {
		return r.ofLoad(events, c, goesOn)
	}
	reached := c.at == atTier && !c.node.cutOff || c.at == atBus && !c.node.bus.cut
	if c.state == answered {
		if goesOn && reached {
			add(returns, 8, false)
		}
		if goesOn && (r.mayFail(tierLoses) || !reached) {
			add(breaksLate, 2, reached)
		}
		if goesOn && r.mayFail(tierRepeats) && (!c.once || r.mutation == RepeatsWrites) && c.sent < 2 {
			add(isRepeated, 3, true)
		}
		return events
	}
	if reached {
		add(takesEffect, 4, false)
		if goesOn {
			add(isDone, 10, false)
		}
		if c.parts-c.took > 1 && r.plan.faults&tierSplits != 0 {
			add(partly, 4, false)
		}
	}
	if !goesOn {
		return events
	}
	if r.mayFail(tierLoses) || !reached {
		add(breaks, 2, reached)
	}
	if r.mayFail(tierRefuses) && c.at == atTier {
		add(isRefused, 2, true)
	}
	return events
}

// ofLoad appends what can become of a loader.
func (r *run) ofLoad(events []event, c *call, goesOn bool) []event {
	add := func(kind eventKind, weight int, fault bool) {
		events = append(events, event{kind: kind, weight: weight, fault: fault, call: c})
	}
	switch {
	case c.hangs:
	case c.state == answered:
		if goesOn {
			add(returns, 4, false)
		}
		if goesOn && c.commits && r.mayFail(loadsFail) {
			add(breaksLate, 2, true)
		}
	default:
		if goesOn && c.commits {
			add(fails, 1, false)
		}
		if goesOn && c.commits && r.mayFail(loadsFail) {
			add(breaks, 1, true)
		}
		add(takesEffect, 5, false)
		if !goesOn {
			return events
		}
		add(isDone, 3, false)
		if r.mayFail(loadsFail) && !c.commits {
			add(fails, 2, true)
		}
		if r.mayFail(loadsHang) {
			add(hangs, 2, true)
		}
	}
	return events
}

// ofMessages appends what can become of messages. Of those to one process the oldest arrives
// first, unless they are reordered.
func (r *run) ofMessages(events []event) []event {
	for i, m := range r.messages {
		if !m.to.running() || !m.to.bus.ready() {
			continue
		}
		first := true
		for _, other := range r.messages[:i] {
			first = first && other.to != m.to
		}
		if !first && r.plan.faults&busReorders == 0 {
			continue
		}
		weight := 8
		if !first {
			weight = 1
		}
		events = append(events, event{kind: arrives, weight: weight, message: m})
		if r.mayFail(busDoubles) && !m.again {
			events = append(events, event{kind: arrivesTwice, weight: 2, fault: true, message: m})
		}
		if r.mayFail(busLoses) && !m.again {
			events = append(events, event{kind: isLost, weight: 3, fault: true, message: m})
		}
	}
	return events
}

// ofNode appends what can happen to a process.
func (r *run) ofNode(events []event, n *node, draw func(int) int) []event {
	add := func(kind eventKind, weight int, fault bool) {
		events = append(events, event{kind: kind, weight: weight, fault: fault, node: n})
	}
	if !n.opened || n.openErr != nil {
		return events
	}
	if n.still != nil {
		add(goesOn, 3, false)
		if r.mayFail(crashes) {
			add(dies, 1, true)
		}
		return events
	}
	b := n.bus
	if b.ready() {
		switch {
		case b.cut && b.up:
			add(noticesLoss, 2, false)
			add(findsBus, 1, false)
		case !b.up:
			add(findsBus, 6, false)
		case b.deaf:
			add(hearsAgain, 1, false)
		default:
			if r.mayFail(busIsCut) {
				add(losesBus, 1, true)
			}
			if r.mayFail(busIsDeaf) {
				add(goesDeaf, 1, true)
			}
		}
	}
	switch {
	case n.cutOff:
		add(findsTier, 1, false)
	case r.mayFail(tierIsCut):
		add(losesTier, 1, true)
	}
	if r.mayFail(pauses) {
		add(stops, 1, true)
	}
	if r.mayFail(crashes) {
		add(dies, 1, true)
	}
	if r.mayFail(memoryEvicts) {
		for _, key := range drawn(n.memory.keys(), draw) {
			events = append(events, event{kind: forgets, weight: 1, fault: true, node: n, key: key})
		}
	}
	return events
}

func (r *run) ofTier(events []event, draw func(int) int) []event {
	if r.mayFail(tierEvicts) {
		for _, key := range drawn(r.tier.keys(), draw) {
			events = append(events, event{kind: evicts, weight: 2, fault: true, key: key})
		}
	}
	if r.plan.faults&tierGoesBack == 0 {
		return events
	}
	if r.tier.kept == nil {
		events = append(events, event{kind: keepsCopy, weight: 2})
	} else if r.mayFail(tierGoesBack) {
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
	switch n := e.node; e.kind {
	case begins:
		r.begun[e.op.id] = true
		r.begin(e.op, n)
		r.note(n, "%v begins%s", e.op, e.op.wroteText())
	case opens:
		n := r.open(int(e.by))
		r.note(n, "opens")
	case stops:
		r.stop(n)
	case goesOn:
		r.goOn(n)
	case dies:
		r.crash(n)
	case losesBus:
		r.cutOff(n)
	case noticesLoss:
		r.notice(n)
	case findsBus:
		r.comeUp(n)
	case goesDeaf:
		n.bus.deaf = true
		r.dropAll(n)
	case hearsAgain:
		n.bus.deaf = false
	case losesTier:
		n.cutOff = true
	case findsTier:
		n.cutOff = false
	case forgets:
		n.memory.evict(e.key)
	case arrives:
		r.deliver(e.message, false)
	case arrivesTwice:
		r.deliver(e.message, true)
	case isLost:
		r.drop(e.message)
	case evicts:
		delete(r.tier.values, e.key)
	case keepsCopy:
		r.tier.keep()
	case goesBack:
		r.tier.goBack()
	case clockIsSet:
		r.setClock(e.by)
	case timePasses:
		r.passTime(d, true)
	case timeRuns:
		r.passTime(d, false)
	default:
		r.applyToCall(e.kind, e.call)
		return
	}
	if e.op == nil && e.kind != opens && e.kind != timePasses {
		r.note(e.node, "%s", strings.TrimPrefix(e.label(), nameOfNode(e.node)+" "))
	}
}

func nameOfNode(n *node) string {
	if n == nil {
		return ""
	}
	return n.name
}

func (r *run) applyToCall(kind eventKind, c *call) {
	switch kind {
	case takesEffect:
		r.take(c, c.parts)
	case partly:
		r.take(c, 1)
	case isDone:
		r.take(c, c.parts)
		r.reply(c, c.err)
	case comesLate:
		r.take(c, c.parts)
		c.state = ended
	case returns:
		r.reply(c, c.err)
	case breaks, breaksLate:
		r.reply(c, c.whenCut())
	case isRefused:
		r.reply(c, drivers.Answered(errRefusedNow))
	case isRepeated:
		c.again()
	case vanishes:
		c.state = ended
	case fails:
		if c.commits {
			r.reply(c, errRolledBack)
		} else {
			r.reply(c, &errLoad{c.label})
		}
	case hangs:
		c.hangs = true
	}
	if !r.tells {
		return
	}
	name := strings.TrimPrefix(c.label, c.node.name+" ")
	switch kind {
	case takesEffect, partly, isDone, comesLate:
		if c.result != nil {
			name += ": " + c.result() + ":"
		}
	}
	r.note(c.node, "%s %s", name, verbs[kind])
}

// whenCut is the error of a call whose connection is lost.
func (c *call) whenCut() error {
	if c.commits {
		return errUnclear
	}
	return errDisconnected
}

func (o *op) wroteText() string {
	s := ""
	for _, row := range o.rows {
		if v, ok := o.wrote[row]; ok {
			s += fmt.Sprintf(", after row %d has become version %d", row, v)
		}
	}
	return s
}
