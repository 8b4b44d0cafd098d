package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// A world is a scenario that is being run: its processes, their tier and bus, and the
// history of what they did.
type world struct {
	scenario
	*history.History
	tier   faketier.Shared
	bus    *bus
	nodes  []*node
	rand   *lockedRand // of evictions and of cuts
	healed atomic.Bool // nothing goes wrong any more

	operations atomic.Int64

	mu         sync.Mutex
	violations []history.Violation // that callers have seen themselves; guarded by mu
}

// A node is a process of a world. Its operations are recorded in the history.
type node struct {
	*world
	*process
	id   int
	conn *busConn // nil without a bus
}

// run runs a scenario in virtual time, the bubble of the caller, and checks its history.
// When the workers have ended it heals what is broken and reads every row in every
// process: what was lost meanwhile must be there by then.
func (s *scenario) run() (*world, error) {
	w := &world{scenario: *s, History: history.New(s.processes), rand: newRand(s.seed, "world")}
	w.bus = &bus{history: w.History, duplicates: s.faults.duplicates}
	for id := range s.processes {
		n, err := w.open(id)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	w.work()
	w.healed.Store(true)
	settled := 2*stampTrust + 5*tierTimeout
	if s.cuts { // a process that is still disconnected has asked the shared tier by then
		time.Sleep(settled)
		w.readAll()
	}
	for _, n := range w.nodes {
		if n.conn != nil {
			n.conn.setCut(false)
		}
	}
	for _, pause := range []time.Duration{3 * busLatency, settled} {
		time.Sleep(pause)
		w.readAll()
	}
	for _, n := range w.nodes {
		if err := n.close(); err != nil {
			w.report("close of process %d: %v", n.id, err)
		}
	}
	w.violations = append(w.violations, w.Check(s.promises())...)
	return w, nil
}

func (w *world) open(id int) (*node, error) {
	n := &node{world: w, id: id}
	// Without a circuit breaker: while it is open, stamps are trusted for longer, and the
	// history does not know when that was.
	store := []runtime.StoreOption{runtime.StampTrust(stampTrust), runtime.L2Timeout(tierTimeout), runtime.L2CircuitBreakerDuration(0)}
	part := func(name string) *lockedRand { return newRand(w.seed, fmt.Sprint(name, id)) }
	if w.withMemory {
		store = append(store, memoryTier())
	}
	if w.withTier {
		store = append(store, runtime.L2(&tierConn{
			shared: &w.tier, process: id, history: w.History, rand: part("tier"),
			faults: w.faults, healed: w.healed.Load, lateWrites: w.processes == 1,
		}))
	}
	if w.withBus {
		n.conn = w.bus.connect(id, part("bus"))
		store = append(store, runtime.Bus(n.conn))
	}
	var caches []runtime.Option
	if w.refreshAt > 0 {
		caches = append(caches, runtime.RefreshPercent(w.refreshAt))
	}
	if w.jitter > 0 {
		caches = append(caches, runtime.JitterPercent(w.jitter))
	}
	if w.memoryTTL > 0 {
		caches = append(caches, runtime.L1TTL(w.memoryTTL))
	}
	var err error
	n.process, err = openProcess(part("store").uint64, store, caches)
	return n, err
}

// work runs the workers, and what goes wrong beside them, until the workers have ended.
func (w *world) work() {
	var working, disturbing sync.WaitGroup
	for _, seeds := range w.workers {
		working.Go(func() {
			for _, seed := range seeds {
				w.operate(rand.New(rand.NewPCG(seed, w.seed)))
			}
		})
	}
	ended := make(chan struct{})
	disturbing.Go(func() { w.disturb(ended) })
	working.Wait()
	close(ended)
	disturbing.Wait()
}

// disturb cuts the bus and evicts from the shared tier until ended is closed.
func (w *world) disturb(ended chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(w.rand.upTo(10 * time.Millisecond)):
		}
		if w.cuts {
			w.nodes[w.rand.below(int64(w.processes))].conn.setCut(w.rand.happens(500))
		}
		if w.withTier && w.rand.happens(w.faults.evictions) {
			w.evict()
		}
	}
}

// evict removes one key of the shared tier, be it a stamp.
func (w *world) evict() {
	var keys []string
	for key := range w.tier.Keys() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if len(keys) > 0 {
		w.tier.Evict(keys[w.rand.below(int64(len(keys)))])
	}
}

// readAll reads every row in every process.
func (w *world) readAll() {
	for _, n := range w.nodes {
		for row := range allRows {
			n.get(context.Background(), row)
			n.getOrSet(context.Background(), row, call{ttl: time.Hour, loader: loader{delay: time.Microsecond}})
		}
	}
}

// report records what must not happen, whatever else does.
func (w *world) report(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, history.Violation{Row: history.NoRow, What: fmt.Sprintf(format, args...)})
}

// failure says which promises were broken in which scenario, and what happened to the row
// of the first of them; nothing if none was.
func (w *world) failure() string {
	if len(w.violations) == 0 {
		return ""
	}
	const most = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d promises are broken:\n", &w.scenario, len(w.violations))
	for _, v := range w.violations[:min(len(w.violations), most)] {
		fmt.Fprintln(&b, v.What)
	}
	if i := slices.IndexFunc(w.violations, func(v history.Violation) bool { return v.Row != history.NoRow }); i >= 0 {
		b.WriteString(w.Timeline(w.violations[i].Row))
	}
	return b.String()
}
