package flight

import (
	"context"
	"sync"
)

// A Crew is the flights that one load serves: one for each key that it brings.
// The load is cancelled when nobody waits for any of them; until then each may
// still be joined. The zero Crew is ready; it serves one load.
type Crew struct {
	mu         sync.Mutex // locked inside a shard's
	open       int        // flights that have not landed
	wanted     int        // those of them that somebody waits for, or that go on alone
	gone       bool       // given up: nobody wanted any
	background bool       // some go on although nobody waits
	cancel     context.CancelCauseFunc
}

// OnDesert says how to cancel the load when the last of those who wait for any of
// its flights leaves, which may have happened already. The function it returns
// takes that back.
func (c *Crew) OnDesert(cancel context.CancelCauseFunc) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		cancel(ErrDeserted)
	}
	c.cancel = cancel
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cancel = nil
	}
}

// Background reports whether the load goes on when nobody waits.
func (c *Crew) Background() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.background
}

// begin adds a flight that somebody wants.
func (c *Crew) begin(background bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.wanted++
	c.background = c.background || background
}

// want counts a flight that was not wanted; false if the load has been given up.
func (c *Crew) want() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	c.wanted++
	return true
}

// unwant takes back a want.
func (c *Crew) unwant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted--
	c.desert()
}

// land says that a flight is done with, and whether it was wanted.
func (c *Crew) land(wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if wanted {
		c.wanted--
	}
	c.desert()
}

// desert is called under mu.
func (c *Crew) desert() {
	if c.wanted > 0 || c.open == 0 || c.gone {
		return
	}
	c.gone = true
	if c.cancel != nil {
		c.cancel(ErrDeserted)
	}
}

// detach makes the load go on in the background if acquire, which is asked once,
// allows it.
func (c *Crew) detach(acquire func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.background && acquire() {
		c.background = true
	}
	return c.background
}
