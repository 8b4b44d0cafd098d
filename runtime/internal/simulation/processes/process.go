package processes

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// A Process is a store with a cache of the rows of the database. When it is gone, another one
// takes its machine.
type Process struct {
	record.Process
	steps.Party
	Machine int
	Memory  *Memory
	Bus     *BusConn

	world      *World
	store      *runtime.Store
	cache      *runtime.Cache[int, servers.Value]
	tier       *tierConn
	ahead      time.Duration // of its clock, before that of the others
	numbers    *numbers
	pending    int    // invalidations in its outbox; guarded by the world's mutex
	counter    []byte // the last one that it knows to be in the tier; nil if there is none
	counterKey string // both are guarded by the world's mutex, too

	// Of the goroutine of the simulation.
	Opened  bool
	OpenErr error
	Gone    bool // dead, or closed
	Closing bool // it is being closed, or was
	CutOff  bool // from the shared tier
	Busy    int  // operations of clients under way
}

// baked is an option of a definition, as generated code has it.
type baked struct{ option runtime.Option }

// Runtime implements gen.Option.
func (b baked) Runtime() runtime.Option { return b.option }

// Open opens a process on a machine whose clock is ahead of the others', on a goroutine of its
// own. Its name is that of the machine, with a mark for each process that was there before.
func (w *World) Open(machine int, ahead time.Duration) *Process {
	name := fmt.Sprint("n", machine)
	for _, other := range w.Processes {
		if other.Machine == machine {
			name += "'"
		}
	}
	p := &Process{
		Process: record.Process{Name: name}, Party: w.NewParty(len(w.Processes), name),
		Machine: machine, Memory: newMemory(), world: w, ahead: ahead,
	}
	p.Bus, p.numbers = &BusConn{process: p}, &numbers{of: p, drawn: make(map[string]uint64)}
	w.Processes = append(w.Processes, p)
	go func() {
		err := p.open()
		w.mu.Lock()
		defer w.mu.Unlock()
		p.OpenErr = err
		w.opened = append(w.opened, p)
	}()
	return p
}

// Name returns the name of the process.
func (p *Process) Name() string { return p.Process.Name }

func (p *Process) open() (err error) {
	w := p.world
	options := []runtime.StoreOption{
		runtime.Logger(slog.New(slog.DiscardHandler)), runtime.Hooks(p.hooks()), runtime.MaxLoadTime(MaxLoadTime),
		runtime.L2(p.connect()), runtime.Bus(p.Bus),
	}
	if w.HasOutbox {
		options = append(options, runtime.Outbox(&outboxConn{p}))
	}
	if w.Config.Memory {
		options = append(options, runtime.L1(p.Memory))
	}
	if p.store, err = p.newStore(options); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	stores, err := runtime.NewStores(p.store)
	if err != nil {
		return fmt.Errorf("open the stores: %w", err)
	}
	d := &gen.Definition{
		Name: rows.Name, Namespace: rows.Namespace[0],
		Tags: func(key any) []runtime.Tag { return []runtime.Tag{rowTag(key.(int))} },
		Options: []gen.Option{
			baked{runtime.TTL(w.TTL)}, baked{runtime.Grace(w.Grace)}, baked{runtime.GraceBackoff(time.Second)}, baked{runtime.LockTimeout(LockTimeout)},
		},
	}
	if w.ResultTags {
		d.ResultTags = func(value any) []runtime.Tag { return []runtime.Tag{groupTag(value.(servers.Value).Row)} }
	}
	p.cache, err = gen.Open[int, servers.Value](stores, d)
	return err
}

// opening keeps stores that are made at the same time from getting each other's numbers.
var opening sync.Mutex

// newStore makes a store, which asks for its source of random numbers once.
func (p *Process) newStore(options []runtime.StoreOption) (*runtime.Store, error) {
	opening.Lock()
	defer opening.Unlock()
	defer random.Replace(func(string) random.Source { return p.numbers.next })()
	return runtime.NewStore("simulation", options...)
}

// hooks tell how many invalidations are pending.
func (p *Process) hooks() event.Hooks {
	return event.Hooks{Pending: func(e event.Pending) {
		p.world.mu.Lock()
		defer p.world.mu.Unlock()
		p.pending = e.Pending
	}}
}

// Pending returns how many invalidations are pending.
func (p *Process) Pending() int {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.pending
}

// numbers are the random numbers of a store. They follow from the seed, the process and the last
// event, so that leaving out an event changes no number that is drawn later, and from what they
// are for: goroutines that draw at the same time do so in any order.
type numbers struct {
	of    *Process          // nil when the run is over: nothing of it is to be kept in memory by its source
	drawn map[string]uint64 // how many since the last event, by what they are for; guarded by the world's mutex
}

// next is a random.Source.
func (n *numbers) next(what string) uint64 {
	p := n.of
	if p == nil {
		return 1
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	n.drawn[what]++
	return scramble(p.world.Seed, p.world.last, hashOf(what), uint64(p.ID)<<32|n.drawn[what])
}

// hashOf returns a number for a text, the same in each run.
func hashOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// scramble mixes numbers into one that looks random, as splitmix64 does.
func scramble(numbers ...uint64) (x uint64) {
	for _, n := range numbers {
		x += n + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return x
}

// Running reports whether the process is there and does not stand still.
func (p *Process) Running() bool { return p.Opened && !p.Gone && !p.StandsStill() }

// GoOn lets a process go on that stands still. Messages to it have waited.
func (p *Process) GoOn() {
	p.Party.GoOn()
	for _, m := range p.world.Messages {
		if m.To == p {
			m.At = p.world.Now()
		}
	}
}

// Crash ends a process. What it has sent already may arrive.
func (p *Process) Crash() {
	p.Die()
	p.Dead = true
	p.leave()
}

// leave says that the process is gone.
func (p *Process) leave() {
	p.Gone = true
	p.world.dropAll(p)
}

// Shut closes what is left of a process when the run is over.
func (p *Process) Shut() {
	if p.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_ = p.store.Close(ctx) // what it has to say was asked for before
}

// Forget lets the memory of a run be collected that is over.
func (p *Process) Forget() { p.numbers.of = nil }
