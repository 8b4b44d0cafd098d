// Package clock tells the time cheaply to readers that can live with a reading
// that is a few milliseconds old.
package clock

import (
	"sync/atomic"
	"time"
)

const (
	// tick is how often a running clock looks at the real time.
	tick = 10 * time.Millisecond
	// Lag bounds how far Now may be behind: a tick, and as much again for a
	// goroutine that is scheduled late. A reader that must not be wrong takes a
	// deadline closer than this as a reason to ask for the exact time.
	Lag = 3 * tick
	// idle is how many ticks without a reader end the goroutine.
	idle = 100
)

// A Coarse clock is read by many goroutines. It runs a goroutine only while it
// is read, so that an idle program does not wake up. The zero Coarse is ready.
type Coarse struct {
	now     atomic.Int64 // nanoseconds since 1970; 0 while nothing updates it
	used    atomic.Bool  // read since the last tick
	running atomic.Bool
	stopped atomic.Bool
}

// Now returns the time in nanoseconds since 1970, at most about [Lag] old.
func (c *Coarse) Now() int64 {
	t := c.now.Load()
	if t == 0 {
		return c.start()
	}
	if !c.used.Load() {
		c.used.Store(true)
	}
	return t
}

func (c *Coarse) start() int64 {
	t := time.Now().UnixNano()
	if !c.stopped.Load() && c.running.CompareAndSwap(false, true) {
		c.now.Store(t)
		go c.run()
	}
	return t
}

func (c *Coarse) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for unused := 0; unused < idle && !c.stopped.Load(); {
		<-ticker.C
		c.now.Store(time.Now().UnixNano())
		if c.used.Swap(false) {
			unused = 0
		} else {
			unused++
		}
	}
	c.now.Store(0)
	c.running.Store(false)
}

// Stop ends the goroutine within a tick. Now stays usable and becomes exact.
func (c *Coarse) Stop() { c.stopped.Store(true) }
