// Package gate lets a closing store wait for the work that is under way.
//
// The gate's mutex guards its count. It is held for a few instructions only.
package gate

import "sync"

// A Gate counts work under way and is closed once: then no work begins, and the last
// one to leave lets a waiting Close go on. The zero Gate is open.
type Gate struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// Enter reports whether work may begin; if so, it ends with Leave.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

// EnterAgain counts work that begins inside other work. It may begin although the gate
// has been closed meanwhile, and ends with Leave.
func (g *Gate) EnterAgain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

// EnterUnlessDone is Enter for what other work leaves to be done: it may begin although the gate
// has been closed meanwhile, as long as any work is under way.
func (g *Gate) EnterUnlessDone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed && g.n == 0 {
		return false
	}
	g.n++
	return true
}

// Closed reports whether the gate has been closed.
func (g *Gate) Closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Leave ends work.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.closed {
		close(g.idle)
	}
}

// Close closes the gate. first is false if it was closed before. idle is closed when no
// work is under way.
func (g *Gate) Close() (first bool, idle <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false, g.idle
	}
	g.closed = true
	g.idle = make(chan struct{})
	if g.n == 0 {
		close(g.idle)
	}
	return true, g.idle
}

// Count returns how much work is under way.
func (g *Gate) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
