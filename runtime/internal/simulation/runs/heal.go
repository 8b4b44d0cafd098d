package runs

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// healTime is how long what was under way may take when everything works again.
const healTime = 2*processes.MaxLoadTime + 4*processes.TierTimeout

// outboxTime is how long what is in the outbox may wait after it has failed again and again, with
// the time that a look takes to come.
const outboxTime = 10 * time.Minute

func (r *run) healTime() time.Duration {
	if r.plan.outbox {
		return healTime + outboxTime
	}
	return healTime
}

// heal lets everything work again, and asks every process for every row: what was lost
// meanwhile must be there by then.
func (r *run) heal() {
	r.Notef(nil, "everything works again")
	if r.restore != nil {
		clock.Set(0)
	}
	for machine, p := range r.current {
		if p == nil {
			r.open(machine)
			continue
		}
		if p.StandsStill() {
			p.GoOn()
		}
		p.CutOff = false
	}
	for _, c := range r.Calls {
		c.Hangs = false
	}
	r.wait()
	for _, p := range r.present() {
		r.connect(p)
	}
	r.letThrough(r.healTime(), r.calm)
	if !r.progressed() {
		return
	}
	r.letThrough(bound, nil)
	r.readAll(record.Get)
	r.readAll(record.GetOrSet)
	r.readAll(record.GetOrSet) // what was loaded under a stamp that only one process knew is not kept
	loads := len(r.Record.Loads)
	r.readAll(record.GetOrSet)
	if again := r.Record.Loads[loads:]; len(again) > 0 && r.plan.ttl > time.Minute && r.plan.faults&clocksDiffer == 0 {
		r.Record.Report(record.Unreadable, again[0].Began.Step, "%s loads rows that have just been loaded, and everything works", again[0].Process.Name)
	}
	r.checkNoticed()
	r.closeAll()
	r.open(0) // it reads what is in the tier
	r.wait()
	r.connect(r.current[0])
	r.readAll(record.Get)
}

// checkNoticed looks whether those who were able to notice that the tier has gone back did so.
func (r *run) checkNoticed() {
	for _, b := range r.Record.Returns {
		for _, p := range r.present() {
			if b.Able[&p.Process] && b.Mended == record.NotYet {
				r.Record.Report(record.Lost, r.Step, "%s has not noticed that the tier went back at %v", p.Name(), b.At.At)
			}
		}
	}
}

// present returns the processes that are there.
func (r *run) present() (all []*processes.Process) {
	for _, p := range r.current {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// connect connects a process with the bus.
func (r *run) connect(p *processes.Process) {
	b := p.Bus
	if b.Cut && b.Up {
		b.Notice()
		r.wait()
	}
	if b.Deaf = false; !b.Up {
		b.ComeUp()
		r.wait()
	}
}

// calm reports whether nothing is under way.
func (r *run) calm() bool {
	return r.Outbox.Len() == 0 && !slices.ContainsFunc(r.Processes, func(p *processes.Process) bool {
		return !p.Dead && (p.Busy > 0 || !p.Gone && p.Pending() > 0)
	})
}

// progressed reports whether all that was under way has ended.
func (r *run) progressed() bool {
	found := len(r.Record.Found)
	for _, o := range r.Record.Ops {
		if o.Ended == record.NotYet && !o.Process.Dead {
			r.Record.Report(record.Stuck, r.Step, "%v in %s has not returned %v after everything works again", o, o.Process.Name, healTime)
		}
	}
	for _, p := range r.present() {
		if n := p.Pending(); n > 0 {
			r.Record.Report(record.Stuck, r.Step, "%d invalidations of %s are still pending %v after everything works again", n, p.Name(), healTime)
		}
	}
	if n := r.Outbox.Len(); n > 0 {
		r.Record.Report(record.Stuck, r.Step, "%d entries are in the outbox after everything works again", n)
	}
	return len(r.Record.Found) == found
}

// letThrough lets everything happen at once, in the order in which it comes, for a time or until
// it is enough.
func (r *run) letThrough(d time.Duration, enough func() bool) {
	const step = 250 * time.Millisecond
	end := r.Now() + d
	for r.Now() < end && (enough == nil || !enough()) {
		if r.letNextThrough() {
			time.Sleep(time.Microsecond)
			r.wait()
			continue
		}
		timer := time.NewTimer(min(end-r.Now(), step))
		select {
		case <-r.News():
		case <-timer.C:
		}
		timer.Stop()
		r.wait()
	}
}

// letNextThrough lets one thing happen.
func (r *run) letNextThrough() bool {
	for _, c := range r.Calls {
		switch {
		case c.Held():
			continue
		case c.Abandoned():
			r.applyToCall(vanishes, c)
		case c.State == steps.Answered:
			r.applyToCall(returns, c)
		default:
			r.applyToCall(isDone, c)
		}
		return true
	}
	for _, m := range r.Messages {
		if m.To.Running() && m.To.Bus.Ready() {
			r.Notef(nil, "%s arrives", m.Label)
			r.Deliver(m, false)
			return true
		}
	}
	return false
}

// readAll reads every row in every process.
func (r *run) readAll(kind record.Kind) {
	for _, p := range r.present() {
		for row := range r.plan.rows {
			o := &record.Op{ID: r.nextID(), Kind: kind, Machine: p.Machine, Rows: []int{row}, Final: true}
			r.finish(o, p, healTime)
			if o.Ended == record.NotYet {
				r.Record.Report(record.Stuck, r.Step, "%v in %s does not return, and everything works", o, p.Name())
				return
			}
			if o.Err != nil {
				r.Record.Report(record.Outage, r.Step, "%v in %s fails, and everything works: %v", o, p.Name(), o.Err)
			}
		}
	}
}

// nextID numbers the operations that are not in the plan.
func (r *run) nextID() int { return len(r.plan.ops) + len(r.Record.Ops) }

// finish begins an operation and lets everything through until it has ended.
func (r *run) finish(o *record.Op, p *processes.Process, limit time.Duration) {
	r.Begin(o, p)
	r.Notef(p, "%v begins", o)
	r.wait()
	r.letThrough(limit, func() bool { return o.Ended != record.NotYet })
}

// closeAll closes every process: nothing is lost, as everything works.
func (r *run) closeAll() {
	for _, p := range r.present() {
		o := &record.Op{ID: r.nextID(), Kind: record.Close, Machine: p.Machine, Final: true}
		r.finish(o, p, processes.CloseTime+time.Second)
		switch {
		case o.Ended == record.NotYet:
			r.Record.Report(record.Stuck, r.Step, "Close of %s does not return", p.Name())
		case o.Err != nil:
			r.Record.Report(record.Lost, r.Step, "Close of %s says that something is lost, and everything works: %v", p.Name(), o.Err)
		}
	}
}
