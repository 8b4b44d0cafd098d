// Package steps lets a simulation decide in which order things happen.
//
// Goroutines of one instant run in any order, also in virtual time. So whatever a process asks
// of something outside is a [Call], whose goroutine waits at the [Gate]. When all goroutines
// wait, one event is chosen: a call takes effect, its answer arrives, its connection is lost.
// Then that goes on until all wait again. So two calls never take effect at once, no order of
// two calls is hidden by an instant, and a list of the events that were chosen, see [Pick], is
// all that is needed to repeat what has happened.
//
// A caller whose time is over waits, too, until it may leave. The gate's mutex guards what the goroutines of the processes and that of the simulation share.
// What else there is belongs to the goroutine of the simulation.
package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// ErrOver ends the calls that still wait when the simulation is over.
var ErrOver = errors.New("simulation: the run is over")

// A Gate is where calls wait.
type Gate struct {
	// Calls are at the gate, in the order in which they came.
	Calls []*Call
	began time.Time
	named map[string]int // how many calls of a name there were
	seen  int            // calls that have come
	news  chan struct{}
	leave chan struct{}
	over  chan struct{}

	mu      sync.Mutex
	came    []*Call // since Settle
	leaving []*Call // whose callers want to leave
}

// NewGate returns a gate. Its time begins now.
func NewGate() *Gate {
	return &Gate{
		began: time.Now(), named: make(map[string]int),
		news: make(chan struct{}, 1), leave: make(chan struct{}, 1), over: make(chan struct{}),
	}
}

// Now returns the time since the gate was made.
func (g *Gate) Now() time.Duration { return time.Since(g.began) }

// At returns the time of day at a time of Now.
func (g *Gate) At(d time.Duration) time.Time { return g.began.Add(d) }

// News receives when something has happened since the last time that it received.
func (g *Gate) News() <-chan struct{} { return g.news }

// Leaving receives when a caller wants to leave, which it does when Settle is called.
func (g *Gate) Leaving() <-chan struct{} { return g.leave }

// Tell says that something has happened.
func (g *Gate) Tell() { notify(g.news) }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// End lets all calls end with ErrOver, those that are made later, too.
func (g *Gate) End() { close(g.over) }

// A Party is who makes calls: a process. Its fields do not change.
type Party struct {
	ID   int
	Name string
	gate *Gate
	// still is not nil while the party stands still, and is closed when it goes on. It is
	// guarded by the gate's mutex, and changed by the goroutine of the simulation alone.
	still chan struct{}
	dead  bool // of that goroutine
}

// NewParty returns a party that makes calls at g.
func (g *Gate) NewParty(id int, name string) Party { return Party{ID: id, Name: name, gate: g} }

// StandsStill reports whether the party stands still. It is for the goroutine of the simulation,
// as are the following methods.
func (p *Party) StandsStill() bool { return p.still != nil }

// IsDead reports whether Die was called.
func (p *Party) IsDead() bool { return p.dead }

// Stop makes the party stand still: it gets no answer and sends nothing.
func (p *Party) Stop() {
	if p.still != nil {
		return
	}
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.still = make(chan struct{})
}

// GoOn lets a party go on that stands still. What it wanted to send is sent now.
func (p *Party) GoOn() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	close(p.still)
	p.still = nil
	for _, c := range p.gate.Calls {
		if c.Party == p {
			c.held = false
		}
	}
}

// Die makes the party stand still for ever. What it has sent may still take effect.
func (p *Party) Die() {
	p.Stop()
	p.dead = true
}

// goesOn waits while the party stands still. It returns false when the simulation is over.
func (p *Party) goesOn() bool {
	for {
		p.gate.mu.Lock()
		still := p.still
		p.gate.mu.Unlock()
		if still == nil {
			return true
		}
		select {
		case <-still:
		case <-p.gate.over:
			return false
		}
	}
}

// A Place is whom a call asks.
type Place uint8

// The places.
const (
	Tier Place = iota
	Bus
	Database
)

// A State is how far a call is.
type State uint8

// The states.
const (
	OnItsWay State = iota // to the server
	Answered              // it has taken effect, and the answer is on its way
	Ended                 // the caller has the answer, or nobody waits for it
)

// A Call is what a party asks of something outside. Who makes it fills in the first part.
type Call struct {
	Party *Party
	At    Place
	Name  string // what is asked for, the same in each run
	Once  bool   // the client never sends it twice
	Soon  bool   // it takes effect soon or not at all, when the caller has left
	Parts int    // into how many parts it may be split, each of which takes effect by itself
	// Effect carries out some of the parts. Result describes what came of it, for people.
	Effect func(from, to int) error
	Result func() string
	// Commits says that it is the commit of a transaction, Adds that it stores what is absent.
	Commits, Adds bool
	// OnBegin and OnEnd are called when it has come to the gate and when it has left. They may
	// be nil.
	OnBegin, OnEnd func()

	// Label is the name with that of the party, and with a number that tells it from others of
	// the name.
	Label  string
	State  State
	Err    error         // of the effect
	Left   bool          // the caller has left
	LeftAt time.Duration // when
	Sent   int           // how often it was sent again
	Hangs  bool          // it is not answered until everything works again

	took   int  // how many parts have taken effect
	held   bool // made by a party that stands still: it is sent when that goes on
	number int  // of all that have come
	answer chan error
	leave  chan struct{} // closed when its caller may leave
}

// Pass makes a call and waits for its answer, or until ctx has ended.
func (g *Gate) Pass(ctx context.Context, c *Call) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("simulation: %s: %w", c.Name, err)
	}
	c.answer, c.leave = make(chan error, 1), make(chan struct{})
	c.Parts = max(c.Parts, 1)
	g.mu.Lock()
	c.held = c.Party.still != nil
	g.came = append(g.came, c)
	g.mu.Unlock()
	g.Tell()
	select {
	case err := <-c.answer:
		return err
	case <-g.over:
		return ErrOver
	case <-ctx.Done():
	}
	// A process that stands still does not notice it yet.
	if !c.Party.goesOn() {
		return ErrOver
	}
	select {
	case err := <-c.answer:
		return err
	default:
	}
	g.mu.Lock()
	g.leaving = append(g.leaving, c)
	g.mu.Unlock()
	g.Tell()
	notify(g.leave)
	select {
	case <-c.leave:
	case <-g.over:
		return ErrOver
	}
	return fmt.Errorf("simulation: %s: %w", c.Name, ctx.Err())
}

// Settle takes over what has come to the gate and lets leave who wants to, when every goroutine
// waits. Afterwards they wait again. Goroutines that were woken together ran in any order, so what
// came is sorted first; and those whose time is over at the same instant leave one after the other,
// because one that has failed may decide what the next one does.
func (g *Gate) Settle() {
	for g.settle() {
		synctest.Wait()
	}
	g.Calls = slices.DeleteFunc(g.Calls, func(c *Call) bool {
		over := c.State == Ended || c.Abandoned() && (c.held || c.State == Answered || c.At == Database)
		if over && c.OnEnd != nil {
			c.OnEnd()
		}
		return over
	})
}

// settle takes over what has come, and lets one caller leave. It reports whether there was one.
func (g *Gate) settle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortStableFunc(g.came, func(a, b *Call) int {
		if a.Party != b.Party {
			return a.Party.ID - b.Party.ID
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, c := range g.came {
		g.seen++
		if c.number = g.seen; c.Party.dead {
			continue
		}
		c.Label = g.Number(c.Party.Name + " " + c.Name)
		g.Calls = append(g.Calls, c)
		if c.OnBegin != nil {
			c.OnBegin()
		}
	}
	g.came = g.came[:0]
	if len(g.leaving) == 0 {
		return false
	}
	first := slices.MinFunc(g.leaving, func(a, b *Call) int { return a.number - b.number })
	g.leaving = slices.DeleteFunc(g.leaving, func(c *Call) bool { return c == first })
	first.Left, first.LeftAt = true, g.Now()
	close(first.leave)
	return true
}

// Number returns a label, with a number if there was one like it.
func (g *Gate) Number(label string) string {
	g.named[label]++
	if n := g.named[label]; n > 1 {
		return label + " #" + strconv.Itoa(n)
	}
	return label
}

// WithoutNumber returns a label without its number.
func WithoutNumber(label string) string {
	if i := strings.LastIndex(label, " #"); i >= 0 {
		return label[:i]
	}
	return label
}

// Held reports whether the call is not sent yet, because its party stands still.
func (c *Call) Held() bool { return c.held }

// Abandoned reports whether nobody waits for the answer.
func (c *Call) Abandoned() bool { return c.Left || c.Party.dead }

// Open returns how many parts have not taken effect.
func (c *Call) Open() int { return c.Parts - c.took }

// Take lets some parts take effect, at most all that are open.
func (c *Call) Take(parts int) {
	from := c.took
	c.took = min(c.took+parts, c.Parts)
	if c.Err = c.Effect(from, c.took); c.took == c.Parts || c.Err != nil {
		c.State = Answered
	}
}

// Reply lets the answer arrive, which is err.
func (c *Call) Reply(err error) {
	c.State = Ended
	c.answer <- err
}

// Again sends the call once more.
func (c *Call) Again() {
	c.State, c.took, c.Err = OnItsWay, 0, nil
	c.Sent++
}
