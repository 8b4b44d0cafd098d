package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errOver ends what still waits when a run is over.
var errOver = errors.New("simulation: the run is over")

// A state is how far a call is.
type state uint8

const (
	onItsWay state = iota // to the server, or called, if it is a loader
	answered              // it has taken effect, and its answer is on the way
	ended                 // the caller has the answer, or nobody waits for it
)

// A place is whom a call asks.
type place uint8

const (
	atTier place = iota
	atBus
	atDatabase
)

// A call is what a process asks of something outside: the shared tier, the bus, the database.
// The goroutine that asks waits at the gate of the run. An event of the run lets the call take
// effect, and another one lets its answer arrive. So the run alone decides in which order
// things happen, and two calls never take effect at once.
type call struct {
	node  *node
	at    place
	name  string // what is asked for; part of the label
	label string // name with the node, and a number that tells it from others of the name

	once  bool // the client never sends it twice
	parts int  // into how many parts it may be split, each of which takes effect by itself
	took  int  // how many of them have taken effect
	// effect carries out some of the parts.
	effect func(from, to int) error
	// result describes what came of the effect, for people.
	result func() string

	answer chan error
	state  state
	err    error         // of the effect
	held   bool          // made by a process that stands still: it is sent when that goes on
	left   bool          // the caller has left
	leftAt time.Duration // since the run began
	sent   int           // how often

	loading *loading // of a loader
	commits bool     // it is the commit of a transaction
	hangs   bool     // it does not return until everything works again
	soon    bool     // it takes effect soon or not at all, when the caller has left
}

// pass makes a call and waits for its answer, or until ctx has ended.
func (r *run) pass(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("simulation: %s: %w", c.name, err)
	}
	c.answer = make(chan error, 1)
	c.parts = max(c.parts, 1)
	r.mu.Lock()
	c.held = c.node.still != nil
	r.came = append(r.came, c)
	r.mu.Unlock()
	r.wakeUp()
	select {
	case err := <-c.answer:
		return err
	case <-r.over:
		return errOver
	case <-ctx.Done():
	}
	// A process that stands still does not notice it yet.
	if !r.goesOn(c.node) {
		return errOver
	}
	select {
	case err := <-c.answer:
		return err
	default:
	}
	r.mu.Lock()
	r.left = append(r.left, c)
	r.mu.Unlock()
	r.wakeUp()
	return fmt.Errorf("simulation: %s: %w", c.name, ctx.Err())
}

// goesOn waits while a process stands still. It returns false if the run is over.
func (r *run) goesOn(n *node) bool {
	for {
		r.mu.Lock()
		still := n.still
		r.mu.Unlock()
		if still == nil {
			return true
		}
		select {
		case <-still:
		case <-r.over:
			return false
		}
	}
}

// wakeUp tells the run that there is something new.
func (r *run) wakeUp() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// now is the time since the run began.
func (r *run) now() time.Duration { return time.Since(r.began) }

// settle takes over what has happened since the last event, when every goroutine waits. Those
// that were woken together ran in any order, so what they did is sorted first.
func (r *run) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.came, func(a, b *call) int {
		if a.node != b.node {
			return a.node.id - b.node.id
		}
		return strings.Compare(a.name, b.name)
	})
	for _, c := range r.came {
		if c.node.dead {
			continue
		}
		name := c.node.name + " " + c.name
		r.named[name]++
		c.label = name
		if n := r.named[name]; n > 1 {
			c.label += " #" + strconv.Itoa(n)
		}
		if c.loading != nil {
			c.loading.began = r.moment()
			r.loads = append(r.loads, c.loading)
		}
		r.calls = append(r.calls, c)
	}
	r.came = r.came[:0]
	for _, c := range r.left {
		c.left, c.leftAt = true, r.now()
	}
	r.left = r.left[:0]
	for _, n := range r.opened {
		n.opened = true
	}
	r.opened = r.opened[:0]
	slices.SortFunc(r.done, func(a, b *op) int { return a.id - b.id })
	for _, o := range r.done {
		r.endOp(o)
	}
	r.done = r.done[:0]
	for _, ring := range r.rang {
		r.taken(ring)
	}
	r.rang = r.rang[:0]
	r.calls = slices.DeleteFunc(r.calls, func(c *call) bool {
		over := c.state == ended || (c.left || c.node.dead) && (c.held || c.state == answered || c.at == atDatabase)
		if over && c.loading != nil {
			c.loading.ended = r.moment()
		}
		return over
	})
}

// take lets some of a call's parts take effect.
func (r *run) take(c *call, parts int) {
	from := c.took
	c.took = min(c.took+parts, c.parts)
	if c.err = c.effect(from, c.took); c.took == c.parts || c.err != nil {
		c.state = answered
	}
}

// reply lets the answer of a call arrive, which is err.
func (r *run) reply(c *call, err error) {
	c.state = ended
	c.answer <- err
}

// again sends a call once more, whose answer was lost.
func (c *call) again() {
	c.state, c.took, c.err = onItsWay, 0, nil
	c.sent++
}
