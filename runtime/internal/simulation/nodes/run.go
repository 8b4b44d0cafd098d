package nodes

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

var errRefusedNow = errors.New("simulation: the server is full")

// A pick is an event that a run has let happen: what, and how much time passed before it. A
// list of them is all that is needed to repeat a run.
type pick struct {
	label string
	wait  time.Duration // before the event
	took  time.Duration // of an event that is about time
}

// A run is one run of a plan.
type run struct {
	plan     *plan
	mutation Mutation
	replays  bool // it repeats picks
	tells    bool // it keeps what happens as text

	tier     tier
	db       database
	nodes    []*node // all that there were
	current  []*node // by machine; nil while none is there
	ops      []*op   // that have begun
	begun    map[int]bool
	loads    []*loading
	calls    []*call // at the gate, in the order in which they came
	messages []*message
	accepted int
	faults   int
	step     int
	picks    []pick
	lines    []line
	began    time.Time
	healed   bool
	found    []Violation
	restore  func() // of the clock
	named    map[string]int

	mu sync.Mutex
	// What has happened since the last event.
	came   []*call // to the gate
	left   []*call // whose callers have left
	opened []*node
	done   []*op
	rang   []ring

	last uint64 // the last event, as a number
	news chan struct{}
	over chan struct{}
}

// A line is what happened in a step.
type line struct {
	step int
	text string
}

// A ring is a message that a listener has taken.
type ring struct {
	to *node
	m  *message
}

func newRun(p *plan, m Mutation) *run {
	r := &run{
		plan: p, mutation: m, tier: newTier(m.tierFaults()), db: database{make([]int, p.rows)},
		current: make([]*node, p.machines), begun: make(map[int]bool), named: make(map[string]int),
		began: time.Now(), news: make(chan struct{}, 1), over: make(chan struct{}),
	}
	for i := range r.db.versions {
		r.db.versions[i] = 1
	}
	return r
}

func (r *run) moment() moment { return moment{r.step, r.now()} }

// note keeps what happens, for people.
func (r *run) note(n *node, format string, args ...any) {
	if r.tells {
		r.lines = append(r.lines, line{r.step, fmt.Sprintf("%12v  %-4s %s", r.now(), nameOfNode(n), fmt.Sprintf(format, args...))})
	}
}

// wait waits until every goroutine does, and takes over what has happened.
func (r *run) wait() {
	synctest.Wait()
	r.step++
	r.settle()
}

// start opens the processes and connects them.
func (r *run) start() {
	for machine := range r.plan.machines {
		r.open(machine)
	}
	r.wait()
	for _, n := range r.nodes {
		r.comeUp(n)
		r.wait()
	}
}

// record runs a plan: what happens next is drawn from its seed.
func (r *run) record() {
	rng := rand.New(rand.NewPCG(r.plan.seed, 2))
	var events []event
	for len(r.picks) < r.plan.most && !r.finished() {
		wait := drawWait(rng)
		r.sleep(wait)
		events = r.possible(events[:0], rng.IntN)
		sum := 0
		for i := range events {
			sum += events[i].weight
		}
		at := rng.IntN(sum)
		i := 0
		for ; at >= events[i].weight; i++ {
			at -= events[i].weight
		}
		e := &events[i]
		d := time.Duration(0)
		if e.kind == timePasses || e.kind == timeRuns {
			d = r.drawTime(rng, e.kind)
		}
		r.choose(e, e.label(), wait, d)
	}
}

// choose lets an event happen.
func (r *run) choose(e *event, label string, wait, d time.Duration) {
	r.picks = append(r.picks, pick{label, wait, d})
	r.mu.Lock()
	r.last = hashOf(label)
	for _, n := range r.nodes {
		n.draws = 0
	}
	r.mu.Unlock()
	r.apply(e, d)
	r.wait()
}

func hashOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
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

// drawTime draws how long to wait for something to happen. While the tier is to answer,
// that is not long, unless it hangs.
func (r *run) drawTime(rng *rand.Rand, kind eventKind) time.Duration {
	odd := time.Duration(rng.IntN(1_000_000))
	waiting := slices.ContainsFunc(r.calls, func(c *call) bool { return c.at != atDatabase && !c.held && !c.left })
	if kind == timePasses && waiting {
		return 10*time.Millisecond + odd
	}
	return odd + []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second}[rng.IntN(5)]
}

// finished reports whether all that clients wanted to do is done.
func (r *run) finished() bool {
	return len(r.begun) == len(r.plan.ops) && !slices.ContainsFunc(r.ops, func(o *op) bool { return o.ended.step == never })
}

// replay repeats picks. One that is not possible, because others are missing, is left out, unless
// the same is possible with another number.
func (r *run) replay(picks []pick) {
	r.replays = true
	var events []event
	for _, p := range picks {
		r.sleep(p.wait)
		events = r.possible(events[:0], nil)
		like := -1
		for i := range events {
			e := &events[i]
			exactly, about := e.matches(p.label)
			if exactly {
				like = i
				break
			}
			if about && like < 0 {
				like = i
			}
		}
		if like >= 0 {
			r.choose(&events[like], events[like].label(), p.wait, p.took)
		}
	}
}

// matches reports whether the event has a label, and whether it has but for the number that
// tells it from others.
func (e *event) matches(label string) (exactly, about bool) {
	of := ""
	switch {
	case e.call != nil:
		of = e.call.label
	case e.message != nil:
		of = e.message.label
	default:
		exactly = e.label() == label
		return exactly, exactly
	}
	verb := verbs[e.kind]
	given, ok := strings.CutSuffix(label, verb)
	if !ok || !strings.HasSuffix(given, " ") {
		return false, false
	}
	given = given[:len(given)-1]
	return given == of, withoutNumber(given) == withoutNumber(of)
}

// withoutNumber returns a label without the number at its end.
func withoutNumber(label string) string {
	if i := strings.LastIndex(label, " #"); i >= 0 {
		return label[:i]
	}
	return label
}

// sleep lets a short time pass.
func (r *run) sleep(d time.Duration) {
	time.Sleep(d)
	r.wait()
	r.overdue()
}

// passTime lets time pass, until something happens or for all of d.
func (r *run) passTime(d time.Duration, untilNews bool) {
	end := r.now() + d
	select {
	case <-r.news:
	default:
	}
	for left := d; left > 0; left = end - r.now() {
		if due := r.nextDue(); due < r.now()+left {
			left = max(due-r.now(), 0) + 1
		}
		if untilNews {
			timer := time.NewTimer(left)
			select {
			case <-r.news:
				timer.Stop()
				r.wait()
				return
			case <-timer.C:
			}
		} else {
			time.Sleep(left)
		}
		r.wait()
		r.overdue()
	}
}

// nextDue returns when something has to happen by itself.
func (r *run) nextDue() time.Duration {
	due := time.Duration(never)
	for _, m := range r.messages {
		if m.to.running() {
			due = min(due, m.at+busLatency)
		}
	}
	for _, n := range r.current {
		if n != nil && n.running() && n.bus.cut && n.bus.up {
			due = min(due, n.bus.mustNotice())
		}
	}
	for _, c := range r.calls {
		if c.left && c.soon {
			due = min(due, c.leftAt+2*tierTimeout)
		}
	}
	return due
}

// overdue lets happen what has to happen by itself: messages arrive in time, the loss of a
// connection is noticed, and a write that was given up takes effect soon or not at all.
func (r *run) overdue() {
	for {
		now, did := r.now(), false
		for _, m := range r.messages {
			if m.to.running() && now >= m.at+busLatency && m.to.bus.ready() {
				r.note(m.to, "%s arrives, it is time", m.label)
				r.deliver(m, false)
				did = true
				break
			}
		}
		for _, n := range r.current {
			if !did && n != nil && n.running() && n.bus.cut && n.bus.up && now >= n.bus.mustNotice() && n.bus.ready() {
				r.note(n, "notices that the bus is lost, it is time")
				r.notice(n)
				did = true
			}
		}
		for _, c := range r.calls {
			if c.left && c.soon && c.state == onItsWay && now >= c.leftAt+2*tierTimeout {
				c.state = ended
			}
		}
		if !did {
			return
		}
		r.wait()
	}
}

// setClock sets the clocks of all machines beside the time that passes.
func (r *run) setClock(by time.Duration) {
	if restore := clock.Set(by); r.restore == nil {
		r.restore = restore
	}
}

// end ends the run: nothing waits at the gate any more, and the stores are closed.
func (r *run) end() {
	close(r.over)
	var closing sync.WaitGroup
	for _, n := range r.nodes {
		closing.Go(n.shut)
	}
	closing.Wait()
	time.Sleep(time.Hour) // what waits for a time ends, too
	synctest.Wait()
	for _, n := range r.nodes {
		n.numbers.of = nil
	}
	if r.restore != nil {
		r.restore()
	}
}
