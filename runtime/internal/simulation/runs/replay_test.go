package runs

import (
	"slices"
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// A seed that fails is worth what it repeats: the same events, at the same times, with the same
// results, from the seed and from the list of events.
func TestASeedRepeatsItself(t *testing.T) {
	for seed := range uint64(200) {
		repeat := func(picks []steps.Pick) result {
			return runPlan(t, newPlan(seed, allFaults), processes.NoMutation, picks, true)
		}
		first := repeat(nil)
		for how, again := range map[string]result{"from the seed": repeat(nil), "from the events": repeat(first.picks)} {
			if slices.Equal(first.picks, again.picks) && slices.Equal(first.lines, again.lines) && slices.Equal(first.found, again.found) {
				continue
			}
			i := 0
			for i < min(len(first.lines), len(again.lines)) && first.lines[i] == again.lines[i] {
				i++
			}
			t.Errorf("seed %d %s: line %d differs:\n%v\n%v", seed, how, i, first.lines[max(0, i-3):min(i+2, len(first.lines))], again.lines[max(0, i-3):min(i+2, len(again.lines))])
		}
	}
}
