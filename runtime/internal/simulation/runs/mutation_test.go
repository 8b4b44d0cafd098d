package runs

import (
	"slices"
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/seeds"
)

// mostSeeds is how many seeds may be needed to find a mutation.
const mostSeeds = 2000

// search runs seeds, at most most of them, until one breaks a promise, and returns how many it took; 0 if none does.
func search(t *testing.T, m processes.Mutation, most uint64, allowed fault, promises ...record.Promise) (taken uint64, res result) {
	for seed := range most / seeds.Slower {
		res := runPlan(t, newPlan(seed, allowed), m, nil, false)
		if slices.ContainsFunc(res.found, func(v record.Violation) bool { return slices.Contains(promises, v.Promise) }) {
			return seed + 1, res
		}
	}
	return 0, res
}

// A tier that gives leases and does not keep to them is found, although nothing goes wrong: race R44,
// and that each process loads a key.
func TestAMutationOfLeasesIsFound(t *testing.T) {
	for m, promises := range map[processes.Mutation][]record.Promise{
		processes.FillsAlways:       {record.OwnStale, record.Stale},
		processes.FillsWithoutLease: {record.OwnStale, record.Stale},
		processes.DeleteKeepsLease:  {record.OwnStale, record.Stale},
		processes.NoLeases:          {record.TwoLoads},
	} {
		if taken, _ := search(t, m, mostSeeds, 0, promises...); taken == 0 {
			t.Errorf("%v: not found in %d seeds", m, mostSeeds/seeds.Slower)
		} else {
			t.Logf("%v: found after %d seeds", m, taken)
		}
	}
	if taken, res := search(t, processes.NoMutation, mostSeeds/4, 0, record.OwnStale, record.Stale, record.TwoLoads); taken != 0 {
		t.Errorf("without a mutation: found after %d seeds: %v", taken, res.found)
	}
}

// A transaction that invalidates before it commits leaves the old row in the cache.
func TestAMutationOfAClientIsFound(t *testing.T) {
	taken, _ := search(t, processes.InvalidatesBeforeCommit, mostSeeds, loadsFail, record.OwnStale)
	if taken == 0 {
		t.Fatalf("not found in %d seeds", mostSeeds/seeds.Slower)
	}
	t.Logf("found after %d seeds", taken)
}

// mutations are what has to go wrong so that a mutation shows, if that is not anything, and seeds
// that have found it. Where they do not any more, others are looked for.
var mutations = map[processes.Mutation]struct {
	needs fault
	known []uint64
}{
	processes.FillsAlways:             {known: []uint64{39, 53}},
	processes.FillsWithoutLease:       {known: []uint64{39, 53}},
	processes.NoLeases:                {known: []uint64{13}},
	processes.DeleteKeepsLease:        {known: []uint64{39, 53}},
	processes.SameHistory:             {needs: tierGoesBack, known: []uint64{13}},
	processes.RepeatsWrites:           {needs: tierRepeats, known: []uint64{490}},
	processes.StampsAreTimes:          {known: []uint64{37}},
	processes.NoGaps:                  {needs: busLoses, known: []uint64{4}},
	processes.ForgetsOutbox:           {needs: crashes, known: []uint64{226}},
	processes.InvalidatesBeforeCommit: {known: []uint64{107, 115}},
}

// A mutation is found by a seed that breaks a promise with it, and none without it.
func TestEachMutationIsFound(t *testing.T) {
	for _, m := range processes.Mutations() {
		how := mutations[m]
		breaks := func(seed uint64, m processes.Mutation) []record.Violation {
			p := newPlan(seed, allFaults)
			if how.needs != 0 {
				p = newPlan(seed, how.needs)
				p.faults = how.needs
			}
			return runPlan(t, p, m, nil, false).found
		}
		finds := func(seed uint64) bool {
			found := breaks(seed, m)
			if len(found) == 0 || len(breaks(seed, processes.NoMutation)) > 0 {
				return false
			}
			t.Logf("%v: found by seed %d: %v", m, seed, found[0].Promise)
			return true
		}
		if slices.ContainsFunc(how.known, finds) {
			continue
		}
		seed := uint64(0)
		for seed < mostSeeds/seeds.Slower && !finds(seed) {
			seed++
		}
		if seed == mostSeeds/seeds.Slower {
			t.Errorf("%v: not found in %d seeds", m, seed)
		}
	}
}
