package runtime

import "sync"

// A gate counts work under way and is closed once: then no work begins, and the
// last one to leave opens the way to a waiting Close.
type gate struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// enter reports whether work may begin; if so, it ends with leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

// again counts work that begins inside other work, which may finish although the
// gate has been closed meanwhile.
func (g *gate) again() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.closed {
		close(g.idle)
	}
}

func (g *gate) close() (first bool, idle <-chan struct{}) {
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

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// onceEach lets one caller at a time do something for a key; those who come
// meanwhile learn that they were not the one.
type onceEach struct {
	mu   sync.Mutex
	keys map[string]chan struct{}
}

// begin makes the caller the one for key, or returns a channel that is closed
// when the one is done.
func (o *onceEach) begin(key string) (wait <-chan struct{}, end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if done := o.keys[key]; done != nil {
		return done, nil
	}
	if o.keys == nil {
		o.keys = make(map[string]chan struct{})
	}
	done := make(chan struct{})
	o.keys[key] = done
	return nil, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.keys, key)
		close(done)
	}
}
