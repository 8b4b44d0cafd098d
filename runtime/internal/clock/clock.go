// Package clock tells the time: as this process counts it ([Now]), as the machine's clock
// shows it ([Wall]), and cheaply to readers that can live with a reading that is a few
// milliseconds old ([Coarse]).
//
// What is measured inside the process, also until when memory keeps something, is measured by
// Now, which nobody can set back. Wall is for what other machines read.
package clock

import (
	"sync"
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
	now  atomic.Int64 // of [Now]; 0 while nothing updates it
	used atomic.Bool  // read since the last tick

	mu      sync.Mutex
	stop    chan struct{} // of the running goroutine; nil if there is none
	done    chan struct{}
	stopped bool
}

// Last returns the time of the last tick, in nanoseconds since 1970, at most about [Lag]
// old. It returns [Never] if the clock does not run, or if nobody has called Now since
// that tick: then the caller does. It is small enough to be inlined.
func (c *Coarse) Last() int64 {
	t := c.now.Load()
	if t == 0 || !c.used.Load() {
		return Never
	}
	return t
}

// Now returns the time in nanoseconds since 1970, at most about [Lag] old, and keeps the
// clock running.
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
	c.mu.Lock()
	defer c.mu.Unlock()
	t := Now()
	if c.stop == nil && !c.stopped {
		c.stop, c.done = make(chan struct{}), make(chan struct{})
		c.now.Store(t)
		c.used.Store(true)
		go c.run(c.stop, c.done)
	}
	return t
}

func (c *Coarse) run(stop, done chan struct{}) {
	defer close(done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for unused := 0; unused < idle; {
		select {
		case <-ticker.C:
		case <-stop:
			unused = idle
			continue
		}
		c.now.Store(Now())
		if c.used.Swap(false) {
			unused = 0
		} else {
			unused++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Store(0)
	c.used.Store(false)
	c.stop = nil
}

// Stop ends the goroutine and waits for it. Now stays usable and becomes exact.
func (c *Coarse) Stop() {
	c.mu.Lock()
	c.stopped = true
	stop, done := c.stop, c.done
	c.mu.Unlock()
	if stop != nil {
		close(stop)
		<-done
	}
}
