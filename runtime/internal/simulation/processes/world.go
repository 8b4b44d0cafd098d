// Package processes has the processes of a simulation: real stores, opened by the public API, on
// simulated drivers, in one bubble of testing/synctest. What they ask of the tier, the bus and
// the database waits at a gate (see package steps), and so the simulation decides what comes of it
// and when.
//
// A [World] is what they have outside of them. Its methods are for the goroutine of the
// simulation, which calls [World.Settle] when all others wait. The mutex guards what the
// goroutines of the processes tell it.
package processes

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// Times of the stores.
const (
	StampTrust  = runtime.DefaultStampTrust
	TierTimeout = runtime.DefaultL2Timeout
	MaxLoadTime = 10 * time.Second
	CloseTime   = 5 * time.Second // that Close is given
	LockTimeout = 2 * time.Second
)

// Config is what all processes of a world have.
type Config struct {
	Seed       uint64
	Mutation   Mutation
	Rows       int
	Memory     bool // they have a memory tier
	Tells      bool // the tier tells when it has gone back
	ResultTags bool // values have a tag of the result
	HasOutbox  bool // transactions write what they change into an outbox
	TTL, Grace time.Duration
	// Note, if not nil, is told what happens, for people.
	Note func(p *Process, text string)
}

// A World is what processes have outside of them.
type World struct {
	*steps.Gate
	Config
	Tier      *servers.Tier
	Outbox    servers.Outbox
	Versions  []int // of the rows of the database
	Processes []*Process
	Messages  []*Message // on their way, in the order in which they were accepted
	Record    record.Run
	Step      int

	accepted int           // messages
	copied   record.Moment // when the copy of the tier was made
	restored []byte        // the stamp of the store in it

	mu     sync.Mutex
	opened []*Process // since Settle
	done   []*client  // since Settle
	heard  []delivery // since Settle
	last   uint64     // the last event, as a number

	written map[*record.Op]written // by transactions that are not committed
}

// NewWorld returns a world without processes.
func NewWorld(c Config) *World {
	w := &World{Gate: steps.NewGate(), Config: c, Tier: servers.NewTier(c.Mutation.tierFaults()), Versions: make([]int, c.Rows), written: make(map[*record.Op]written)}
	for i := range w.Versions {
		w.Versions[i] = 1
	}
	return w
}

// Moment returns the present step.
func (w *World) Moment() record.Moment { return record.Moment{Step: w.Step, At: w.Now()} }

// Notef tells people what happens, in a process if p is not nil.
func (w *World) Notef(p *Process, format string, args ...any) {
	if w.Note != nil {
		w.Note(p, fmt.Sprintf(format, args...))
	}
}

// Settle takes over what goroutines have done, when all of them wait.
func (w *World) Settle() {
	w.Step++
	w.Gate.Settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.opened {
		p.Opened = true
	}
	slices.SortFunc(w.done, func(a, b *client) int { return a.op.ID - b.op.ID }) // they ran in any order
	for _, c := range w.done {
		w.endOp(c)
	}
	for _, d := range w.heard {
		for _, o := range d.message.ops {
			o.Heard(&d.message.To.Process, d.message.id, w.Step)
		}
	}
	w.lookForNewStamp()
	w.opened, w.done, w.heard = w.opened[:0], w.done[:0], w.heard[:0]
}

// Chose says which event is about to happen: random numbers follow from it.
func (w *World) Chose(label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = hashOf(label)
	for _, p := range w.Processes {
		clear(p.numbers.drawn)
	}
}
