package runs

import (
	"slices"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/seeds"

	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// A seed that fails is worth what it repeats: the same events, at the same times, with the same
// results, from the seed and from the list of events.
//
// With the race detector the scheduler draws which of several goroutines that were woken together
// runs first. So in such a test binary a process has one operation at a time: what other order
// there is, the simulation decides.
func TestASeedRepeatsItself(t *testing.T) {
	const all = 200
	for seed := range uint64(all / seeds.Slower) {
		if difference := repeat(t, seed); difference != "" {
			// A goroutine that the machine has interrupted changes its place in the queue.
			if again := repeat(t, seed); again != "" {
				t.Errorf("seed %d: %s", seed, again)
			}
		}
	}
}

// repeat runs a seed three times, and returns how the runs differ.
func repeat(t *testing.T, seed uint64) string {
	run := func(picks []steps.Pick) result {
		p := newPlan(seed, allFaults)
		if seeds.Slower > 1 {
			p.atOnce = 1
		}
		return runPlan(t, p, processes.NoMutation, picks, true)
	}
	first := run(nil)
	for how, other := range map[string]result{"from the seed": run(nil), "from its events": run(first.picks)} {
		a, b := strings.Split(first.until(record.Never), "\n"), strings.Split(other.until(record.Never), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				return how + ", other than the first time:\n" + strings.Join(a[max(i-3, 0):i], "\n") + "\n- " + a[i] + "\n+ " + b[i]
			}
		}
		if len(a) != len(b) || !slices.Equal(first.picks, other.picks) || !slices.Equal(first.found, other.found) {
			return how + ", other than the first time at the end"
		}
	}
	return ""
}
