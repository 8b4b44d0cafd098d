package simulation

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Many callers in several processes, on a tier and a bus that fail: nothing is read that
// is older than an invalidation, or than its deadlines, and of a key there is one load at
// a time.
func TestModelOfManyCallers(t *testing.T) {
	wanted := modelOperations(t)
	var operations, reads, runs int64
	began := time.Now()
	for operations < wanted {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawScenario(rt)
			rapid.SyncTest(rt, func(rt *rapid.T) {
				w, err := s.run()
				if err != nil {
					rt.Fatal(err)
				}
				operations, reads, runs = operations+w.operations.Load(), reads+int64(w.Reads()), runs+1
				if failure := w.failure(); failure != "" {
					rt.Fatal(failure)
				}
			})
		})
	}
	t.Logf("%d operations in %d runs, %d reads checked, %v", operations, runs, reads, time.Since(began).Round(time.Millisecond))
}

func drawScenario(rt *rapid.T) scenario {
	s := newScenario(rapid.SampledFrom(topologies).Draw(rt, "topology"), rapid.Uint64().Draw(rt, "seed"))
	for range rapid.IntRange(2, 8).Draw(rt, "workers") {
		s.workers = append(s.workers, rapid.SliceOfN(rapid.Uint64(), 10, 40).Draw(rt, "operations"))
	}
	return s
}
