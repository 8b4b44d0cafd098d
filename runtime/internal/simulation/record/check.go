package record

import (
	"errors"
	"fmt"
	"slices"
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
	Step    int // when it was seen
}

func (v Violation) String() string { return v.Promise.String() + ": " + v.What }

// Report notes that a promise was broken in a step.
func (r *Run) Report(p Promise, step int, format string, args ...any) {
	r.Found = append(r.Found, Violation{p, fmt.Sprintf(format, args...), step})
}

// Check looks for broken promises in what has happened.
func (r *Run) Check() {
	for _, o := range r.Ops {
		if o.Panic != nil {
			r.Report(Panic, o.Ended.Step, "%v in %s: %v", o, o.Process.Name, o.Panic)
		}
		if o.Ended.Step == Never {
			continue
		}
		if o.Kind.Changes() {
			r.checkChange(o)
			continue
		}
		if o.Kind == Close {
			continue
		}
		r.checkError(o)
		for _, row := range o.Rows {
			if v, ok := o.Got[row]; ok && v < 0 {
				r.Report(Uncommitted, o.Ended.Step, "%v in %s read the uncommitted change of c%d", o, o.Process.Name, -1-v)
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
func (r *Run) checkChange(o *Op) {
	var failed *runtime.InvalidationError
	switch {
	case o.Err == nil, errors.As(o.Err, &failed), errors.Is(o.Err, runtime.ErrClosed) && r.closing(o.Process):
	case o.Kind == Transaction:
		r.Report(Uncommitted, o.Ended.Step, "%v in %s: %v", o, o.Process.Name, o.Err)
	default:
		r.Report(Outage, o.Ended.Step, "%v in %s: %v", o, o.Process.Name, o.Err)
	}
}

// checkRead looks for invalidations that should have kept a client from reading a version.
func (r *Run) checkRead(o *Op, row, version int) {
	for _, i := range r.Ops {
		needs, touches := i.Needs[row]
		kept := i.Kept && o.Final
		if !touches || version >= needs || !kept && (!i.Ended.Before(o.Began) || i.refused()) || r.wasSet(row, version, i) || r.undone(i, o) {
			continue
		}
		if i.Kind.expires() && o.Kind.loads() && r.Grace > 0 {
			continue // a grace value
		}
		returned := "is committed"
		if i.Ended != NotYet {
			returned = fmt.Sprintf("had returned %s at %v", i.Outcome(), i.Ended.At)
		}
		read := fmt.Sprintf("%v in %s began at %v and read version %d of row %d; %v in %s, which needs version %d, %s",
			o, o.Process.Name, o.Began.At, version, row, i, i.Process.Name, needs, returned)
		switch {
		case o.Process == i.Process && i.Ended.Before(o.Began):
			r.Report(OwnStale, o.Ended.Step, "%s", read)
		case o.Final && !r.isLost(i):
			r.Report(Lost, o.Ended.Step, "%s", read)
		case i.Err == nil && r.heard(i, o):
			r.Report(Stale, o.Ended.Step, "%s; %s had heard of it", read, o.Process.Name)
		case i.Err == nil && o.Began.At > i.Ended.At+r.Bound && !r.failed(o):
			r.Report(Stale, o.Ended.Step, "%s; the bound is %v", read, r.Bound)
		}
	}
}

// refused reports whether a closed store has not taken a change: its error says so.
func (o *Op) refused() bool {
	var failed *runtime.InvalidationError
	return errors.Is(o.Err, runtime.ErrClosed) && !errors.As(o.Err, &failed)
}

// undone reports whether the tier may have lost an invalidation before a read, and has not told
// that. A process notices by its counter, in bounded time, if that was lost, too, and then makes up for
// it, for all processes. Until then, any may read what has come back.
func (r *Run) undone(i, o *Op) bool {
	return !r.Tells && slices.ContainsFunc(r.Returns, func(b *Return) bool {
		if i.Err == nil && i.Ended.Before(b.Copied) || !i.Began.Before(b.At) {
			return false
		}
		noticed := b.Able[o.Process] && o.Began.At > b.At.At+r.Notice
		return !noticed && (!b.Mended.Before(o.Began) || o.Began.At <= b.Mended.At+r.Bound)
	})
}

// wasSet reports whether a version was set by an operation that may count as a later one than
// i: which of the two is, nobody can know.
func (r *Run) wasSet(row, version int, i *Op) bool {
	return slices.ContainsFunc(r.Ops, func(s *Op) bool {
		return s.Kind == Set && s.Rows[0] == row && s.Wrote[row] == version &&
			(!s.Ended.Before(i.Began) || s.Err != nil && s.Process.Dead)
	})
}

// isLost reports whether an invalidation may be lost: its process has died before it was carried
// out, or has said so when it was closed.
func (r *Run) isLost(i *Op) bool {
	if i.Kept {
		return false
	}
	if i.Ended.Step == Never || i.Err != nil && i.Process.Dead {
		return true
	}
	for _, o := range r.Ops {
		if o.Kind == Close && o.Process == i.Process && o.Err != nil && i.Err != nil {
			return true
		}
	}
	return false
}

// heard reports whether the process of a read knew of an invalidation when it began: every
// message of it had arrived.
func (r *Run) heard(i, o *Op) bool {
	told := i.Told[o.Process]
	for _, t := range told {
		if !t.Heard || t.Step >= o.Began.Step {
			return false
		}
	}
	return len(told) > 0
}

// failed reports whether what the client read may be what is served if nothing answers: the
// loader has failed.
func (r *Run) failed(o *Op) bool {
	return slices.ContainsFunc(r.Loads, func(ld *Load) bool {
		return ld.Err != nil && ld.Process == o.Process && !ld.Ended.Before(o.Began) && slices.Contains(ld.Rows, o.Rows[0])
	})
}

// checkEnd looks whether a client has read a version past its end.
func (r *Run) checkEnd(o *Op, row, version int) {
	life := r.TTL
	if o.Kind.loads() {
		life += r.Grace
	}
	if !r.ClocksAgree {
		life += r.TTL + r.Grace // what is read from the tier lasts for as long again
	}
	last := time.Duration(-1)
	for _, ld := range r.Loads {
		if v, ok := ld.Found[row]; ok && v == version && ld.Began.Before(o.Ended) {
			last = max(last, min(ld.Ended.At, o.Ended.At))
		}
	}
	for _, s := range r.Ops {
		if s.Kind == Set && s.Wrote[row] == version && s.Began.Before(o.Ended) {
			last = max(last, min(s.Ended.At, o.Ended.At))
		}
	}
	switch {
	case last < 0:
		r.Report(PastItsEnd, o.Ended.Step, "%v in %s read version %d of row %d, which nobody has loaded", o, o.Process.Name, version, row)
	case o.Began.At > last+life:
		r.Report(PastItsEnd, o.Ended.Step, "%v in %s began at %v and read version %d of row %d, which was loaded at %v the last time", o, o.Process.Name, o.Began.At, version, row, last)
	}
}

// checkError looks whether a client had to get its error.
func (r *Run) checkError(o *Op) {
	var failed *LoadError
	switch {
	case o.Err == nil, errors.As(o.Err, &failed):
	case errors.Is(o.Err, runtime.ErrClosed) && r.closing(o.Process):
	case errors.Is(o.Err, runtime.ErrTimeout) && r.tookLong(o):
	default:
		r.Report(Outage, o.Ended.Step, "%v in %s: %v", o, o.Process.Name, o.Err)
	}
}

// tookLong reports whether a load of what a client has asked for may have exceeded its limit:
// somebody in its process has waited for so long.
func (r *Run) tookLong(o *Op) bool {
	return !o.Final && slices.ContainsFunc(r.Ops, func(other *Op) bool {
		_, both := common(other.Rows, o.Rows)
		return both && other.Process == o.Process && !other.Ended.Before(o.Began) && other.Began.At+r.MaxLoadTime <= o.Ended.At
	})
}

// closing reports whether a process was told to close.
func (r *Run) closing(n *Process) bool {
	return slices.ContainsFunc(r.Ops, func(o *Op) bool { return o.Kind == Close && o.Process == n })
}

// checkLoads looks for two loads of a row at once, in runs in which nothing goes wrong: each
// process waits for the other's load.
func (r *Run) checkLoads() {
	if !r.Healthy {
		return
	}
	for i, a := range r.Loads {
		for _, b := range r.Loads[i+1:] {
			row, both := common(a.Rows, b.Rows)
			if !both || !b.Began.Before(a.Ended) || a.Process == b.Process || b.Op == nil || a.Op == nil || r.changedSince(row, a, b) {
				continue
			}
			if b.Op.Kind == ForceFresh || a.Op.Kind == ForceFresh || b.Began.At > b.Op.Began.At+time.Second {
				continue
			}
			r.Report(TwoLoads, b.Began.Step, "%s loads %s from %v to %v, and %s from %v on", a.Process.Name, RowsText(a.Rows), a.Began.At, a.Ended.At, b.Process.Name, b.Began.At)
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

// changedSince reports whether a row was changed, or one of the processes has heard that it was,
// while one of two loads was under way, or the clients that asked for them.
func (r *Run) changedSince(row int, a, b *Load) bool {
	since := min(a.Op.Began.Step, b.Op.Began.Step)
	return slices.ContainsFunc(r.Ops, func(i *Op) bool {
		_, touches := i.Needs[row]
		if !touches || !i.Began.Before(b.Ended) {
			return false
		}
		late := func(t Telling) bool { return !t.Heard || t.Step >= since }
		return i.Ended.Step > since || slices.ContainsFunc(i.Told[a.Process], late) || slices.ContainsFunc(i.Told[b.Process], late)
	})
}
