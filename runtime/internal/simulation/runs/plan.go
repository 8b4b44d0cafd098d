package runs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
)

// busLatency is how long a message is on its way at most, to a process that hears.
const busLatency = 500 * time.Millisecond

// bound is how long after an invalidation another process may read what was before it, whatever
// keeps the message from it: for as long as memory is trusted unheard, and twice the interval of
// heartbeats.
const bound = processes.StampTrust + 2*min(processes.StampTrust/3, time.Second)

// A fault is one kind of what goes wrong.
type fault uint32

// The faults.
const (
	tierLoses    fault = 1 << iota // a request or an answer of the tier is lost with its connection
	tierRepeats                    // an answer is lost, and the client repeats what it may
	tierHangs                      // the tier answers late; what was given up takes effect later
	tierRefuses                    // the tier answers with an error
	tierIsCut                      // a process does not reach the tier for a while
	tierSplits                     // an operation of several keys takes effect key by key
	tierEvicts                     // a key of the tier goes, be it a stamp
	tierGoesBack                   // the tier returns to an older state
	busLoses                       // one message does not arrive
	busDoubles                     // a message arrives twice
	busReorders                    // messages arrive in another order
	busIsCut                       // a process loses the bus, and notices it later
	busIsDeaf                      // nothing arrives although the connection is there
	pauses                         // a process stands still for a while
	crashes                        // a process dies; another one takes its place
	closes                         // a process is closed while others go on
	clockSteps                     // the machine's clock is set
	clocksDiffer                   // the clocks of the machines are hours apart
	loadsFail                      // the database answers with an error
	loadsHang                      // the database does not answer for long
	memoryEvicts                   // an entry in memory goes
	lastFault

	allFaults = lastFault - 1
)

var faultNames = [...]string{
	"tier loses", "tier repeats", "tier hangs", "tier refuses", "tier is cut", "tier splits", "tier evicts", "tier goes back",
	"bus loses", "bus doubles", "bus reorders", "bus is cut", "bus is deaf", "pauses", "crashes", "closes", "clock steps",
	"clocks differ", "loads fail", "loads hang", "memory evicts",
}

func (f fault) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// A plan is what follows from a seed before the run begins: the processes, what may go wrong,
// and what the clients do. In which order things happen is drawn while the run goes on.
type plan struct {
	seed       uint64
	machines   int
	rows       int
	faults     fault
	budget     int // how often something goes wrong
	calm       int // events before anything does: what goes wrong at the beginning, later changes make up for
	memory     bool
	tells      bool // the tier tells when it has returned to an older state
	resultTags bool
	outbox     bool
	ttl, grace time.Duration
	ahead      []time.Duration // of each machine's clock
	ops        []*record.Op
	atOnce     int // operations of a process
	most       int // events until everything works again
}

// newPlan returns the plan of a seed, in which only the allowed faults happen. Most runs have
// a few kinds of them: what one kind would hide is found without it.
func newPlan(seed uint64, allowed fault) *plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &plan{
		seed: seed, machines: 2 + weighted(rng, 3, 4, 1, 1, 1), rows: 1 + weighted(rng, 4, 3, 1),
		budget: 1 + rng.IntN(6), memory: rng.IntN(8) > 0, tells: rng.IntN(3) > 0, resultTags: rng.IntN(3) == 0,
		ttl: time.Hour, atOnce: 3, most: 60 + rng.IntN(200),
	}
	if rng.IntN(4) == 0 {
		p.ttl, p.grace = 5*time.Second, time.Duration(rng.IntN(3))*5*time.Second
	}
	for f := fault(1); f < lastFault; f <<= 1 {
		if rng.IntN(5) == 0 {
			p.faults |= f & allowed
		}
	}
	if rng.IntN(6) == 0 {
		p.faults = 0
	}
	p.ahead = make([]time.Duration, p.machines)
	if p.faults&clocksDiffer != 0 {
		for i := range p.ahead {
			p.ahead[i] = time.Duration(rng.IntN(7)-3) * time.Hour
		}
	}
	for id := range 8 + rng.IntN(24) {
		p.ops = append(p.ops, p.drawOp(rng, id))
	}
	if rng.IntN(2) == 0 {
		p.calm = rng.IntN(4 * len(p.ops))
	}
	if p.outbox = rng.IntN(4) == 0; p.outbox {
		for _, o := range p.ops {
			if o.Kind.Changes() && rng.IntN(3) == 0 {
				o.Kind, o.Rows = record.Transaction, o.Rows[:1]
			}
		}
	}
	return p
}

// weighted draws an index, of which each has a weight.
func weighted(rng *rand.Rand, weights ...int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := rng.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return 0
}

func (p *plan) drawOp(rng *rand.Rand, id int) *record.Op {
	o := &record.Op{ID: id, Machine: rng.IntN(p.machines), Rows: []int{rng.IntN(p.rows)}}
	o.Kind = record.Kind(weighted(rng, []int{record.Get: 3, record.GetOrSet: 12, record.GetMany: 1, record.GetOrSetMany: 2, record.ForceFresh: 1,
		record.Set: 2, record.Delete: 6, record.DeleteMany: 1, record.DeleteByRowTag: 3, record.DeleteByGroup: 1, record.Expire: 1, record.ExpireByTag: 1, record.Clear: 1, record.Write: 1, record.Transaction: 2}...))
	switch {
	case o.Kind == record.DeleteByGroup && !p.resultTags:
		o.Kind = record.DeleteByRowTag
	case o.Kind == record.GetMany || o.Kind == record.GetOrSetMany || o.Kind == record.DeleteMany:
		for row := range p.rows {
			if row != o.Rows[0] && rng.IntN(2) == 0 {
				o.Rows = append(o.Rows, row)
			}
		}
	}
	if p.faults&closes != 0 && rng.IntN(12) == 0 {
		o.Kind = record.Close
	}
	return o
}

// config is what all processes have.
func (p *plan) config(m processes.Mutation) processes.Config {
	return processes.Config{
		Seed: p.seed, Mutation: m, Rows: p.rows, Memory: p.memory, Tells: p.tells, ResultTags: p.resultTags, HasOutbox: p.outbox, TTL: p.ttl, Grace: p.grace,
	}
}

// facts are what the promises depend on.
func (p *plan) facts() record.Facts {
	return record.Facts{
		TTL: p.ttl, Grace: p.grace, Bound: bound, MaxLoadTime: processes.MaxLoadTime,
		Healthy:     p.faults&^(tierSplits|memoryEvicts|busDoubles) == 0 && !p.outbox, // what is in an outbox may be made twice
		ClocksAgree: p.faults&(clocksDiffer|clockSteps) == 0,
		Tells:       p.tells, Notice: 2 * processes.StampTrust,
	}
}

func (p *plan) String() string {
	return fmt.Sprintf("seed %d: %d processes, %d rows, memory %v, TTL %v, grace %v, result tags %v, an outbox %v, the tier tells its history %v\nwhat may go wrong, %d times: %v",
		p.seed, p.machines, p.rows, p.memory, p.ttl, p.grace, p.resultTags, p.outbox, p.tells, p.budget, p.faults)
}
