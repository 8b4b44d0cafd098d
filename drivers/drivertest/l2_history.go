package drivertest

import (
	"sync"
	"testing"

	"github.com/cachegen/cachegen/drivers"
)

// history returns the history that the store tells.
func (s l2) history(h drivers.Historian) string {
	s.t.Helper()
	text, err := h.History(s.ctx)
	must(s.t, "History", err)
	return text
}

func l2Historian(run func(string, func(*testing.T, l2))) {
	// Each change of the text makes all processes begin anew with the tier.
	run("History/StaysWithoutAReason", func(t *testing.T, s l2) {
		h := mustHave(drivers.HistorianOf(s.L2))
		first := s.history(h)
		for name, operation := range s.operations() {
			must(t, name, operation.run(s.ctx))
			if got := s.history(h); got != first {
				t.Errorf("after %s the history is %q, it was %q", name, got, first)
			}
		}
	})
	run("History/IsTheSameForAllHandles", func(t *testing.T, s l2) {
		other, shared := s.another()
		if !shared {
			t.Skip("handles do not share their data")
		}
		a, b := s.history(mustHave(drivers.HistorianOf(s.L2))), s.history(mustHave(drivers.HistorianOf(other)))
		if a != b {
			t.Errorf("two handles tell %q and %q", a, b)
		}
		must(t, "Close", other.Close())
		if got := s.history(mustHave(drivers.HistorianOf(s.L2))); got != a {
			t.Errorf("after the other was closed, the history is %q, it was %q", got, a)
		}
	})
	run("History/ConcurrentUse", func(t *testing.T, s l2) {
		const callers, rounds = 16, 20
		handles := s.handles(2)
		want := s.history(mustHave(drivers.HistorianOf(s.L2)))
		var wg sync.WaitGroup
		for c := range callers {
			handle := handles[c%len(handles)]
			wg.Go(func() {
				for range rounds {
					if _, err := handle.GetMany(s.ctx, []string{s.key("a")}); err != nil {
						t.Errorf("GetMany: %v", err)
						return
					}
					got, err := mustHave(drivers.HistorianOf(handle)).History(s.ctx)
					if err != nil || got != want {
						t.Errorf("History: %q, %v, want %q", got, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
