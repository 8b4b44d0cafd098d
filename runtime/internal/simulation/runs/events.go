package runs

import (
	"fmt"
	"strings"
	"time"

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
