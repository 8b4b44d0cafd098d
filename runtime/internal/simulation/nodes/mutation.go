package nodes

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
	// SameHistory is a tier that does not tell that it has returned to an older state.
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
)

// tierFaults are what a mutation breaks in the server.
type tierFaults struct {
	keepsLeases bool
	fillsAlways bool
	fillsFree   bool
}

func (m Mutation) tierFaults() tierFaults {
	return tierFaults{keepsLeases: m == DeleteKeepsLease, fillsAlways: m == FillsAlways, fillsFree: m == FillsWithoutLease}
}

// fills reports whether what was loaded is stored by somebody who does not have the lease;
// leased says that somebody has it.
func (f tierFaults) fills(leased bool) bool { return f.fillsAlways || f.fillsFree && !leased }
