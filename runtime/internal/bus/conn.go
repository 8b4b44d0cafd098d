// Package bus connects a store with the stores of other processes: it publishes what
// this process has changed, and hands on what others have.
//
// Messages say what changed, never the new value: one that comes late or twice does no
// harm. One that is lost would: so each has a number, and a store that has said something says
// twice more how far it has come. The handler is told when a message was missed, and when the
// connection is back. And memory is served for a while after the last moment until which all is
// known to have arrived, and no longer, whatever the reason: see [Conn.TrustedUntil].
//
// A publication that fails would keep its caller waiting, and every caller after it while
// the server hangs. So a bus has a circuit breaker, which one failure opens: see
// [breaker.Breaker.AllowUrgent]. It closes when the bus takes a message, and the next
// message tries when the connection is back.
//
// The driver calls a Conn one call at a time. A mutex guards the channel that those who wait
// for a connection wait on, another what waits to be published, and another what is known of
// the others; of these, the last is locked inside the second. What memory asks is read without a
// lock. A store has one timer here, which fires about once an interval of heartbeats; goroutines
// run while something is published. The package knows nothing of entries, tiers or stamps, and
// calls its handler with no lock held.
package bus

import (
	"context"
	"errors"
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

// A Handler is told what happens on the bus, one call at a time, in order; but Missed may be
// called beside the others.
type Handler interface {
	// Connected says that messages of others arrive from now on. Some may have been
	// missed before. It is called before the time counts from now.
	Connected()
	// Disconnected says that messages may be lost from now on, or that they may have been for a
	// while: [Conn.TrustedUntil] may be earlier.
	Disconnected()
	// Missed says that something was said that this process has not heard or cannot read,
	// although messages arrive.
	Missed()
	// Received is what another process has changed.
	Received(Change)
	// Woken says that the leases of keys have ended in another process.
	Woken(keys []string)
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
	handler Handler
	leave   func()
	breaker breaker.Breaker
	sender  sender
	hearing hearing
	made    int64 // when the connection was made: its messages say how long after that they are sent

	ctx     context.Context // ends when the channel is left
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines; begun while ctx lasts

	watched atomic.Bool // the bus reports keys that change

	mu        sync.Mutex
	connected chan struct{} // closed while connected
}

// New returns a connection, not joined yet, to the channel of all stores with a prefix.
// They share keys, too. Each message is given timeout. origin tells stores apart. What memory
// has is served for trust after the last moment until which all is known to have arrived.
func New(b drivers.Bus, e *emit.Emitter, prefix string, origin uint64, timeout, trust time.Duration) *Conn {
	c := &Conn{bus: b, emit: e, prefix: prefix, origin: origin, timeout: timeout, made: clock.Now(), connected: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.hearing.start(trust, origin, c.made, c.beat)
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

// Leave leaves the channel: the handler is called no more, and what the connection itself has
// running has ended. The heartbeats that were to follow its last message go out first, for the
// case that this message is lost.
func (c *Conn) Leave() {
	if c == nil {
		return
	}
	for range c.hearing.owed() {
		if c.tell(nil) != nil {
			break
		}
	}
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.hearing.stop()
	c.leave()
	c.running.Wait()
}

// begin counts a goroutine in that is about to begin. It reports false when the channel was
// left: then it must not.
func (c *Conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.running.Add(1)
	return true
}

// TryNow makes the next message one that tries, whatever has failed before.
func (c *Conn) TryNow() {
	if c != nil {
		c.breaker.TryNow()
	}
}

func (c *Conn) channel() string { return "cachegen:" + c.prefix + "!bus" }

// TrustedUntil returns until when what was right at a time, as far as the shared tier or the
// source knew, may be served without asking: all that was said about it since has arrived, or
// has been missed for less than StampTrust.
func (c *Conn) TrustedUntil(at int64) int64 {
	if c == nil {
		return clock.Never
	}
	return clock.Add(max(at, c.hearing.heard.Load()), c.hearing.trust)
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
	t := clock.Now()
	c.breaker.TryNow()
	c.handler.Connected()
	c.hearing.connected(t)
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
func (l *listener) MaxSilence() time.Duration { return l.hearing.trust }

// DownSince implements drivers.LossListener.
func (l *listener) DownSince(heard time.Time, err error) {
	c := (*Conn)(l)
	if err != nil {
		c.emit.Warn("bus: disconnected", err)
	}
	c.hearing.lost(clock.Now() - int64(max(0, time.Since(heard))))
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
		c.missed(nil)
		return
	}
	own := m.Origin == c.origin
	sent := c.sentAt(&m)
	if err := c.hearing.arrives(&m, own, sent); err != nil {
		c.missed(err)
	}
	for _, change := range m.Changes {
		if !own {
			c.received(change)
		}
	}
	c.hearing.carriedOut(own, sent)
}

var (
	errMissed  = errors.New("a message of another process has not arrived")
	errSilence = errors.New("nothing has arrived for so long that messages may be lost")
	errSuspect = errors.New("another process has changed what it cannot name")
)

// missed makes up for what may have been missed: at once, or, if that has just been done, a
// little later once for all that is found out until then. It says why, if that is not nil.
func (c *Conn) missed(err error) {
	now, later := c.hearing.makeUp()
	switch {
	case now:
		if err != nil {
			c.emit.Warn("bus: messages may have been missed, what memory has is confirmed before it is served", err)
		}
		c.handler.Missed()
	case later > 0:
		time.AfterFunc(later, func() {
			if c.begin() {
				defer c.running.Done()
				c.missed(err)
			}
		})
	}
}

func (c *Conn) received(change Change) {
	if change.Kind == Filled {
		c.handler.Woken(change.Names)
		return
	}
	emit.Event(c.emit, c.emit.Hooks().Received, event.Message{Store: c.emit.Store, Kind: change.Kind.String(), Targets: change.Names})
	if change.Kind == Suspect {
		c.missed(errSuspect)
		return
	}
	c.handler.Received(change)
}

// beat sends a heartbeat if one is due. What becomes of it is heard, or not.
func (c *Conn) beat() {
	if !c.begin() {
		return
	}
	defer c.running.Done()
	if c.hearing.beat() {
		_ = c.tell(nil)
	}
	c.hearing.again()
}

// KeyPrefix implements drivers.KeyListener.
func (l *listener) KeyPrefix() string {
	l.watched.Store(true)
	return l.prefix
}

// Changed implements drivers.KeyListener.
func (l *listener) Changed(keys []string) { l.handler.Changed(keys) }
