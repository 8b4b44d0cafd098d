package processes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// ErrDisconnected says that a connection was lost.
var ErrDisconnected = errors.New("simulation: the connection was lost")

// A BusConn is a process's connection to the bus. What it publishes waits at the gate. What
// arrives is delivered by the simulation, on a goroutine of the connection.
type BusConn struct {
	process *Process
	calls   chan delivery // of the listener, one at a time
	left    chan struct{} // closed when the process has left the channel
	// listener is nil until the process has subscribed. idle says that it has returned. Both
	// are guarded by the world's mutex.
	listener drivers.Listener
	idle     bool

	// Of the goroutine of the simulation.
	Up      bool          // as the listener was told last
	Cut     bool          // nothing arrives, and nothing can be published
	Deaf    bool          // nothing arrives, and the driver does not notice
	lostAt  time.Duration // since when it is cut, if the listener was not told yet
	numbers servers.Numbers
}

var _ drivers.Bus = (*BusConn)(nil)

// A Message is one that the server of the bus has accepted, on its way to one process.
type Message struct {
	To    *Process
	At    time.Duration // when it was accepted
	Again bool          // it has arrived already
	Label string
	id    int
	data  []byte
	ops   []*record.Op // of clients, of which it tells
}

// A delivery is a call of the listener.
type delivery struct {
	call    func(drivers.Listener)
	message *Message // that it delivers, if it does
}

// Subscribe implements drivers.Bus.
func (b *BusConn) Subscribe(_ string, l drivers.Listener) (func(), error) {
	w := b.process.world
	b.calls, b.left = make(chan delivery, 1), make(chan struct{})
	w.mu.Lock()
	b.listener, b.idle = l, true
	w.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case d := <-b.calls:
				d.call(l)
				w.mu.Lock()
				b.idle = true
				if d.message != nil {
					w.heard = append(w.heard, d)
				}
				w.mu.Unlock()
			case <-b.left:
				return
			}
		}
	}()
	return func() { close(b.left); <-stopped }, nil
}

// Ready reports whether the listener can be called.
func (b *BusConn) Ready() bool {
	b.process.world.mu.Lock()
	defer b.process.world.mu.Unlock()
	return b.listener != nil && b.idle
}

// tell calls the listener.
func (b *BusConn) tell(d delivery) {
	b.process.world.mu.Lock()
	b.idle = false
	b.process.world.mu.Unlock()
	b.calls <- d
}

// Publish implements drivers.Bus.
func (b *BusConn) Publish(ctx context.Context, _ string, data []byte) error {
	p := b.process
	c := &steps.Call{Party: &p.Party, At: steps.Bus, Name: "publish " + servers.DescribeMessage(data)}
	c.Effect = func(int, int) error {
		p.world.accept(p, data)
		return nil
	}
	return p.world.Pass(ctx, c)
}

// accept sends a message to every process that the server reaches. The others do not hear it.
func (w *World) accept(from *Process, data []byte) {
	w.accepted++
	var ops []*record.Op
	for _, o := range w.Record.Ops {
		if o.Process == &from.Process && o.Kind.Changes() && o.Ended == record.NotYet && servers.MessageSays(data, namesOf(o)) {
			ops = append(ops, o)
		}
	}
	for _, p := range w.Processes {
		if p.Gone {
			continue
		}
		for _, o := range ops {
			o.Told[&p.Process] = append(o.Told[&p.Process], record.Telling{ID: w.accepted})
		}
		if b := p.Bus; !b.Up || b.Cut || b.Deaf {
			continue
		}
		label := fmt.Sprintf("message to %s: %s from %s", p.Name(), servers.DescribeMessage(data), from.Name())
		w.Messages = append(w.Messages, &Message{To: p, At: w.Now(), Label: w.Number(label), id: w.accepted, data: data, ops: ops})
	}
}

// Deliver delivers a message. It stays on its way if it is to arrive once more.
func (w *World) Deliver(m *Message, stays bool) {
	b, data := m.To.Bus, m.data
	if w.Mutation == NoGaps {
		data = b.numbers.Renumber(data)
	}
	if m.Again = stays; !stays {
		w.Drop(m)
	}
	b.tell(delivery{func(l drivers.Listener) { l.Message(data) }, m})
}

// Matters reports whether a message says that something has changed, and whether its receiver has
// that in memory.
func (m *Message) Matters() (changed, held bool) {
	for _, key := range m.To.Memory.Keys() {
		held = held || servers.MessageSays(m.data, []string{key})
	}
	return len(m.ops) > 0, held
}

// Drop removes a message that is on its way.
func (w *World) Drop(m *Message) {
	w.Messages = slices.DeleteFunc(w.Messages, func(other *Message) bool { return other == m })
}

func (w *World) dropAll(p *Process) {
	w.Messages = slices.DeleteFunc(w.Messages, func(m *Message) bool { return m.To == p })
}

// ComeUp connects the process.
func (b *BusConn) ComeUp() {
	b.Cut, b.Up = false, true
	b.tell(delivery{call: drivers.Listener.Up})
}

// Lose loses the connection, which the driver notices a while later.
func (b *BusConn) Lose() {
	b.Cut, b.lostAt = true, b.process.world.Now()
	b.process.world.dropAll(b.process)
}

// Notice tells the listener that the connection was lost.
func (b *BusConn) Notice() {
	b.Up = false
	heard := b.process.world.At(b.lostAt)
	b.tell(delivery{call: func(l drivers.Listener) {
		if loss, ok := drivers.LossListenerOf(l); ok {
			loss.DownSince(heard, ErrDisconnected)
		} else {
			l.Down(ErrDisconnected)
		}
	}})
}

// MustNotice returns when the driver has to have noticed that the connection is lost.
func (b *BusConn) MustNotice() time.Duration {
	if loss, ok := drivers.LossListenerOf(b.listener); ok {
		return b.lostAt + loss.MaxSilence()
	}
	return b.lostAt
}

// Deafen lets nothing arrive any more, although the connection is there.
func (b *BusConn) Deafen() {
	b.Deaf = true
	b.process.world.dropAll(b.process)
}

// Close implements drivers.Bus.
func (b *BusConn) Close() error { return nil }
