package simulation

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// busLatency is how long a message takes, at most.
const busLatency = 4 * time.Millisecond

var errDisconnected = errors.New("the connection to the bus was lost")

// A bus delivers each message to every process that is connected, within busLatency and
// in the order in which they were published, at times twice.
type bus struct {
	history    *history.History
	duplicates int // in a thousand

	mu    sync.Mutex
	conns []*busConn // guarded by mu
}

// A busConn is one process's connection to the bus: its drivers.Bus. It can be cut off.
// Its listener learns that a while later, and until then misses messages unknowingly.
type busConn struct {
	bus     *bus
	process int
	rand    *lockedRand
	queue   chan delivery
	done    chan struct{} // closed when the process has left

	// Of the goroutine that delivers.
	listener  drivers.Listener
	connected bool // as the listener was told last

	mu      sync.Mutex
	cut     bool
	latest  time.Time      // when the last of the queue is due
	missing bool           // messages may be missed: until the listener is told that it is connected again
	since   history.Moment // when that began
}

// A delivery is a message, or that the connection is there or is lost.
type delivery struct {
	due     time.Time
	message []byte
	up      bool
	down    error
}

// connect returns the connection of one process, to which nobody listens yet.
func (b *bus) connect(process int, rand *lockedRand) *busConn {
	c := &busConn{bus: b, process: process, rand: rand, queue: make(chan delivery, 10_000), done: make(chan struct{}), missing: true}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns = append(b.conns, c)
	return c
}

// Subscribe implements drivers.Bus.
func (c *busConn) Subscribe(_ string, l drivers.Listener) (func(), error) {
	c.listener = l
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case d := <-c.queue:
				if !c.deliver(d) {
					return
				}
			case <-c.done:
				return
			}
		}
	}()
	c.enqueue(delivery{up: true}, 0)
	return func() { close(c.done); <-stopped }, nil
}

// deliver calls the listener when d is due. It returns false if the process has left.
func (c *busConn) deliver(d delivery) bool {
	timer := time.NewTimer(time.Until(d.due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
		return false
	}
	switch cut := c.isCut(); {
	case d.up && !cut:
		c.connected = true
		c.listener.Up()
		c.reconnected()
	case d.down != nil && c.connected:
		c.connected = false
		c.listener.Down(d.down)
	case d.message != nil && !cut:
		c.listener.Message(d.message)
	}
	return true
}

// reconnected records that from now on no message is missed.
func (c *busConn) reconnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bus.history.Reconnected(c.process, c.since)
	c.missing = false
}

// enqueue makes d due after a time, or as soon as what is in the queue before it.
func (c *busConn) enqueue(d delivery, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.due = time.Now().Add(after)
	if d.due.Before(c.latest) {
		d.due = c.latest
	}
	c.latest = d.due
	c.queue <- d
}

func (c *busConn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// Publish implements drivers.Bus.
func (c *busConn) Publish(ctx context.Context, _ string, message []byte) error {
	if c.isCut() {
		return errDisconnected
	}
	c.bus.mu.Lock()
	conns := slices.Clone(c.bus.conns)
	c.bus.mu.Unlock()
	for _, to := range conns {
		if to.isCut() {
			continue
		}
		to.enqueue(delivery{message: message}, c.rand.upTo(busLatency))
		if c.rand.happens(c.bus.duplicates) {
			to.enqueue(delivery{message: message}, c.rand.upTo(busLatency))
		}
	}
	return ctx.Err()
}

// setCut cuts a process off, or connects it again. Its listener is told within busLatency.
func (c *busConn) setCut(cut bool) {
	now := c.bus.history.Tick()
	c.mu.Lock()
	changed := c.cut != cut
	c.cut = cut
	if changed && cut && !c.missing {
		c.missing, c.since = true, now
	}
	c.mu.Unlock()
	switch {
	case !changed:
	case cut:
		c.enqueue(delivery{down: errDisconnected}, c.rand.upTo(busLatency))
	default:
		c.enqueue(delivery{up: true}, c.rand.upTo(busLatency))
	}
}

// Close implements drivers.Bus.
func (c *busConn) Close() error { return nil }
