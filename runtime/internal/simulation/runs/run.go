package runs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

var errRefused = errors.New("simulation: the server is full")

// A run is one run of a plan.
type run struct {
	*processes.World
	plan    *plan
	replays bool // it repeats picks

	current []*processes.Process // by machine; nil while none is there
	begun   map[int]bool         // operations
	faults  int                  // that have happened
	picks   []steps.Pick
	lines   []line
	restore func() // of the clock
}

// A line is what happened in a step, for people.
type line struct {
	step int
	text string
}

func newRun(p *plan, m processes.Mutation, tells bool) *run {
	r := &run{plan: p, current: make([]*processes.Process, p.machines), begun: make(map[int]bool)}
	c := p.config(m)
	if tells {
		c.Note = r.note
	}
	r.World = processes.NewWorld(c)
	r.Record.Facts = p.facts()
	return r
}

func (r *run) note(p *processes.Process, text string) {
	name := ""
	if p != nil {
		name = p.Name()
	}
	r.lines = append(r.lines, line{r.Step, fmt.Sprintf("%12v  %-4s %s", r.Now(), name, text)})
}

// wait waits until every goroutine does, and takes over what has happened.
func (r *run) wait() {
	synctest.Wait()
	r.Settle()
	for machine, p := range r.current {
		if p != nil && p.Gone {
			r.current[machine] = nil
		}
	}
}

func (r *run) open(machine int) { r.current[machine] = r.Open(machine, r.plan.ahead[machine]) }

// start opens the processes and connects them.
func (r *run) start() {
	for machine := range r.current {
		r.open(machine)
	}
	r.wait()
	for _, p := range r.Processes {
		p.Bus.ComeUp()
		r.wait()
	}
}

// record runs the plan: what happens next is drawn from its seed.
func (r *run) record() {
	rng := rand.New(rand.NewPCG(r.plan.seed, 2))
	var events []event
	for len(r.picks) < r.plan.most && !r.finished() {
		wait := drawWait(rng)
		r.sleep(wait)
		events = r.possible(events[:0], rng.IntN)
		e := drawEvent(rng, events)
		took := time.Duration(0)
		if e.kind == timePasses || e.kind == timeRuns {
			took = r.drawTime(rng, e.kind)
		}
		r.choose(e, wait, took)
	}
}

func drawEvent(rng *rand.Rand, events []event) *event {
	sum := 0
	for i := range events {
		sum += events[i].weight
	}
	at := rng.IntN(sum)
	for i := range events {
		if at -= events[i].weight; at < 0 {
			return &events[i]
		}
	}
	panic("no event")
}

// choose lets an event happen.
func (r *run) choose(e *event, wait, took time.Duration) {
	label := e.label()
	r.picks = append(r.picks, steps.Pick{Label: label, Wait: wait, Took: took})
	r.Chose(label)
	r.apply(e, took)
	r.wait()
}

// drawWait draws the time before an event: short, and never the same, so that nothing that is
// due some time after one event is due together with what is due after another.
func drawWait(rng *rand.Rand) time.Duration {
	w := time.Duration(1 + rng.IntN(100_000))
	if rng.IntN(8) == 0 {
		w *= 50
	}
	return w
}

// drawTime draws how long to wait for something to happen. While a server is to answer, that is
// not long, unless it hangs.
func (r *run) drawTime(rng *rand.Rand, kind eventKind) time.Duration {
	odd := time.Duration(rng.IntN(1_000_000))
	if kind == timePasses && r.awaitsServer() {
		return 10*time.Millisecond + odd
	}
	return odd + []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second}[rng.IntN(5)]
}

// finished reports whether all that clients wanted to do is done.
func (r *run) finished() bool {
	return len(r.begun) == len(r.plan.ops) && !slices.ContainsFunc(r.Record.Ops, func(o *record.Op) bool { return o.Ended == record.NotYet })
}

// replay repeats picks. One that is not possible, because others are missing, is left out, unless
// the same is possible with another number.
func (r *run) replay(picks []steps.Pick) {
	r.replays = true
	var events []event
	for _, pick := range picks {
		r.sleep(pick.Wait)
		events = r.possible(events[:0], nil)
		like := -1
		for i := range events {
			exactly, about := events[i].matches(pick.Label)
			if exactly || about && like < 0 {
				like = i
			}
			if exactly {
				break
			}
		}
		if like >= 0 {
			r.choose(&events[like], pick.Wait, pick.Took)
		}
	}
}

// sleep lets a short time pass.
func (r *run) sleep(d time.Duration) {
	for end := r.Now() + d; r.Now() < end; {
		timer := time.NewTimer(end - r.Now())
		select {
		case <-r.Leaving():
		case <-timer.C:
		}
		timer.Stop()
		r.wait()
	}
	r.overdue()
}

// passTime lets time pass, until something happens or for all of d.
func (r *run) passTime(d time.Duration, untilNews bool) {
	select {
	case <-r.News():
	default:
	}
	end := r.Now() + d
	for left := d; left > 0; left = end - r.Now() {
		if due := r.nextDue(); due < r.Now()+left {
			left = max(due-r.Now(), 0) + 1
		}
		timer := time.NewTimer(left)
		news := r.News()
		if !untilNews {
			news = nil
		}
		select {
		case <-news:
			timer.Stop()
			r.wait()
			return
		case <-r.Leaving():
			timer.Stop()
		case <-timer.C:
		}
		r.wait()
		r.overdue()
	}
}

// lateness is how long after its caller has left a call may take effect that has to do so soon.
const lateness = 2 * processes.TierTimeout

// nextDue returns when something has to happen by itself.
func (r *run) nextDue() time.Duration {
	due := time.Duration(record.Never)
	for _, m := range r.Messages {
		if m.To.Running() {
			due = min(due, m.At+busLatency)
		}
	}
	for _, p := range r.current {
		if p != nil && p.Running() && p.Bus.Cut && p.Bus.Up {
			due = min(due, p.Bus.MustNotice())
		}
	}
	for _, c := range r.Calls {
		if c.Left && c.Soon {
			due = min(due, c.LeftAt+lateness)
		}
	}
	return due
}

// overdue lets happen what has to happen by itself: messages arrive in time, the loss of a
// connection is noticed, and a write that was given up takes effect soon or not at all.
func (r *run) overdue() {
	for _, c := range r.Calls {
		if c.Left && c.Soon && c.State == steps.OnItsWay && r.Now() >= c.LeftAt+lateness {
			c.State = steps.Ended
		}
	}
	for r.oneOverdue() {
		r.wait()
	}
}

func (r *run) oneOverdue() bool {
	for _, m := range r.Messages {
		if m.To.Running() && r.Now() >= m.At+busLatency && m.To.Bus.Ready() {
			r.Notef(nil, "%s arrives, it is time", m.Label)
			r.Deliver(m, false)
			return true
		}
	}
	for _, p := range r.current {
		if p != nil && p.Running() && p.Bus.Cut && p.Bus.Up && r.Now() >= p.Bus.MustNotice() && p.Bus.Ready() {
			r.Notef(p, "notices that the bus is lost, it is time")
			p.Bus.Notice()
			return true
		}
	}
	return false
}

// setClock sets the clocks of all machines beside the time that passes.
func (r *run) setClock(by time.Duration) {
	if restore := clock.Set(by); r.restore == nil {
		r.restore = restore
	}
}

// end ends the run: nothing waits at the gate any more, and the stores are closed.
func (r *run) end() {
	r.End()
	var closing sync.WaitGroup
	for _, p := range r.Processes {
		closing.Go(p.Shut)
	}
	closing.Wait()
	time.Sleep(time.Hour) // what waits for a time ends, too
	synctest.Wait()
	for _, p := range r.Processes {
		p.Forget()
	}
	if r.restore != nil {
		r.restore()
	}
}
