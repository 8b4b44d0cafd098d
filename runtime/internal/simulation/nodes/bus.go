package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

var errDisconnected = errors.New("simulation: the connection was lost")

// A busConn is a process's connection to the bus. What it publishes waits at the gate. What
// arrives is delivered by events of the run, on a goroutine of its own.
type busConn struct {
	node     *node
	listener drivers.Listener
	calls    chan delivery // of the listener, one at a time
	left     chan struct{}
	idle     bool // the listener has returned; guarded by the run's mutex

	// Of the goroutine of the run.
	up     bool          // as the listener was told last
	cut    bool          // nothing arrives, and nothing can be published
	deaf   bool          // nothing arrives, and the driver does not notice
	lostAt time.Duration // since when it is cut, if the listener was not told yet

	numbers map[uint64]uint64 // for [NoGaps]: of the last message, by origin
}

var _ drivers.Bus = (*busConn)(nil)

// A message is one that the server of the bus has accepted, on its way to one process.
type message struct {
	id    int
	to    *node
	from  *node
	ops   []*op // of clients, of which it tells
	data  []byte
	at    time.Duration // when it was accepted
	again bool          // it has arrived already
	label string
}

// A delivery is a call of the listener.
type delivery struct {
	call func(drivers.Listener)
	m    *message // the message that it delivers, if it is one
}

// Subscribe implements drivers.Bus.
func (b *busConn) Subscribe(_ string, l drivers.Listener) (func(), error) {
	b.calls = make(chan delivery, 1)
	b.left = make(chan struct{})
	b.node.run.mu.Lock()
	b.listener, b.idle = l, true
	b.node.run.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case d := <-b.calls:
				d.call(l)
				b.node.run.mu.Lock()
				b.idle = true
				if d.m != nil {
					b.node.run.rang = append(b.node.run.rang, ring{b.node, d.m})
				}
				b.node.run.mu.Unlock()
			case <-b.left:
				return
			}
		}
	}()
	return func() { close(b.left); <-stopped }, nil
}

// ready reports whether the listener can be called.
func (b *busConn) ready() bool {
	b.node.run.mu.Lock()
	defer b.node.run.mu.Unlock()
	return b.listener != nil && b.idle
}

// tell calls the listener, with a message if it delivers one.
func (b *busConn) tell(call func(drivers.Listener), m *message) {
	b.node.run.mu.Lock()
	b.idle = false
	b.node.run.mu.Unlock()
	b.calls <- delivery{call, m}
}

// Publish implements drivers.Bus.
func (b *busConn) Publish(ctx context.Context, _ string, data []byte) error {
	r := b.node.run
	c := &call{node: b.node, at: atBus, name: "publish " + describeMessage(data)}
	c.effect = func(int, int) error {
		r.accept(b.node, data)
		return nil
	}
	return r.pass(ctx, c)
}

// accept sends a message to every process that the server can reach.
func (r *run) accept(from *node, data []byte) {
	r.accepted++
	var ops []*op
	for _, o := range r.ops {
		if o.node == from && o.kind.changes() && o.ended.step == never && tells(data, o) {
			ops = append(ops, o)
		}
	}
	for _, n := range r.nodes {
		if n.gone || n.bus == nil {
			continue
		}
		m := &message{id: r.accepted, to: n, from: from, ops: ops, data: data, at: r.now()}
		for _, o := range ops {
			o.told[n] = append(o.told[n], telling{id: m.id})
		}
		if !n.bus.up || n.bus.cut || n.bus.deaf {
			continue
		}
		m.label = fmt.Sprintf("message to %s: %s from %s", n.name, describeMessage(data), from.name)
		r.named[m.label]++
		if k := r.named[m.label]; k > 1 {
			m.label += fmt.Sprintf(" #%d", k)
		}
		r.messages = append(r.messages, m)
	}
}

// deliver delivers a message. It stays on its way if it is to arrive once more.
func (r *run) deliver(m *message, stays bool) {
	data := m.data
	if r.mutation == NoGaps {
		data = m.to.bus.renumber(data)
	}
	if !stays {
		r.drop(m)
	}
	m.again = stays
	m.to.bus.tell(func(l drivers.Listener) { l.Message(data) }, m)
}

// taken notes that a process knows what a message says.
func (r *run) taken(ring ring) {
	for _, o := range ring.m.ops {
		for i := range o.told[ring.to] {
			if t := &o.told[ring.to][i]; t.id == ring.m.id && !t.heard {
				t.heard, t.step = true, r.step
			}
		}
	}
}

// drop removes a message that is on its way.
func (r *run) drop(m *message) {
	r.messages = slices.DeleteFunc(r.messages, func(other *message) bool { return other == m })
}

// dropAll removes the messages on their way to a process.
func (r *run) dropAll(n *node) {
	r.messages = slices.DeleteFunc(r.messages, func(m *message) bool { return m.to == n })
}

// comeUp connects a process with the bus.
func (r *run) comeUp(n *node) {
	b := n.bus
	b.cut, b.up = false, true
	b.tell(drivers.Listener.Up, nil)
}

// cutOff loses the connection of a process, which its driver notices a while later.
func (r *run) cutOff(n *node) {
	n.bus.cut, n.bus.lostAt = true, r.now()
	r.dropAll(n)
}

// notice tells the listener of a process that the connection was lost.
func (r *run) notice(n *node) {
	b := n.bus
	b.up = false
	heard := r.began.Add(b.lostAt)
	b.tell(func(l drivers.Listener) {
		if loss, ok := drivers.LossListenerOf(l); ok {
			loss.DownSince(heard, errDisconnected)
		} else {
			l.Down(errDisconnected)
		}
	}, nil)
}

// mustNotice returns when the driver has to have noticed that the connection is lost.
func (b *busConn) mustNotice() time.Duration {
	if loss, ok := drivers.LossListenerOf(b.listener); ok {
		return b.lostAt + loss.MaxSilence()
	}
	return b.lostAt
}

// Close implements drivers.Bus.
func (b *busConn) Close() error { return nil }
