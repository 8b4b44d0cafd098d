// Package bus connects a store with the stores of other processes: it publishes what
// this process has changed, and hands on what others have.
//
// Messages say what changed, never the new value: one that comes late or twice does no
// harm. Messages get lost while a process is disconnected. So the handler is told when
// the connection is back, and [Conn.DisconnectedSince] says since when it is gone.
//
// A publication that fails would keep its caller waiting, and every caller after it while
// the server hangs. So a bus has a circuit breaker, which one failure opens: see
// [breaker.Breaker.AllowUrgent]. It closes when the bus takes a message, and the next
// message tries when the connection is back.
//
// The driver calls a Conn one call at a time. The connection state is read without a
// lock; the mutex guards the channel that those who wait for a connection wait on. The
// package knows nothing of entries, tiers or stamps, and calls its handler with no lock
// held.
package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

// A Handler is told what happens on the bus, one call at a time, in order.
type Handler interface {
	// Connected says that messages of others arrive from now on. Some may have been
	// missed before. It is called before DisconnectedSince says so.
	Connected()
	// Disconnected says that messages may be lost from now on.
	Disconnected()
	// Received is a message of another process.
	Received(Message)
	// Changed names keys of the shared tier that somebody has changed, this process
	// included, on a bus that watches the tier itself.
	Changed(keys []string)
}

// A Conn is a store's connection to its bus. A nil Conn is that of a store without one:
// it publishes to nobody and is never disconnected.
type Conn struct {
	bus     drivers.Bus
	emit    *emit.Emitter
	prefix  string
	origin  uint64
	timeout time.Duration
	silence time.Duration
	handler Handler
	leave   func()
	breaker breaker.Breaker

	watched      atomic.Bool  // the bus reports keys that change
	disconnected atomic.Int64 // since when; 0 while connected

	mu        sync.Mutex
	connected chan struct{} // closed while connected
}

// New returns a connection, not joined yet, to the channel of all stores with a prefix.
// They share keys, too. Each message is given timeout. origin tells stores apart. A bus that
// can tell reports within silence that nothing arrives any more.
func New(b drivers.Bus, e *emit.Emitter, prefix string, origin uint64, timeout, silence time.Duration) *Conn {
	c := &Conn{bus: b, emit: e, prefix: prefix, origin: origin, timeout: timeout, silence: silence, connected: make(chan struct{})}
	c.disconnected.Store(clock.Now())
	c.breaker.Failures, c.breaker.Limit = 1, budget.ForBus(timeout) // what a write has that the tier keeps waiting
	c.breaker.PauseFor(pause)
	return c
}

// pause is how long nothing is published after a publication that took all its time.
const pause = 5 * time.Second

// errNotTaken is why a message is not published: the one before has failed.
var errNotTaken = errors.New("the bus did not take the last message")

// OnTaken makes the connection call f when the bus takes messages again. It is called
// before Join.
func (c *Conn) OnTaken(f func()) {
	if c == nil {
		return
	}
	c.breaker.Changed = func(state breaker.State, _ error) {
		if state == breaker.Closed {
			f()
		}
	}
}

// Join subscribes to the channel and hands what arrives to h.
func (c *Conn) Join(h Handler) error {
	c.handler = h // the bus may call before Subscribe returns
	return guard.Call(func() (err error) {
		c.leave, err = c.bus.Subscribe(c.channel(), (*listener)(c))
		return err
	})
}

// Leave leaves the channel: the handler is called no more.
func (c *Conn) Leave() {
	if c != nil {
		c.leave()
	}
}

// TryNow makes the next message one that tries, whatever has failed before.
func (c *Conn) TryNow() {
	if c != nil {
		c.breaker.TryNow()
	}
}

func (c *Conn) channel() string { return "cachegen:" + c.prefix + "!bus" }

// Publish tells the other processes that names have changed, in as many messages as the bus
// needs for them, within the time that is left of a write. It returns those that the others have not been told of, with the error. After
// a failure it may fail without trying.
func (c *Conn) Publish(ctx context.Context, kind Kind, names []string) (open []string, err error) {
	if c == nil {
		return nil, nil
	}
	limit := maxMessage
	if l, ok := drivers.MessageLimiterOf(c.bus); ok {
		limit = min(limit, l.MaxMessage())
	}
	for open = names; len(open) > 0; {
		n := fit(open, limit)
		if err := c.publish(ctx, kind, open[:n]); err != nil {
			return open, err
		}
		open = open[n:]
	}
	return nil, nil
}

// publish publishes one message.
func (c *Conn) publish(ctx context.Context, kind Kind, names []string) error {
	limit := min(c.timeout, budget.Left(ctx))
	if limit <= 0 {
		return fmt.Errorf("publish to the bus: %w", budget.ErrSpent)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticket, ok := c.breaker.AllowUrgent(ctx)
	if !ok {
		_, cause := c.breaker.Cause()
		return fmt.Errorf("publish to the bus: %w: %v", errNotTaken, cause)
	}
	m := Message{Origin: c.origin, Kind: kind, Names: names}
	err := c.try(ctx, Append(nil, &m))
	c.breaker.Report(ticket, outcome(err), err)
	if err != nil {
		err = fmt.Errorf("publish to the bus: %w", err)
	}
	emit.Event(c.emit, c.emit.Hooks().Published, event.Message{Store: c.emit.Store, Kind: kind.String(), Targets: names, Err: err})
	return err
}

// try publishes a message. A connection that was cut is tried once more: a message that
// arrives twice does no harm.
func (c *Conn) try(ctx context.Context, message []byte) error {
	began := time.Now()
	publish := func() error { return c.bus.Publish(ctx, c.channel(), message) }
	err := guard.Call(publish)
	if err != nil && ctx.Err() == nil && outcome(err) == breaker.Failure && !errors.Is(err, drivers.ErrClosed) && !errors.Is(err, guard.ErrPanic) && time.Since(began) < c.timeout/2 {
		err = guard.Call(publish)
	}
	return err
}

func outcome(err error) breaker.Outcome {
	switch {
	case err == nil:
		return breaker.Success
	case errors.Is(err, drivers.ErrRefused), errors.Is(err, drivers.ErrAnswered): // it costs no time
		return breaker.Unknown
	}
	return breaker.Failure
}

// DisconnectedSince returns since when messages of others may be lost; 0 while they
// arrive.
func (c *Conn) DisconnectedSince() int64 {
	if c == nil {
		return 0
	}
	return c.disconnected.Load()
}

// Watched reports whether the bus reports keys of the shared tier that change.
func (c *Conn) Watched() bool { return c != nil && c.watched.Load() }

// WaitConnected waits until messages of others arrive, or until ctx is done.
func (c *Conn) WaitConnected(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	connected := c.connected
	c.mu.Unlock()
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A listener is what the driver calls. Its methods are no methods of a Conn, so that
// nobody else can call them.
type listener Conn

// Up implements drivers.Listener.
func (l *listener) Up() {
	c := (*Conn)(l)
	c.breaker.TryNow()
	c.handler.Connected()
	c.disconnected.Store(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.connected:
	default:
		close(c.connected)
	}
}

// Down implements drivers.Listener.
func (l *listener) Down(err error) { l.DownSince(time.Now(), err) }

// MaxSilence implements drivers.LossListener.
func (l *listener) MaxSilence() time.Duration { return l.silence }

// DownSince implements drivers.LossListener.
func (l *listener) DownSince(heard time.Time, err error) {
	c := (*Conn)(l)
	if err != nil {
		c.emit.Warn("bus: disconnected", err)
	}
	c.disconnected.CompareAndSwap(0, clock.Now()-int64(max(0, time.Since(heard))))
	c.mu.Lock()
	select {
	case <-c.connected:
		c.connected = make(chan struct{})
	default:
	}
	c.mu.Unlock()
	c.handler.Disconnected()
}

// Message implements drivers.Listener.
func (l *listener) Message(b []byte) {
	c := (*Conn)(l)
	m, err := Parse(b)
	if err != nil {
		c.emit.Warn("bus: message cannot be read", err)
		return
	}
	if m.Origin == c.origin {
		return
	}
	emit.Event(c.emit, c.emit.Hooks().Received, event.Message{Store: c.emit.Store, Kind: m.Kind.String(), Targets: m.Names})
	c.handler.Received(m)
}

// KeyPrefix implements drivers.KeyListener.
func (l *listener) KeyPrefix() string {
	l.watched.Store(true)
	return l.prefix
}

// Changed implements drivers.KeyListener.
func (l *listener) Changed(keys []string) { l.handler.Changed(keys) }
