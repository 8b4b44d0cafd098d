package nodes

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/simulation/seeds"
)

// Nothing but the seed decides what happens: neither the hashes of the process, nor when its
// memory is collected, with which the runtime forgets stamps that nothing needs any more.
func TestMain(m *testing.M) {
	random.ReplaceHashSeed(hashSeed())
	debug.SetGCPercent(-1)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// running is held while a run is under way, and by whoever must be alone.
var running sync.RWMutex

// alone runs a function while no run is under way.
func alone(f func()) {
	running.Lock()
	defer running.Unlock()
	f()
}

// simulated is simulate, beside others, but for a run that sets the clock, of which the
// process has one.
func simulated(t *testing.T, p *plan, m Mutation, picks []pick, tells bool) (res Result) {
	if p.faults&clockSteps != 0 {
		alone(func() { res = simulate(t, p, m, picks, tells) })
		return res
	}
	running.RLock()
	defer running.RUnlock()
	return simulate(t, p, m, picks, tells)
}

// collectEach is after how many runs the memory is collected.
const collectEach = 64

// search runs seeds, from the first one on, several at a time, until stop returns true for the
// result of one. It returns how many it has run.
func search(t *testing.T, first, n uint64, until time.Time, m Mutation, allowed fault, stop func(Result) bool) (ran int64) {
	var next atomic.Uint64
	var stopped atomic.Bool
	var count atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for !stopped.Load() && (until.IsZero() || time.Now().Before(until)) {
					i := next.Add(1) - 1
					if i >= n {
						return
					}
					res := simulated(t, newPlan(first+i, allowed), m, nil, false)
					if stop(res) {
						stopped.Store(true)
					}
					if count.Add(1)%collectEach == 0 {
						alone(runtime.GC)
					}
				}
			})
		}
	})
	return count.Load()
}

// Of all that may go wrong, nothing breaks a promise.
//
//	go test ./runtime/internal/simulation/... -run Simulation -seeds 10000
//	go test ./runtime/internal/simulation/... -run Simulation -seed 4711
func TestSimulation(t *testing.T) {
	began := time.Now()
	if s, ok := seeds.One(); ok {
		res := simulated(t, newPlan(s, allFaults), NoMutation, nil, true)
		t.Logf("%v\n%s", res.plan, res.until(never))
		if len(res.Found) > 0 {
			t.Error(explain(t, res, NoMutation, allFaults))
		}
		return
	}
	var mu sync.Mutex
	failed := make(map[Promise]Result)
	n := search(t, seeds.First(), seeds.Count(), seeds.Until(), NoMutation, allFaults, func(res Result) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range res.Found {
			if notYet[v.Promise] {
				continue
			}
			if first, ok := failed[v.Promise]; !ok || res.plan.seed < first.plan.seed {
				failed[v.Promise] = res
			}
		}
		return false
	})
	took := time.Since(began)
	t.Logf("%d seeds in %v, %.0f each second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	for _, promise := range slices.Sorted(maps.Keys(failed)) {
		t.Error(explain(t, failed[promise], NoMutation, allFaults, promise))
	}
}

var notYet = map[Promise]bool{OwnStale: true, Stale: true, Lost: true, TwoLoads: true}

// explain says what is wrong in a run, and by which events one can see it: as few as are
// needed.
func explain(t *testing.T, res Result, m Mutation, allowed fault, about ...Promise) string {
	promise := res.Found[0].Promise
	if len(about) > 0 {
		promise = about[0]
	}
	plan := func() *plan { return newPlan(res.plan.seed, allowed) }
	breaks := func(picks []pick) bool {
		again := simulated(t, plan(), m, picks, false)
		return slices.ContainsFunc(again.Found, func(v Violation) bool { return v.Promise == promise })
	}
	if !breaks(res.picks) {
		return fmt.Sprintf("%v\n%sIt does not repeat itself.", res.plan, summary(res.Found))
	}
	tries := 0
	picks := shrink(res.picks, 3000, func(some []pick) bool {
		if tries++; tries%collectEach == 0 {
			alone(runtime.GC)
		}
		return breaks(some)
	})
	shrunk := simulated(t, plan(), m, picks, true)
	shrunk.Found = slices.DeleteFunc(shrunk.Found, func(v Violation) bool { return v.Promise != promise })
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d of %d events are needed:\n%s%s", res.plan, len(picks), len(res.picks), shrunk.until(shrunk.Found[0].step), summary(shrunk.Found))
	fmt.Fprintf(&b, "once more: go test ./runtime/internal/simulation/... -run Simulation -seed %d", res.plan.seed)
	return b.String()
}

var _ = cmp.Compare[int]
