package runs

import (
	"fmt"
	"maps"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/seeds"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// Nothing but the seed decides what happens: neither the hashes of the process, nor when its
// memory is collected, with which the runtime forgets stamps that nothing needs any more, nor
// which of several goroutines that can go on runs first.
func TestMain(m *testing.M) {
	random.ReplaceHashSeed(processes.HashSeed())
	debug.SetGCPercent(-1)
	goruntime.GOMAXPROCS(1)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// runs counts the runs of the test binary. Between some of them its memory is collected.
var runs int

const collectEach = 64

// runPlan runs a plan, or picks of it.
func runPlan(t *testing.T, p *plan, m processes.Mutation, picks []steps.Pick, tells bool) result {
	if runs++; runs%collectEach == 0 {
		goruntime.GC()
	}
	return simulate(t, p, m, picks, tells)
}

// Whatever goes wrong, no promise is broken.
func TestSimulation(t *testing.T) {
	if seed, ok := seeds.One(); ok {
		res := runPlan(t, newPlan(seed, allFaults), processes.NoMutation, nil, true)
		t.Logf("%v\n%s", res.plan, res.until(record.Never))
		if len(res.found) > 0 {
			t.Error(explain(t, res, processes.NoMutation, res.found[0].Promise))
		}
		return
	}
	began, n := time.Now(), uint64(0)
	failed := make(map[record.Promise]result) // the first of each kind
	for ; n < seeds.Count() && seeds.More(began); n++ {
		res := runPlan(t, newPlan(seeds.First()+n, allFaults), processes.NoMutation, nil, false)
		for _, v := range res.found {
			if _, ok := failed[v.Promise]; !ok {
				failed[v.Promise] = res
			}
		}
	}
	took := time.Since(began)
	t.Logf("%d seeds in %v, %.0f each second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	for _, promise := range slices.Sorted(maps.Keys(failed)) {
		t.Error(explain(t, failed[promise], processes.NoMutation, promise))
	}
}

// explain says how a promise was broken in a run, and by which events one can see it: as few as
// are needed.
func explain(t *testing.T, res result, m processes.Mutation, promise record.Promise) string {
	again := func(picks []steps.Pick, tells bool) (result, []record.Violation) {
		r := runPlan(t, newPlan(res.plan.seed, allFaults), m, picks, tells)
		return r, slices.DeleteFunc(r.found, func(v record.Violation) bool { return v.Promise != promise })
	}
	breaks := func(picks []steps.Pick) bool {
		_, found := again(picks, false)
		return len(found) > 0
	}
	if !breaks(res.picks) {
		return fmt.Sprintf("%v\n%vIt does not repeat itself.", res.plan, res.found)
	}
	const mostTries = 3000
	picks := steps.Shrink(res.picks, mostTries, breaks)
	shrunk, found := again(picks, true)
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d of %d events are needed:\n%s", res.plan, len(picks), len(res.picks), shrunk.until(found[0].Step))
	for _, v := range found[:min(len(found), 3)] {
		fmt.Fprintln(&b, v)
	}
	fmt.Fprintf(&b, "once more: go test ./runtime/internal/simulation/... -run Simulation -v -seed %d", res.plan.seed)
	return b.String()
}
