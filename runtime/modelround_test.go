package runtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A modelRow is a row of the source, with the count at which it was read.
type modelRow struct {
	Row  int
	Made int64
}

const (
	outerRows = 4 // in the namespace rows
	innerRows = 2 // in the namespace inner of it
	modelRows = outerRows + innerRows

	modelTrust     = 60 * time.Millisecond
	modelL2Timeout = 25 * time.Millisecond
	busLatency     = 4 * time.Millisecond
)

// A rowFailure is an error of the source. It says when the source was asked.
type rowFailure struct{ made int64 }

func (f *rowFailure) Error() string { return fmt.Sprint("source failed at ", f.made) }

// A rowMissing is the source's answer that there is no such row.
type rowMissing struct{ made int64 }

func (f *rowMissing) Error() string        { return fmt.Sprint("no row at ", f.made) }
func (f *rowMissing) Is(target error) bool { return target == errNoRow }

// A scene is what one round runs on.
type scene struct {
	processes   int
	l1, l2, bus bool
	weather     weather
	cuts        bool // the bus is lost at times
	fails       int  // loads in a thousand
	missing     int  // loads in a thousand that find nothing
	panics      int
	cancels     int // callers in a thousand that do not wait for ever
	hard, lock  bool
	options     []runtime.Option // of the caches
	l1TTL       time.Duration
	pace        time.Duration // between the operations of a worker, at most
	spread      int           // rows that are used
	groups      int           // tags that only values tell
	seed        uint64
	workers     [][]uint64 // the seeds of the operations of each
}

var sceneKinds = []scene{
	{processes: 1, l1: true},
	{processes: 1, l2: true},
	{processes: 1, l1: true, l2: true},
	{processes: 1, l1: true, l2: true, bus: true},
	{processes: 2, l1: true, l2: true, bus: true},
	{processes: 2, l1: true, l2: true, bus: true},
	{processes: 2, l1: true, l2: true},
	{processes: 2, l2: true},
	{processes: 2, l1: true, bus: true},
}

// drawScene draws what happens in a round. Most of what may go wrong does not in
// most rounds, so that what it would excuse is checked.
func drawScene(rt *rapid.T) scene {
	s := rapid.SampledFrom(sceneKinds).Draw(rt, "kind")
	s.seed = rapid.Uint64().Draw(rt, "seed")
	rng := rand.New(rand.NewPCG(s.seed, 1))
	sometimes := func(n int) int {
		if rng.IntN(3) == 0 {
			return n
		}
		return 0
	}
	s.weather = weather{
		latency: time.Duration(1+rng.IntN(3)) * time.Millisecond, split: rng.IntN(2) == 0,
		fails: sometimes(60), hangs: sometimes(20), evicts: sometimes(40), duplicates: sometimes(300),
	}
	s.cuts = s.bus && rng.IntN(3) == 0
	s.fails, s.missing, s.panics, s.cancels = sometimes(200), sometimes(200), sometimes(40), sometimes(200)
	s.hard, s.lock = rng.IntN(3) == 0, rng.IntN(3) == 0
	if rng.IntN(3) == 0 {
		s.options = append(s.options, runtime.RefreshAtPercent(50))
	}
	if rng.IntN(3) == 0 {
		s.options = append(s.options, runtime.JitterPercent(30))
	}
	if rng.IntN(3) == 0 {
		s.l1TTL = 8 * time.Millisecond
		s.options = append(s.options, runtime.L1TTL(s.l1TTL))
	}
	s.pace, s.spread = pick[time.Duration](rng, 1, 3, 8)*time.Millisecond, pick(rng, 1, 2, modelRows, modelRows)
	s.groups = pick(rng, 2, modelRows) // of more, a process hears late
	for range rapid.IntRange(2, 8).Draw(rt, "workers") {
		s.workers = append(s.workers, rapid.SliceOfN(rapid.Uint64(), 10, 40).Draw(rt, "operations"))
	}
	return s
}

func (s *scene) bounds() bounds {
	b := bounds{
		bus: s.bus, latency: 2 * busLatency, trust: 2*modelTrust + 4*modelL2Timeout,
		oneLoad: !s.lock, standsIn: s.fails > 0 || s.panics > 0 || s.hard || s.lock,
	}
	if !s.l2 {
		b.l1TTL = s.l1TTL
	}
	return b
}

// A round is a scene being played.
type round struct {
	scene
	*history
	chance *chance
	shared faketier.Shared
	hub    *hub
	calm   atomic.Bool
	nodes  []*node
	ops    atomic.Int64
	mu     sync.Mutex
	broken []string
}

// A node is one process.
type node struct {
	*round
	process int
	store   *runtime.Store
	outer   *runtime.Cache[int, modelRow]
	inner   *runtime.Cache[int, modelRow]
	ear     *ear
}

func rowTag(row int) runtime.Tag { return runtime.Tag(fmt.Sprint("row:", row)) }
func groupTag(n int) runtime.Tag { return runtime.Tag(fmt.Sprint("group:", n)) }

// cache returns the cache that row is in.
func (n *node) cache(row int) *runtime.Cache[int, modelRow] {
	if row < outerRows {
		return n.outer
	}
	return n.inner
}

func (r *round) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

func (r *round) open(rt *rapid.T, process int) *node {
	n := &node{round: r, process: process}
	// Without a breaker: while the shared tier is left alone, stamps are trusted for
	// longer, and the history does not know when that was.
	options := []runtime.StoreOption{runtime.Logger(silent), runtime.StampTrust(modelTrust), runtime.L2Timeout(modelL2Timeout), runtime.L2CircuitBreakerDuration(0)}
	if r.l1 {
		options = append(options, runtime.L1(memory.New(memory.Options{MaxSize: "1mb"})))
	}
	if r.l2 {
		options = append(options, runtime.L2(&link{
			Shared: &r.shared, process: process, history: r.history, chance: r.chance, weather: r.weather, calm: r.calm.Load, lags: r.processes == 1,
		}))
	}
	if r.bus {
		n.ear = r.hub.bus(process)
		options = append(options, runtime.WithBus(n.ear))
	}
	store, err := runtime.NewStore("model", options...)
	if err != nil {
		rt.Fatal(err)
	}
	stores, err := runtime.NewStores("model", store)
	if err != nil {
		rt.Fatal(err)
	}
	n.store = store
	n.outer, err = open(stores, definition[int, modelRow]{
		Name: "rows", Namespace: "rows", NotFound: errNoRow, Options: r.options,
		Tags:       func(row int) []runtime.Tag { return []runtime.Tag{rowTag(row)} },
		ResultTags: func(v modelRow) []runtime.Tag { return []runtime.Tag{groupTag(v.Row % r.groups)} },
	})
	if err != nil {
		rt.Fatal(err)
	}
	if n.inner, err = n.outer.Namespace("inner"); err != nil {
		rt.Fatal(err)
	}
	return n
}

// playScene plays a scene in virtual time and returns what was wrong in it.
func playScene(rt *rapid.T, s scene) (*round, []string) {
	r := &round{scene: s, history: newHistory(s.processes), chance: newChance(s.seed)}
	r.hub = &hub{history: r.history, chance: r.chance, latency: busLatency, weather: s.weather}
	for p := range s.processes {
		r.nodes = append(r.nodes, r.open(rt, p))
	}
	var working sync.WaitGroup
	for _, seeds := range s.workers {
		working.Go(func() {
			for _, seed := range seeds {
				r.step(rand.New(rand.NewPCG(seed, s.seed)))
			}
		})
	}
	over := make(chan struct{})
	troubled := make(chan struct{})
	go func() {
		defer close(troubled)
		r.trouble(over)
	}()
	working.Wait()
	close(over)
	<-troubled
	r.calm.Store(true)
	settled := 2*modelTrust + 5*modelL2Timeout
	if r.cuts { // who hears nothing has had to look again by now
		time.Sleep(settled)
		r.readAll()
	}
	for _, n := range r.nodes {
		if n.ear != nil {
			n.ear.hush(false)
		}
	}
	for _, pause := range []time.Duration{3 * busLatency, settled} {
		time.Sleep(pause)
		r.readAll()
	}
	for _, n := range r.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := n.store.Close(ctx); err != nil {
			r.fault("close: %v", err)
		}
		cancel()
	}
	return r, append(r.broken, r.check(s.bounds())...)
}

// readAll reads every row in every process.
func (r *round) readAll() {
	for _, n := range r.nodes {
		for row := range modelRows {
			n.get(context.Background(), row)
			n.getOrSet(context.Background(), row, calls{delay: time.Microsecond, ttl: time.Hour})
		}
	}
}

// trouble is what happens to the tiers by itself until over is closed.
func (r *round) trouble(over chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(r.chance.some(10 * time.Millisecond)):
		}
		if r.cuts {
			r.nodes[r.chance.below(int64(r.processes))].ear.hush(r.chance.of(500))
		}
		if r.l2 && r.chance.of(r.weather.evicts) {
			r.evict()
		}
	}
}

// evict removes one key of the shared tier, be it a stamp.
func (r *round) evict() {
	var keys []string
	for key := range r.shared.Keys() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if len(keys) > 0 {
		r.shared.Evict(keys[r.chance.below(int64(len(keys)))])
	}
}

// caller returns the context of a caller, who may leave early.
func (r *round) caller(rng *rand.Rand) (context.Context, context.CancelFunc) {
	if rng.IntN(1000) < r.cancels {
		return context.WithTimeout(context.Background(), time.Duration(rng.Int64N(int64(6*time.Millisecond))))
	}
	return context.Background(), func() {}
}
