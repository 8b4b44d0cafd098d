package runtime

import (
	"sync"
	"sync/atomic"
)

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

// onceEach lets one caller at a time try something for a key.
type onceEach struct {
	mu    sync.Mutex
	tries map[string]*try
}

// A try says, when it is done, whether it got what it tried for.
type try struct {
	done  chan struct{}
	grabs atomic.Int64 // how often it has reached for that
	taken bool         // by its last grab; to be read once done is closed
}

// begin lets the caller try, if end is not nil; otherwise it returns the try that
// is under way.
func (o *onceEach) begin(key string) (t *try, end func(taken bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if other := o.tries[key]; other != nil {
		return other, nil
	}
	if o.tries == nil {
		o.tries = make(map[string]*try)
	}
	own := &try{done: make(chan struct{})}
	o.tries[key] = own
	return own, func(taken bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.tries, key)
		own.taken = taken
		close(own.done)
	}
}
