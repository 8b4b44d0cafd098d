// Package background runs what no caller waits for: a bounded number of loads at a time,
// shared among the functions whose loads they are, which end before the store is closed.
//
// One function must not take the places of all, because its source hangs. So a function that
// holds a place takes another one only if it then holds no more than remain free: alone it has
// half of the places, two have at least a quarter each to themselves, and whoever comes next
// finds free ones. And a load that has exceeded its time limit gives its place back, although
// it may not have returned. It is left behind, as is a load that nobody waits for any more and
// that has no place. If too many of a function are, that function gets no place until some have
// returned: otherwise each read of something stale would leave one more.
//
// The gate counts all work of the store, in the foreground too. The mutex of Work guards the
// places. It is held for a few instructions, and not while work runs.
package background

import (
	"context"
	"errors"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/gate"
)

// ErrClosed is the error of work that does not begin, or is cancelled, because the store
// is closed.
var ErrClosed = errors.New("cachegen: store is closed")

// Work is all work of one store. Use [New].
type Work struct {
	gate.Gate
	// Context is that of work which no caller waits for. It ends with Cancel.
	Context context.Context
	Cancel  context.CancelFunc

	mu        sync.Mutex
	places    int
	free      int
	functions map[string]*Use // those that are not zero
}

// A Use is what a function has in the background.
type Use struct {
	Running int // loads that hold a place
	Left    int // loads that have been given up and have not returned
}

// New returns Work with so many places in the background. Zero allows none.
func New(places int) *Work {
	ctx, cancel := context.WithCancel(context.Background())
	return &Work{Context: ctx, Cancel: cancel, places: places, free: places, functions: make(map[string]*Use)}
}

// Places returns how many loads may run in the background.
func (w *Work) Places() int { return w.places }

// MaxLeft returns how many loads of a function may be left behind before it gets no place.
func (w *Work) MaxLeft() int { return max(1, w.places/2) }

// mayTake reports whether a function with such a use may take a place. It is called under mu.
func (w *Work) mayTake(use Use) bool {
	if w.free == 0 || use.Left >= w.MaxLeft() {
		return false
	}
	return use.Running == 0 || use.Running+1 <= w.free-1
}

// A Place is one that a load of a function may have. Its methods may be called by several
// goroutines.
type Place struct {
	work     *Work
	function string
	state    state // guarded by work.mu
}

type state int

const (
	none state = iota
	held
	left
	returned // for good
)

// Place returns a place for a load of a function, which it does not hold yet.
func (w *Work) Place(function string) *Place { return &Place{work: w, function: function} }

// change changes the state of a place, and the counts with it. It is called under mu.
func (p *Place) change(to state) {
	w := p.work
	use := w.functions[p.function]
	if use == nil {
		use = &Use{}
		w.functions[p.function] = use
	}
	count := func(s state, n int) {
		switch s {
		case held:
			use.Running += n
			w.free -= n
		case left:
			use.Left += n
		}
	}
	count(p.state, -1)
	count(to, +1)
	p.state = to
	if *use == (Use{}) {
		delete(w.functions, p.function)
	}
}

// TryAcquire takes the place, if there is one for the function, or if it is held already.
func (p *Place) TryAcquire() bool {
	w := p.work
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.state == none && w.mayTake(w.use(p.function)) {
		p.change(held)
	}
	return p.state == held
}

// use returns the use of a function. It is called under mu.
func (w *Work) use(function string) Use {
	if use := w.functions[function]; use != nil {
		return *use
	}
	return Use{}
}

// Use returns what the place's function has in the background, and whether so much of it is
// left behind that the function gets no place.
func (p *Place) Use() (use Use, tooMuch bool) {
	p.work.mu.Lock()
	defer p.work.mu.Unlock()
	use = p.work.use(p.function)
	return use, use.Left >= p.work.MaxLeft()
}

// Leave says that nobody waits for the load, or that it has exceeded its time limit, although it
// has not returned. It gives the place back, if it is held. last reports whether the function
// gets no place from now on, because of this load.
func (p *Place) Leave() (last bool) {
	w := p.work
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.state != held && p.state != none {
		return false
	}
	p.change(left)
	return w.use(p.function).Left == w.MaxLeft()
}

// Release says that the load has returned, or does not begin. It gives the place back, if it is
// held.
func (p *Place) Release() {
	p.work.mu.Lock()
	defer p.work.mu.Unlock()
	p.change(returned)
}
