package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// stampTrust is the StampTrust of the stores.
const stampTrust = 300 * time.Millisecond // the shortest that counts

// A topology is the processes and what connects them.
type topology struct {
	processes                     int
	withMemory, withTier, withBus bool
}

// topologies has some twice, which are drawn as often.
var topologies = []topology{
	{processes: 1, withMemory: true},
	{processes: 1, withTier: true},
	{processes: 1, withMemory: true, withTier: true},
	{processes: 1, withMemory: true, withTier: true, withBus: true},
	{processes: 2, withMemory: true, withTier: true, withBus: true},
	{processes: 2, withMemory: true, withTier: true, withBus: true},
	{processes: 2, withMemory: true, withTier: true},
	{processes: 2, withTier: true},
	{processes: 2, withMemory: true, withBus: true},
}

// A scenario is what a run of many callers runs on, what goes wrong meanwhile, and what
// the callers do. All but the workers follows from topology and seed.
//
// Numbers without a unit are how often, in a thousand.
type scenario struct {
	topology
	seed   uint64
	faults faults
	cuts   bool // processes lose the bus at times

	loadsFail, loadsFindNothing, loadsPanic int
	impatient                               int // callers whose context ends soon

	hardTimeout, lockTimeout bool // callers may have one

	refreshAt, jitter int           // in percent of the TTL; 0: without
	memoryTTL         time.Duration // L1TTL; 0: without

	pause  time.Duration // between the operations of a worker, at most
	rows   int           // that are used
	groups int           // of the result tags

	// workers are concurrent callers, each with the seeds of its operations: leaving one
	// out does not change the others, so a failure can be shrunk.
	workers [][]uint64
}

// newScenario returns the scenario of a seed, without workers. Most of what may go wrong
// does not in most scenarios: what it would excuse is checked there.
func newScenario(t topology, seed uint64) scenario {
	rng := rand.New(rand.NewPCG(seed, 1))
	rarely := func(n int) int {
		if rng.IntN(3) == 0 {
			return n
		}
		return 0
	}
	s := scenario{
		topology: t, seed: seed,
		faults: faults{
			tierLatency: time.Duration(1+rng.IntN(3)) * time.Millisecond, split: rng.IntN(2) == 0,
			errors: rarely(60), timeouts: rarely(20), evictions: rarely(40), duplicates: rarely(300),
		},
		cuts:      t.withBus && rng.IntN(3) == 0,
		loadsFail: rarely(200), loadsFindNothing: rarely(200), loadsPanic: rarely(40),
		impatient:   rarely(200),
		hardTimeout: rng.IntN(3) == 0, lockTimeout: rng.IntN(3) == 0,
		refreshAt: rarely(50), jitter: rarely(30),
		pause: pick[time.Duration](rng, 1, 3, 8) * time.Millisecond,
		rows:  pick(rng, 1, 2, allRows, allRows),
		// Rows share the tags of their results, or each has its own.
		groups: pick(rng, 2, allRows),
	}
	if rng.IntN(3) == 0 {
		s.memoryTTL = 8 * time.Millisecond
	}
	return s
}

// promises are what the stores of a scenario promise.
func (s *scenario) promises() history.Promises {
	p := history.Promises{
		Bus: s.withBus, BusLatency: 2 * busLatency, Trust: 2*stampTrust + 4*tierTimeout,
		OneLoad: !s.lockTimeout, SourceFails: s.loadsFail > 0 || s.loadsPanic > 0 || s.hardTimeout || s.lockTimeout,
	}
	if !s.withTier {
		p.MemoryTTL = s.memoryTTL
	}
	return p
}

// String is what a failure needs to tell. The workers are told by rapid.
func (s *scenario) String() string {
	operations := 0
	for _, w := range s.workers {
		operations += len(w)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d operations by %d workers, %d processes, memory %v, shared tier %v, bus %v, cut %v\n",
		s.seed, operations, len(s.workers), s.processes, s.withMemory, s.withTier, s.withBus, s.cuts)
	fmt.Fprintf(&b, "tier latency %v, many keys in parts %v; of 1000 operations %d fail, %d time out, %d evict, %d messages come twice\n",
		s.faults.tierLatency, s.faults.split, s.faults.errors, s.faults.timeouts, s.faults.evictions, s.faults.duplicates)
	fmt.Fprintf(&b, "of 1000 loads %d fail, %d find nothing, %d panic; of 1000 callers %d leave early; hard timeouts %v, lock timeouts %v\n",
		s.loadsFail, s.loadsFindNothing, s.loadsPanic, s.impatient, s.hardTimeout, s.lockTimeout)
	fmt.Fprintf(&b, "refresh at %d%%, jitter %d%%, L1TTL %v, pause %v, %d rows, %d groups", s.refreshAt, s.jitter, s.memoryTTL, s.pause, s.rows, s.groups)
	return b.String()
}
