package processes

import "github.com/cachegen/cachegen/runtime/internal/simulation/servers"

// A Mutation breaks something on purpose, in a simulated driver, so that a test can show
// that the simulation finds it. The runtime itself has no such switch.
type Mutation uint8

// The mutations. The zero Mutation is none.
const (
	NoMutation Mutation = iota
	// FillsAlways stores what was loaded whoever has the lease, as a tier without leases does.
	FillsAlways
	// FillsWithoutLease stores what was loaded if nobody has the lease, as one that compares
	// the token only where there is one.
	FillsWithoutLease
	// NoLeases is a tier that cannot give leases.
	NoLeases
	// DeleteKeepsLease is a tier in which a deletion does not end the lease of its key.
	DeleteKeepsLease
	// SameHistory is a tier that does not tell that it has returned to an older state, although it
	// says that it would, and has the counters of processes as they were.
	SameHistory
	// RepeatsWrites is a client that sends a write once more if its answer is lost.
	RepeatsWrites
	// StampsAreTimes makes stamps of the time, to the second, in place of random numbers.
	StampsAreTimes
	// NoGaps numbers the messages of the bus anew for each receiver, so that none seems to be
	// missing.
	NoGaps
	// InvalidatesBeforeCommit is a transaction that does not collect what it invalidates.
	InvalidatesBeforeCommit
	// ForgetsOutbox is a database that loses what is written into the outbox.
	ForgetsOutbox

	lastMutation
)

var mutationNames = [...]string{
	NoMutation: "none", FillsAlways: "fills always", FillsWithoutLease: "fills without a lease", NoLeases: "no leases",
	DeleteKeepsLease: "a delete keeps the lease", SameHistory: "always the same history", RepeatsWrites: "writes are repeated",
	StampsAreTimes: "stamps are times", NoGaps: "no gaps are seen", InvalidatesBeforeCommit: "invalidates before the commit",
	ForgetsOutbox: "the outbox is forgotten",
}

// Mutations are all of them.
func Mutations() (all []Mutation) {
	for m := NoMutation + 1; m < lastMutation; m++ {
		all = append(all, m)
	}
	return all
}

func (m Mutation) String() string { return mutationNames[m] }

// tierFaults are what a mutation breaks in the server.
func (m Mutation) tierFaults() servers.TierFaults {
	return servers.TierFaults{
		KeepsLeases: m == DeleteKeepsLease, FillsAlways: m == FillsAlways, FillsFree: m == FillsWithoutLease, KeepsCounters: m == SameHistory,
	}
}
