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

// search runs seeds until one breaks a promise, and returns how many it took; 0 if none does.
func search(t *testing.T, m processes.Mutation, allowed fault, promises ...record.Promise) (taken uint64, res result) {
	for seed := range uint64(mostSeeds / seeds.Slower) {
		res := runPlan(t, newPlan(seed, allowed), m, nil, false)
		if slices.ContainsFunc(res.found, func(v record.Violation) bool { return slices.Contains(promises, v.Promise) }) {
			return seed + 1, res
		}
	}
	return 0, res
}

// race R44: while nothing fails, no load fills after a deletion, and each row is loaded once by all
// processes together.
func TestLeasesHoldWhileNothingFails(t *testing.T) {
	for seed := range uint64(300 / seeds.Slower) {
		for _, v := range runPlan(t, newPlan(seed, 0), processes.NoMutation, nil, false).found {
			if slices.Contains([]record.Promise{record.OwnStale, record.Stale, record.TwoLoads}, v.Promise) {
				t.Errorf("seed %d: %v", seed, v)
			}
		}
	}
}

// A transaction that invalidates before it commits leaves the old row in the cache.
func TestAMutationOfAClientIsFound(t *testing.T) {
	taken, _ := search(t, processes.InvalidatesBeforeCommit, loadsFail, record.OwnStale)
	if taken == 0 {
		t.Fatalf("not found in %d seeds", mostSeeds/seeds.Slower)
	}
	t.Logf("found after %d seeds", taken)
}

// A mutation is found by a seed that breaks a promise with it, and none without it.
func TestEachMutationIsFound(t *testing.T) {
	if len(notYet) > 0 {
		t.Skip("the runtime does not keep all promises yet")
	}
	for _, m := range processes.Mutations() {
		found := false
		for seed := uint64(0); seed < mostSeeds/seeds.Slower && !found; seed++ {
			res := runPlan(t, newPlan(seed, allFaults), m, nil, false)
			found = len(res.found) > 0 && len(runPlan(t, newPlan(seed, allFaults), processes.NoMutation, nil, false).found) == 0
			if found {
				t.Logf("%v: found after %d seeds: %v", m, seed+1, res.found[0].Promise)
			}
		}
		if !found {
			t.Errorf("%v: not found in %d seeds", m, mostSeeds/seeds.Slower)
		}
	}
}
