package simulation

import (
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// What fails has to be readable: in which scenario, which promises, which row.
func TestAFailureTellsScenarioPromisesAndRow(t *testing.T) {
	w := &world{scenario: newScenario(topologies[0], 7), History: history.New(1)}
	if failure := w.failure(); failure != "" {
		t.Errorf("a failure although nothing is wrong: %s", failure)
	}
	w.BeginVersion(history.Version{Row: 1})
	w.report("close failed")
	w.violations = append(w.violations, history.Violation{Row: 1, What: "row 1 is wrong"})
	failure := w.failure()
	for _, want := range []string{"seed 7:", "2 promises are broken:\nclose failed\nrow 1 is wrong\n", "version 1 of row 1, loaded in process 0"} {
		if !strings.Contains(failure, want) {
			t.Errorf("does not say %q:\n%s", want, failure)
		}
	}
}
