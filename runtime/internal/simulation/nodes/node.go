package nodes

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	hooks "github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/random"
)

// A node is a process: a real store with its cache, on simulated drivers. When it has died,
// another node takes its machine.
type node struct {
	run     *run
	id      int
	machine int
	name    string // n2, and n2' for the process that follows on the same machine

	store  *runtime.Store
	cache  *runtime.Cache[int, Value]
	memory *l1
	tier   *tierConn
	bus    *busConn
	ahead  time.Duration // of its clock, before that of the others

	numbers *numbers
	draws   uint64 // random numbers since the last event; guarded by the run's mutex
	// still is not nil while the process stands still, and is closed when it goes on. It is
	// guarded by the run's mutex.
	still   chan struct{}
	pending int // invalidations in its outbox; guarded by the run's mutex
	openErr error

	// Of the goroutine of the run.
	opened  bool
	dead    bool // it has crashed: nothing of it goes on
	gone    bool // dead, or closed
	closing bool // it is being closed, or was
	cutOff  bool // from the shared tier
	paused  time.Duration
	busy    int // operations of clients under way
}

// baked is an option of a definition, as generated code has it.
type baked struct{ option runtime.Option }

// Runtime implements gen.Option.
func (b baked) Runtime() runtime.Option { return b.option }

// opening keeps stores that are made at the same time from getting each other's numbers.
var opening sync.Mutex

// open opens a process on a machine, on a goroutine of its own.
func (r *run) open(machine int) *node {
	n := &node{run: r, id: len(r.nodes), machine: machine, memory: newL1(), ahead: r.plan.ahead[machine]}
	n.name = fmt.Sprint("n", machine)
	for _, other := range r.nodes {
		if other.machine == machine {
			n.name += "'"
		}
	}
	n.bus, n.numbers = &busConn{node: n}, &numbers{n}
	r.nodes = append(r.nodes, n)
	r.current[machine] = n
	go func() {
		err := n.openStore()
		r.mu.Lock()
		defer r.mu.Unlock()
		n.openErr = err
		r.opened = append(r.opened, n)
	}()
	return n
}

func (n *node) openStore() (err error) {
	p := n.run.plan
	options := []runtime.StoreOption{
		runtime.Logger(slog.New(slog.DiscardHandler)), runtime.Hooks(n.hooks()), runtime.MaxLoadTime(maxLoadTime),
		runtime.L2(n.run.connect(n)), runtime.Bus(n.bus),
	}
	if p.memory {
		options = append(options, runtime.L1(n.memory))
	}
	opening.Lock()
	restore := random.Replace(func(string) random.Source { return n.numbers.next })
	n.store, err = runtime.NewStore("simulation", options...)
	restore()
	opening.Unlock()
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	stores, err := runtime.NewStores(n.store)
	if err != nil {
		return fmt.Errorf("open the stores: %w", err)
	}
	d := &gen.Definition{
		Name: "rows", Namespace: "rows", Tags: func(key any) []runtime.Tag { return []runtime.Tag{rowTag(key.(int))} },
	}
	for _, o := range p.options() {
		d.Options = append(d.Options, baked{o})
	}
	if p.resultTags {
		d.ResultTags = func(value any) []runtime.Tag { return []runtime.Tag{group(value.(Value).Row)} }
	}
	n.cache, err = gen.Open[int, Value](stores, d)
	return err
}

// queued returns how many invalidations are pending.
func (n *node) queued() int {
	n.run.mu.Lock()
	defer n.run.mu.Unlock()
	return n.pending
}

// hooks tell how many invalidations are pending.
func (n *node) hooks() hooks.Hooks {
	return hooks.Hooks{Pending: func(e hooks.Pending) {
		n.run.mu.Lock()
		defer n.run.mu.Unlock()
		n.pending = e.Pending
	}}
}

// numbers are the random numbers of a store. They follow from the seed, the node and the last
// event, so that leaving out an event changes no number that is drawn later.
type numbers struct {
	of *node // nil when the run is over: then nothing of it is to be kept in memory by its source
}

// next is a random.Source.
func (s *numbers) next() uint64 {
	n := s.of
	if n == nil {
		return 1
	}
	n.run.mu.Lock()
	defer n.run.mu.Unlock()
	n.draws++
	return scramble(n.run.plan.seed, n.run.last, uint64(n.id)<<32|n.draws)
}

// scramble mixes numbers into one that looks random.
func scramble(numbers ...uint64) (x uint64) {
	for _, n := range numbers { // as splitmix64 does
		x += n + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return x
}

// running reports whether the process is there and does not stand still.
func (n *node) running() bool { return n.opened && !n.gone && n.still == nil }

// stop makes a process stand still.
func (r *run) stop(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.still = make(chan struct{})
	n.paused = r.now()
}

// goOn lets a process go on that stands still.
func (r *run) goOn(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(n.still)
	n.still = nil
	for _, c := range r.calls {
		if c.node == n {
			c.held = false
		}
	}
	for _, m := range r.messages { // they have waited for it
		if m.to == n {
			m.at = r.now()
		}
	}
}

// crash ends a process: it stands still for ever. What it has sent already may arrive.
func (r *run) crash(n *node) {
	r.mu.Lock()
	if n.still == nil {
		n.still = make(chan struct{})
	}
	r.mu.Unlock()
	n.dead = true
	r.leave(n)
}

// leave says that a process is gone.
func (r *run) leave(n *node) {
	n.gone = true
	r.dropAll(n)
	if r.current[n.machine] == n {
		r.current[n.machine] = nil
	}
}

// shut closes the store of a process when the run is over, and all that is left of it.
func (n *node) shut() {
	if n.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_ = n.store.Close(ctx) // what it has to say was asked for before
}

// An l1 is a drivers.L1: a map. The run evicts from it.
type l1 struct {
	mu    sync.Mutex
	items map[uint64]any
	order []uint64 // in which they were stored
}

var (
	_ drivers.L1     = (*l1)(nil)
	_ drivers.Ranger = (*l1)(nil)
)

func newL1() *l1 { return &l1{items: make(map[uint64]any)} }

// Get implements drivers.L1.
func (m *l1) Get(hash uint64) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[hash]
}

// Set implements drivers.L1.
func (m *l1) Set(hash uint64, item any, _ int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[hash]; !ok {
		m.order = append(m.order, hash)
	}
	m.items[hash] = item
	return nil
}

// Delete implements drivers.L1.
func (m *l1) Delete(hash uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(hash)
}

func (m *l1) remove(hash uint64) {
	if _, ok := m.items[hash]; !ok {
		return
	}
	delete(m.items, hash)
	for i, other := range m.order {
		if other == hash {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			return
		}
	}
}

// Clear implements drivers.L1.
func (m *l1) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.items)
	m.order = nil
}

// Len implements drivers.L1.
func (m *l1) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Close implements drivers.L1.
func (m *l1) Close() error { return nil }

// Range implements drivers.Ranger.
func (m *l1) Range(f func(item any) bool) {
	m.mu.Lock()
	var all []any
	for _, hash := range m.order {
		all = append(all, m.items[hash])
	}
	m.mu.Unlock()
	for _, item := range all {
		if !f(item) {
			return
		}
	}
}

// keys returns the keys of the entries, in the order in which they were stored.
func (m *l1) keys() (keys []string) {
	m.Range(func(item any) bool {
		if it, ok := item.(*entry.Item); ok {
			keys = append(keys, it.Key)
		}
		return true
	})
	return keys
}

// evict removes the entry of a key. It reports whether there was one.
func (m *l1) evict(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, item := range m.items {
		if it, ok := item.(*entry.Item); ok && it.Key == key {
			m.remove(hash)
			return true
		}
	}
	return false
}
