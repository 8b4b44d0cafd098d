package runs

import (
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/processes"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// apply lets an event happen. d is how much time passes, in one that is about time.
func (r *run) apply(e *event, d time.Duration) {
	if e.fault {
		r.faults++
	}
	if e.call != nil {
		r.applyToCall(e.kind, e.call)
		return
	}
	switch p := e.process; e.kind {
	case begins:
		r.begun[e.op.ID] = true
		r.Begin(e.op, p)
		r.Notef(p, "%v begins%s", e.op, e.op.WroteText())
		return
	case timePasses:
		r.passTime(d, true)
		return
	case timeRuns:
		r.passTime(d, false)
	case opens:
		r.open(e.machine)
	case stops:
		p.Stop()
	case goesOn:
		p.GoOn()
	case dies:
		p.Crash()
	case losesBus:
		p.Bus.Lose()
	case noticesLoss:
		p.Bus.Notice()
	case findsBus:
		p.Bus.ComeUp()
	case goesDeaf:
		p.Bus.Deafen()
	case hearsAgain:
		p.Bus.Deaf = false
	case losesTier:
		p.CutOff = true
	case findsTier:
		p.CutOff = false
	case forgets:
		p.Memory.Evict(e.key)
	case arrives:
		r.Deliver(e.message, false)
	case arrivesTwice:
		r.Deliver(e.message, true)
	case isLost:
		r.Drop(e.message)
	case evicts:
		r.Tier.Evict(e.key)
	case keepsCopy:
		r.KeepCopy()
	case goesBack:
		r.GoBack()
	case clockIsSet:
		r.setClock(e.by)
	}
	r.Notef(nil, "%s", e.label())
}

// applyToCall lets something become of a call.
func (r *run) applyToCall(kind eventKind, c *steps.Call) {
	switch kind {
	case takesEffect:
		c.Take(c.Open())
	case partly:
		c.Take(1)
	case isDone:
		c.Take(c.Open())
		c.Reply(c.Err)
	case comesLate:
		c.Take(c.Open())
		c.State = steps.Ended
	case returns:
		c.Reply(c.Err)
	case breaks, breaksLate:
		if c.Commits {
			c.Reply(processes.ErrUnclear)
		} else {
			c.Reply(processes.ErrDisconnected)
		}
	case isRefused:
		c.Reply(drivers.Answered(errRefused))
	case isRepeated:
		c.Take(c.Open())
		c.Again()
	case vanishes:
		c.State = steps.Ended
	case fails:
		if c.Commits {
			c.Reply(processes.ErrRolledBack)
		} else {
			c.Reply(&record.LoadError{Load: c.Label})
		}
	case hangs:
		c.Hangs = true
	}
	if r.Note == nil {
		return
	}
	text := strings.TrimPrefix(c.Label, c.Party.Name+" ")
	switch kind {
	case takesEffect, partly, isDone, comesLate:
		if c.Result != nil {
			text += ": " + c.Result() + ":"
		}
	}
	r.Notef(r.partyOf(c), "%s %s", text, verbs[kind])
}
