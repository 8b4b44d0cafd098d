package runtime

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
	"github.com/cachegen/cachegen/runtime/internal/generation"
)

// peers is a store's ear and mouth on the bus. It tells other processes what this
// one has changed and drops from memory what they have.
//
// Messages get lost while a process cannot hear. So whenever it begins to hear
// again, everything in memory is dropped and every stamp read anew; and while it
// cannot, an item in memory is served for a bounded time only.
type peers struct {
	store     *Store
	origin    uint64
	deafSince atomic.Int64 // 0 while the bus is heard
	stop      func()

	mu    sync.Mutex
	heard chan struct{} // closed while the bus is heard
}

// join subscribes a store to its channel.
func (s *Store) join() error {
	p := &peers{store: s, origin: rand.Uint64(), heard: make(chan struct{})}
	p.deafSince.Store(now())
	s.peers = p // the bus may call p before Subscribe returns
	stop, err := s.bus.Subscribe(s.channel(), p)
	p.stop = stop
	return err
}

func (p *peers) leave() { p.stop() }

// channel is shared by all stores with one prefix, which share keys too.
func (s *Store) channel() string { return "cachegen:" + s.prefix + "!bus" }

// tell publishes a message, if there is a bus.
func (s *Store) tell(ctx context.Context, m busmsg.Message) error {
	if s.peers == nil {
		return nil
	}
	m.Origin = s.peers.origin
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	err := unpanicked(func() error { return s.bus.Publish(ctx, s.channel(), busmsg.Append(nil, &m)) })
	emit(s, s.hooks.Load().Published, BusEvent{s.name, m.Kind.String(), m.Names, err})
	return err
}

// trust returns until when a stamp learnt now is believed.
func (s *Store) trust() int64 {
	if s.l2 == nil {
		return math.MaxInt64
	}
	return deadline(now(), int64(s.stampTrust))
}

// deafUntil returns until when it may be served although changes by others may
// have been missed.
func (s *Store) deafUntil(it *item) int64 {
	if s.peers == nil {
		return math.MaxInt64
	}
	since := s.peers.deafSince.Load()
	if since == 0 {
		return math.MaxInt64
	}
	return deadline(max(since, it.kept), int64(s.stampTrust))
}

// Ready asks the shared tier whether it has all that it needs, if its driver can tell,
// and waits until the store hears its bus, or until ctx is done. A program need not
// wait: until then entries in memory are served for a short time only, and what was
// loaded before may have to be loaded again.
func (s *Store) Ready(ctx context.Context) error {
	if checker, ok := drivers.ReadyCheckerOf(s.l2); ok {
		if err := checker.Ready(ctx); err != nil {
			return fmt.Errorf("cachegen: store %s: shared tier: %w", s.name, err)
		}
	}
	if s.peers == nil {
		return nil
	}
	s.peers.mu.Lock()
	heard := s.peers.heard
	s.peers.mu.Unlock()
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cachegen: store %s does not hear its bus: %w", s.name, ctx.Err())
	}
}

// Up drops what may have been missed.
func (p *peers) Up() {
	s := p.store
	// What was read before must not be kept after. MoveAll waits for those who have
	// claimed their flight and are writing to memory: nobody does once it has ended.
	s.flights.PoisonAll()
	s.stripes.MoveAll()
	s.failures.forgetAll()
	if s.l2 != nil {
		s.stamps.Distrust()
	}
	if s.l1 != nil {
		s.l1.Clear()
	}
	p.deafSince.Store(0)
	s.retries.hurry()
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.heard:
	default:
		close(p.heard)
	}
}

// Down begins to count.
func (p *peers) Down(err error) {
	s := p.store
	if err != nil {
		s.warn("bus: lost", err)
	}
	p.deafSince.CompareAndSwap(0, now())
	p.mu.Lock()
	select {
	case <-p.heard:
		p.heard = make(chan struct{})
	default:
	}
	p.mu.Unlock()
	s.stamps.Touch() // every item is looked at anew, and finds its new limit
}

// Message takes over what another process has changed.
func (p *peers) Message(b []byte) {
	s := p.store
	m, err := busmsg.Parse(b)
	if err != nil {
		s.warn("bus: message is unreadable", err)
		return
	}
	if m.Origin == p.origin {
		return
	}
	emit(s, s.hooks.Load().Received, BusEvent{s.name, m.Kind.String(), m.Names, nil})
	if s.l2 != nil && (m.Kind == busmsg.Drop || m.Kind == busmsg.Expire) {
		s.outlast(m.Names) // what this process wrote too late
	}
	switch m.Kind {
	case busmsg.Drop:
		s.settle(m.Names, func(_ int, hash uint64, _ generation.Mark) { s.l1.Delete(hash) })
	case busmsg.Expire:
		s.settle(m.Names, func(i int, hash uint64, _ generation.Mark) { s.ageMemory(m.Names[i], hash) })
	case busmsg.DeleteStamp, busmsg.ExpireStamp:
		for _, name := range m.Names {
			s.stamps.Change(name, m.Kind == busmsg.ExpireStamp, s.l2 != nil)
		}
	}
}

// KeyPrefix is what the keys begin with that the store wants to hear of.
func (p *peers) KeyPrefix() string { return p.store.prefix }

// Changed takes over what anybody has changed in the shared tier: by hand, or this
// process itself, which the server does not tell apart.
func (p *peers) Changed(keys []string) {
	s := p.store
	var entries []string
	for _, key := range keys {
		name, ok := strings.CutPrefix(key, s.prefix)
		stamp, reserved := strings.CutPrefix(name, "!")
		switch {
		case !ok:
		case !reserved:
			entries = append(entries, key)
		case strings.HasPrefix(stamp, "d:"):
			s.stamps.Change(stamp[2:], false, s.l2 != nil)
		case strings.HasPrefix(stamp, "x:"):
			s.stamps.Change(stamp[2:], true, s.l2 != nil)
		}
	}
	if len(entries) > 0 {
		emit(s, s.hooks.Load().Received, BusEvent{s.name, "changed", entries, nil})
		s.settle(entries, func(_ int, hash uint64, _ generation.Mark) { s.l1.Delete(hash) })
	}
}
