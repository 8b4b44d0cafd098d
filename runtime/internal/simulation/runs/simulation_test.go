package runs

import (
	"fmt"
	"maps"
	"os"
	"runtime"
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
	runtime.GOMAXPROCS(1)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// runs counts the runs of the process: between some of them its memory is collected.
var runs int

const collectEach = 64

// runPlan runs a plan, or picks of it.
func runPlan(t *testing.T, p *plan, m processes.Mutation, picks []steps.Pick, tells bool) result {
	if runs++; runs%collectEach == 0 {
		runtime.GC()
	}
	return simulate(t, p, m, picks, tells)
}

// search runs seeds, from the first one on, until enough returns true for the result of one.
// It returns how many it has run.
func search(t *testing.T, first, n uint64, until time.Time, m processes.Mutation, allowed fault, enough func(result) bool) (ran uint64) {
	for ran < n && (until.IsZero() || time.Now().Before(until)) {
		res := runPlan(t, newPlan(first+ran, allowed), m, nil, false)
		if ran++; enough(res) {
			break
		}
	}
	return ran
}

// Of all that may go wrong, nothing breaks a promise.
//
//	go test ./runtime/internal/simulation/... -run Simulation -seeds 10000
//	go test ./runtime/internal/simulation/... -run Simulation -seed 4711
func TestSimulation(t *testing.T) {
	began := time.Now()
	if s, ok := seeds.One(); ok {
		res := runPlan(t, newPlan(s, allFaults), processes.NoMutation, nil, true)
		t.Logf("%v\n%s", res.plan, res.until(record.Never))
		if len(res.found) > 0 {
			t.Error(explain(t, res, processes.NoMutation, allFaults))
		}
		return
	}
	failed := make(map[record.Promise]result)
	n := search(t, seeds.First(), seeds.Count(), seeds.Until(), processes.NoMutation, allFaults, func(res result) bool {
		for _, v := range res.found {
			if notYet[v.Promise] {
				continue
			}
			if _, ok := failed[v.Promise]; !ok {
				failed[v.Promise] = res
			}
		}
		return false
	})
	took := time.Since(began)
	t.Logf("%d seeds in %v, %.0f each second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	for _, promise := range slices.Sorted(maps.Keys(failed)) {
		t.Error(explain(t, failed[promise], processes.NoMutation, allFaults, promise))
	}
}

var notYet = map[record.Promise]bool{record.OwnStale: true, record.Stale: true, record.Lost: true, record.TwoLoads: true}

// explain says what is wrong in a run, and by which events one can see it: as few as are
// needed.
func explain(t *testing.T, res result, m processes.Mutation, allowed fault, about ...record.Promise) string {
	promise := res.found[0].Promise
	if len(about) > 0 {
		promise = about[0]
	}
	plan := func() *plan { return newPlan(res.plan.seed, allowed) }
	breaks := func(picks []steps.Pick) bool {
		again := runPlan(t, plan(), m, picks, false)
		return slices.ContainsFunc(again.found, func(v record.Violation) bool { return v.Promise == promise })
	}
	if !breaks(res.picks) {
		return fmt.Sprintf("%v\n%sIt does not repeat itself.", res.plan, summary(res.found))
	}
	picks := steps.Shrink(res.picks, 3000, breaks)
	shrunk := runPlan(t, plan(), m, picks, true)
	shrunk.found = slices.DeleteFunc(shrunk.found, func(v record.Violation) bool { return v.Promise != promise })
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d of %d events are needed:\n%s%s", res.plan, len(picks), len(res.picks), shrunk.until(shrunk.found[0].Step), summary(shrunk.found))
	fmt.Fprintf(&b, "once more: go test ./runtime/internal/simulation/... -run Simulation -seed %d", res.plan.seed)
	return b.String()
}

// summary writes violations, a line each.
func summary(found []record.Violation) string {
	var b strings.Builder
	for _, v := range found[:min(len(found), 5)] {
		fmt.Fprintln(&b, v)
	}
	return b.String()
}
