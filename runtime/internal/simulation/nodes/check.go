package nodes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A Promise is what a run has found broken.
type Promise uint8

// The promises, of which section 4 of the documentation of a cache is made.
const (
	// OwnStale: a process reads nothing that is older than its own invalidation, which has
	// returned.
	OwnStale Promise = iota + 1
	// Stale: nor does another one, when it has heard of the invalidation, or a bounded time
	// after it.
	Stale
	// Lost: an invalidation that has returned, or was queued, is seen when everything works
	// again, and Close says which are lost.
	Lost
	// TwoLoads: one load of a key at a time, in all processes.
	TwoLoads
	// Uncommitted: nobody sees what a transaction has not committed, and it sees its own changes.
	Uncommitted
	// PastItsEnd: nothing is served after its TTL and grace.
	PastItsEnd
	// Outage: a read fails only because its loader does.
	Outage
	// Stuck: every call returns when everything works again, and the outbox becomes empty.
	Stuck
	// Unreadable: what was loaded can be read again, when everything works.
	Unreadable
	// Panic: nothing panics.
	Panic
)

var promiseNames = [...]string{
	OwnStale: "own stale read", Stale: "stale read", Lost: "lost invalidation", TwoLoads: "two loads at once",
	Uncommitted: "read of what is not committed",
	PastItsEnd:  "read past its end", Outage: "a read fails", Stuck: "no progress", Unreadable: "nothing is cached", Panic: "panic",
}

func (p Promise) String() string { return promiseNames[p] }

// A Violation is a promise that was broken.
type Violation struct {
	Promise Promise
	What    string
	step    int // when it was seen
}

func (v Violation) String() string { return v.Promise.String() + ": " + v.What }

// report notes that a promise was broken in a step.
func (r *run) report(p Promise, step int, format string, args ...any) {
	r.found = append(r.found, Violation{p, fmt.Sprintf(format, args...), step})
}

// bound is how long after an invalidation another process may read what was before it, whatever
// keeps the message from it.
const bound = 2*stampTrust + 2*tierTimeout + busLatency

// check looks for broken promises in what has happened.
func (r *run) check() {
	for _, o := range r.ops {
		if o.panic != nil {
			r.report(Panic, o.ended.step, "%v in %s: %v", o, o.node.name, o.panic)
		}
		if o.ended.step == never {
			continue
		}
		if o.kind.changes() {
			r.checkChange(o)
			continue
		}
		if o.kind == shutDown {
			continue
		}
		r.checkError(o)
		for _, row := range o.rows {
			if v, ok := o.got[row]; ok && v < 0 {
				r.report(Uncommitted, o.ended.step, "%v in %s read the uncommitted change of c%d", o, o.node.name, -1-v)
			} else if ok {
				r.checkRead(o, row, v)
				r.checkEnd(o, row, v)
			}
		}
	}
	r.checkLoads()
}

// checkChange looks whether a change had to get its error: it says only that somebody was not
// reached.
func (r *run) checkChange(o *op) {
	var failed *runtime.InvalidationError
	switch {
	case o.err == nil, errors.As(o.err, &failed), errors.Is(o.err, runtime.ErrClosed) && r.closing(o.node):
	case o.kind == transact:
		r.report(Uncommitted, o.ended.step, "%v in %s: %v", o, o.node.name, o.err)
	default:
		r.report(Outage, o.ended.step, "%v in %s: %v", o, o.node.name, o.err)
	}
}

// checkRead looks for invalidations that should have kept a client from reading a version.
func (r *run) checkRead(o *op, row, version int) {
	for _, i := range r.ops {
		needs, touches := i.needs[row]
		if !touches || version >= needs || !i.ended.before(o.began) || r.wasSet(row, version, i) {
			continue
		}
		if i.kind.expires() && o.kind != get && o.kind != getMany && r.plan.grace > 0 {
			continue // a grace value
		}
		read := fmt.Sprintf("%v in %s began at %v and read version %d of row %d; %v in %s, which needs version %d, had returned %s at %v",
			o, o.node.name, o.began.at, version, row, i, i.node.name, needs, i.outcome(), i.ended.at)
		switch {
		case o.node == i.node:
			r.report(OwnStale, o.ended.step, "%s", read)
		case o.final && !r.isLost(i):
			r.report(Lost, o.ended.step, "%s", read)
		case i.err == nil && r.heard(i, o):
			r.report(Stale, o.ended.step, "%s; %s had heard of it", read, o.node.name)
		case i.err == nil && o.began.at > i.ended.at+bound && !r.failed(o):
			r.report(Stale, o.ended.step, "%s; the bound is %v", read, bound)
		}
	}
}

// wasSet reports whether a version was set by an operation that may count as a later one than
// i: which of the two is, nobody can know.
func (r *run) wasSet(row, version int, i *op) bool {
	return slices.ContainsFunc(r.ops, func(s *op) bool {
		return s.kind == set && s.rows[0] == row && s.wrote[row] == version &&
			(!s.ended.before(i.began) || s.err != nil && s.node.dead)
	})
}

// isLost reports whether an invalidation may be lost: its process has died before it was carried
// out, or has said so when it was closed.
func (r *run) isLost(i *op) bool {
	if i.ended.step == never || i.err != nil && i.node.dead {
		return true
	}
	for _, o := range r.ops {
		if o.kind == shutDown && o.node == i.node && o.err != nil && i.err != nil {
			return true
		}
	}
	return false
}

// heard reports whether the process of a read knew of an invalidation when it began: every
// message of it had arrived.
func (r *run) heard(i, o *op) bool {
	told := i.told[o.node]
	for _, t := range told {
		if !t.heard || t.step >= o.began.step {
			return false
		}
	}
	return len(told) > 0
}

// failed reports whether what the client read may be what is served if nothing answers: the
// loader has failed.
func (r *run) failed(o *op) bool {
	return slices.ContainsFunc(r.loads, func(ld *loading) bool {
		return ld.err != nil && ld.node == o.node && !ld.ended.before(o.began) && slices.Contains(ld.rows, o.rows[0])
	})
}

// checkEnd looks whether a client has read a version past its end.
func (r *run) checkEnd(o *op, row, version int) {
	life := r.plan.ttl
	if o.kind != get && o.kind != getMany {
		life += r.plan.grace
	}
	if r.plan.faults&(clocksDiffer|clockSteps) != 0 {
		life += r.plan.ttl + r.plan.grace // what is read from the tier lasts for as long again
	}
	last := time.Duration(-1)
	for _, ld := range r.loads {
		if v, ok := ld.found[row]; ok && v.Version == version && ld.began.before(o.ended) {
			last = max(last, min(ld.ended.at, o.ended.at))
		}
	}
	for _, s := range r.ops {
		if s.kind == set && s.wrote[row] == version && s.began.before(o.ended) {
			last = max(last, min(s.ended.at, o.ended.at))
		}
	}
	switch {
	case last < 0:
		r.report(PastItsEnd, o.ended.step, "%v in %s read version %d of row %d, which nobody has loaded", o, o.node.name, version, row)
	case o.began.at > last+life:
		r.report(PastItsEnd, o.ended.step, "%v in %s began at %v and read version %d of row %d, which was loaded at %v the last time", o, o.node.name, o.began.at, version, row, last)
	}
}

// checkError looks whether a client had to get its error.
func (r *run) checkError(o *op) {
	var failed *errLoad
	switch {
	case o.err == nil, errors.As(o.err, &failed):
	case errors.Is(o.err, runtime.ErrClosed) && r.closing(o.node):
	case errors.Is(o.err, runtime.ErrTimeout) && r.tookLong(o):
	default:
		r.report(Outage, o.ended.step, "%v in %s: %v", o, o.node.name, o.err)
	}
}

// tookLong reports whether a load of what a client has asked for may have exceeded its limit:
// somebody in its process has waited for so long.
func (r *run) tookLong(o *op) bool {
	return !o.final && slices.ContainsFunc(r.ops, func(other *op) bool {
		_, both := common(other.rows, o.rows)
		return both && other.node == o.node && !other.ended.before(o.began) && other.began.at+maxLoadTime <= o.ended.at
	})
}

// closing reports whether a process was told to close.
func (r *run) closing(n *node) bool {
	return slices.ContainsFunc(r.ops, func(o *op) bool { return o.kind == shutDown && o.node == n })
}

// checkLoads looks for two loads of a row at once, in runs in which nothing goes wrong: each
// process waits for the other's load.
func (r *run) checkLoads() {
	if r.plan.faults&^(tierSplits|memoryEvicts|busDoubles|clocksDiffer) != 0 {
		return
	}
	for i, a := range r.loads {
		for _, b := range r.loads[i+1:] {
			row, both := common(a.rows, b.rows)
			if !both || !b.began.before(a.ended) || a.node == b.node || b.op == nil || a.op == nil || r.changedSince(row, a, b) {
				continue
			}
			if b.op.kind == forced || a.op.kind == forced || b.began.at > b.op.began.at+time.Second {
				continue
			}
			r.report(TwoLoads, b.began.step, "%s loads %s from %v to %v, and %s from %v on", a.node.name, texts(a.rows), a.began.at, a.ended.at, b.node.name, b.began.at)
		}
	}
}

// common returns a row that is in both.
func common(a, b []int) (row int, ok bool) {
	for _, row := range a {
		if slices.Contains(b, row) {
			return row, true
		}
	}
	return 0, false
}

// changedSince reports whether a row was changed while one of two loads was under way, or the
// clients that asked for them.
func (r *run) changedSince(row int, a, b *loading) bool {
	since := min(a.op.began.step, b.op.began.step)
	return slices.ContainsFunc(r.ops, func(i *op) bool {
		_, touches := i.needs[row]
		return touches && i.ended.step > since && i.began.before(b.ended)
	})
}

// summary writes violations, a line each.
func summary(found []Violation) string {
	var b strings.Builder
	for _, v := range found[:min(len(found), 5)] {
		fmt.Fprintln(&b, v)
	}
	return b.String()
}
