package nodes

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// What must have happened when everything works again.
const (
	// healTime is how long calls may take that were under way.
	healTime = 2*maxLoadTime + 4*tierTimeout
)

// heal lets everything work again, and asks every process for every row: what was lost
// meanwhile must be there by then.
func (r *run) heal() {
	r.healed = true
	r.note(nil, "everything works again")
	if r.restore != nil {
		clock.Set(0)
	}
	for machine, n := range r.current {
		if n == nil {
			r.open(machine)
			continue
		}
		if n.still != nil {
			r.goOn(n)
		}
		n.cutOff = false
	}
	for _, c := range r.calls {
		c.hangs = false
	}
	r.wait()
	for _, n := range r.current {
		r.healBus(n)
	}
	r.letThrough(healTime, r.calm)
	for _, o := range r.ops {
		if o.ended.step == never && !o.node.dead {
			r.report(Stuck, r.step, "%v has not returned %v after everything works again", o, healTime)
		}
	}
	if len(r.found) > 0 {
		return
	}
	for _, n := range r.current {
		if n != nil && n.queued() > 0 {
			r.report(Stuck, r.step, "%d invalidations of %s are still pending %v after everything works again", n.queued(), n.name, healTime)
		}
	}
	r.letThrough(bound, nil)
	r.readAll(get)
	r.readAll(getOrSet)
	r.readAll(getOrSet) // what was loaded under a stamp that only one process knew is not kept
	loads := len(r.loads)
	r.readAll(getOrSet)
	if again := r.loads[loads:]; len(again) > 0 && r.plan.ttl > time.Minute && r.plan.faults&clocksDiffer == 0 {
		r.report(Unreadable, again[0].began.step, "%s loads rows that have just been loaded, and everything works", again[0].node.name)
	}
	r.closeAll()
	for machine := range r.current {
		r.current[machine] = nil
	}
	r.open(0)
	r.wait()
	r.comeUp(r.current[0])
	r.wait()
	r.readAll(get)
}

// healBus connects a process with the bus.
func (r *run) healBus(n *node) {
	b := n.bus
	switch {
	case b.cut && b.up:
		r.notice(n)
		r.wait()
		r.comeUp(n)
	case !b.up:
		r.comeUp(n)
	case b.deaf:
		b.deaf = false
	}
	r.wait()
}

// calm reports whether nothing is under way.
func (r *run) calm() bool {
	return !slices.ContainsFunc(r.nodes, func(n *node) bool { return !n.dead && (n.busy > 0 || !n.gone && n.queued() > 0) })
}

// letThrough lets everything happen at once, in the order in which it comes, for a time or until
// it is enough.
func (r *run) letThrough(d time.Duration, enough func() bool) {
	end := r.now() + d
	for r.now() < end && (enough == nil || !enough()) {
		if r.letNextThrough() {
			time.Sleep(time.Microsecond)
			r.wait()
			continue
		}
		select {
		case <-r.news:
		case <-time.After(min(end-r.now(), 250*time.Millisecond)):
		}
		r.wait()
	}
}

// letNextThrough lets one thing happen.
func (r *run) letNextThrough() bool {
	for _, c := range r.calls {
		switch {
		case c.held:
			continue
		case c.left || c.node.dead:
			r.applyToCall(vanishes, c)
		case c.state == answered:
			r.applyToCall(returns, c)
		default:
			r.applyToCall(isDone, c)
		}
		return true
	}
	for _, m := range r.messages {
		if m.to.running() && m.to.bus.ready() {
			r.note(m.to, "%s arrives", m.label)
			r.deliver(m, false)
			return true
		}
	}
	return false
}

// readAll reads every row in every process.
func (r *run) readAll(kind opKind) {
	for _, n := range r.current {
		if n == nil {
			continue
		}
		for row := range r.plan.rows {
			o := &op{id: len(r.ops), kind: kind, machine: n.machine, rows: []int{row}, final: true}
			r.begin(o, n)
			r.note(n, "%v begins", o)
			r.wait()
			r.letThrough(healTime, func() bool { return o.ended.step != never })
			if o.ended.step == never {
				r.report(Stuck, r.step, "%v in %s does not return, and everything works", o, n.name)
				return
			}
			if o.err != nil {
				r.report(Outage, r.step, "%v in %s fails, and everything works: %v", o, n.name, o.err)
			}
		}
	}
}

// closeAll closes every process: nothing is lost, as everything works.
func (r *run) closeAll() {
	for _, n := range r.current {
		if n == nil {
			continue
		}
		o := &op{id: len(r.ops), kind: shutDown, machine: n.machine, final: true}
		r.begin(o, n)
		r.wait()
		r.letThrough(closeTime+time.Second, func() bool { return o.ended.step != never })
		switch {
		case o.ended.step == never:
			r.report(Stuck, r.step, "Close of %s does not return", n.name)
		case o.err != nil:
			r.report(Lost, r.step, "Close of %s says that something is lost, and everything works: %v", n.name, o.err)
		}
	}
}
