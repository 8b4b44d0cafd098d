package runtime_test

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A reference is what the documentation says of a store, for one caller at a time:
// what is remembered of each row, in the memory of each process and in the tier
// that they share. It knows no tiers that fail, no stamps and no messages: an
// invalidation simply removes what it is about.
type reference struct {
	now      time.Duration
	l1, l2   bool
	l1TTL    time.Duration
	refresh  time.Duration // in percent of the TTL
	memory   []map[int]*remembered
	failures []map[int]*remembered // values are the numbers of failed loads
	shared   map[int]*remembered
	loads    int           // of rows, so far
	busy     time.Duration // until when loads go on behind
}

// A remembered is a value, that there is none, or that a load failed.
type remembered struct {
	value        int
	nothing      bool
	fresh, stale time.Duration // until when
	grace        time.Duration
	tags         []runtime.Tag
	expired      bool          // by a tag: it is stale although it would be fresh
	due          time.Duration // when it is to be loaded anew
	again        time.Duration // when memory has to ask the shared tier again
	retry        time.Duration // when the loader may be asked again
}

type worth int

const (
	gone worth = iota
	unasked
	graced
	good
)

func (e *remembered) worth(t time.Duration) worth {
	switch {
	case e == nil || t >= e.stale:
		return gone
	case t >= e.fresh || e.expired:
		return graced
	case t >= e.again:
		return unasked
	}
	return good
}

func newReference(processes int, l1, l2 bool) *reference {
	m := &reference{l1: l1, l2: l2, shared: map[int]*remembered{}}
	for range processes {
		m.memory, m.failures = append(m.memory, map[int]*remembered{}), append(m.failures, map[int]*remembered{})
	}
	return m
}

// places are all there is where something is remembered.
func (m *reference) places() []map[int]*remembered {
	return append(append(slices.Clone(m.memory), m.failures...), m.shared)
}

// remove removes what is about.
func (m *reference) remove(about func(row int, e *remembered) bool) {
	for _, place := range m.places() {
		for row, e := range place {
			if about(row, e) {
				delete(place, row)
			}
		}
	}
}

// expire makes stale, by a tag, what is about.
func (m *reference) expire(about func(row int, e *remembered) bool) {
	for _, place := range m.places() {
		for row, e := range place {
			switch {
			case !about(row, e):
			case e.grace > 0:
				e.expired = true
			default:
				delete(place, row)
			}
		}
	}
}

// age makes one row stale, whose grace begins now if it would have begun later.
func (m *reference) age(row int) {
	for _, place := range m.places() {
		e := place[row]
		if e == nil {
			continue
		}
		if m.now < e.fresh {
			e.fresh, e.stale = m.now, min(e.stale, add(m.now, e.grace))
		}
		e.retry, e.due = 0, never
		if e.grace <= 0 || e.stale <= m.now {
			delete(place, row)
		}
	}
}

// keep remembers what a process has loaded or set at t.
func (m *reference) keep(t time.Duration, process, row int, e remembered, c calls) {
	ttl, grace := c.ttl, c.grace
	if e.nothing {
		ttl, grace = c.missingTTL, 0
	}
	if !m.l2 && m.l1TTL > 0 {
		ttl = min(ttl, m.l1TTL)
	}
	e.fresh = add(t, ttl)
	e.stale, e.grace, e.due, e.again = add(e.fresh, grace), grace, never, never
	if m.refresh > 0 && ttl != runtime.Forever && !e.nothing {
		e.due = t + ttl*m.refresh/100
	}
	delete(m.failures[process], row)
	if m.l2 {
		m.shared[row] = &e
	}
	m.takeUp(t, process, row, &e)
}

// takeUp puts a copy into the memory of a process and returns it.
func (m *reference) takeUp(t time.Duration, process, row int, e *remembered) *remembered {
	copied := *e
	copied.again, copied.retry = never, 0
	if m.l2 && m.l1TTL > 0 {
		copied.again = t + m.l1TTL
	}
	if m.l1 {
		m.memory[process][row] = &copied
	}
	return &copied
}

func (m *reference) set(process, row, value int, c calls) {
	m.remove(func(other int, _ *remembered) bool { return other == row })
	if c.ttl > 0 {
		m.keep(m.now, process, row, remembered{value: value, tags: tagsOf(row, value, c.tags)}, c)
	}
}

// pull is what a process takes out: what the shared tier has, if there is one. What it
// does not have is gone from the memory of who asks.
func (m *reference) pull(process, row int) (value int, ok bool) {
	if !m.l2 {
		return m.get(process, row)
	}
	e := m.shared[row]
	if e.worth(m.now) < graced || e.nothing || m.now >= e.fresh || e.expired {
		if m.l1 {
			delete(m.memory[process], row)
		}
		return 0, false
	}
	return e.value, true
}

// get returns a fresh value.
func (m *reference) get(process, row int) (value int, ok bool) {
	e := m.memory[process][row]
	if e.worth(m.now) != good {
		mine, theirs := e, m.shared[row]
		e = nil
		switch theirs.worth(m.now) {
		case good:
			e = m.takeUp(m.now, process, row, theirs)
		case graced:
			if mine.worth(m.now) == gone || mine.value < theirs.value {
				m.takeUp(m.now, process, row, theirs)
			}
		}
	}
	if e == nil || e.nothing {
		return 0, false
	}
	return e.value, true
}

// An outcome is what GetOrSet returns for a row, and when.
type outcome struct {
	value   int
	nothing bool
	failed  int // the number of the load that failed
	late    bool
	at      time.Duration
}

func (e *remembered) outcome(t time.Duration) outcome {
	return outcome{value: e.value, nothing: e.nothing, at: t}
}

// getOrSet returns what a caller gets. Of two values that may stand in, the one with
// the larger number is the younger one. With several rows, other is what it may get
// as well: a value that stands in, or else the result of a load that has ended while
// the caller waited for another row.
func (m *reference) getOrSet(process, row int, c calls) (out, other outcome) {
	var standIn, was *remembered // for a load that fails, and for one that is slow
	var last *remembered         // for a load that fails when what stood in has ended meanwhile
	patient := false
	if mine := m.memory[process][row]; !c.forced {
		switch worth := mine.worth(m.now); {
		case worth == good:
			m.renew(process, row, mine, c)
			return mine.outcome(m.now), mine.outcome(m.now)
		case worth >= unasked && m.now < mine.retry:
			return mine.outcome(m.now), mine.outcome(m.now)
		case worth == graced && c.soft == 0:
			out = mine.outcome(m.now)
			m.load(process, row, mine, true, c)
			return out, out
		case worth > gone:
			standIn, was, patient = mine, mine.copied(), worth == unasked
			last = was
		default:
			if f := m.failures[process][row]; f.worth(m.now) == good && c.errorTTL > 0 {
				out = outcome{failed: f.value, at: m.now}
				return out, out
			}
		}
		switch theirs := m.shared[row]; theirs.worth(m.now) {
		case good:
			e := m.takeUp(m.now, process, row, theirs)
			delete(m.failures[process], row)
			out = e.outcome(m.now)
			m.renew(process, row, e, c)
			return out, out
		case graced:
			mine := standIn
			if mine == nil || mine.value < theirs.value { // another process has loaded since
				standIn = m.takeUp(m.now, process, row, theirs)
			}
			if mine == nil || patient {
				was, patient = standIn.copied(), false
			}
		}
	} else { // for a failure only
		patient = true
		if mine.worth(m.now) > gone && mine.grace > 0 {
			standIn, last = mine, mine
		}
		theirs := m.shared[row]
		if theirs.worth(m.now) > gone && theirs.grace > 0 && (standIn == nil || standIn.value < theirs.value) {
			standIn = theirs.copied()
		}
	}
	out = m.load(process, row, standIn, false, c)
	if (out.late || out.failed != 0) && last.worth(out.at) > gone {
		out = last.outcome(out.at)
	}
	if at := m.now + c.soft; standIn != nil && !patient && at < out.at && was.worth(at) > gone {
		return was.outcome(at), out
	}
	return out, out
}

func (e *remembered) copied() *remembered {
	if e == nil {
		return nil
	}
	c := *e
	return &c
}

// renew loads a value behind if it is due.
func (m *reference) renew(process, row int, e *remembered, c calls) {
	if m.now >= max(e.due, e.retry) && m.now < e.fresh && !e.nothing {
		m.load(process, row, e, true, c)
	}
}

// load calls the loader, unless, behind, the shared tier has something better than
// what is to be replaced. It returns what those get who wait for it to the end.
func (m *reference) load(process, row int, standIn *remembered, behind bool, c calls) outcome {
	switch theirs := m.shared[row]; {
	case !behind:
	case theirs.worth(m.now) == good && m.now < theirs.due:
		return m.takeUp(m.now, process, row, theirs).outcome(m.now)
	case theirs.worth(m.now) == graced && standIn.value < theirs.value: // another process has loaded since
		standIn = m.takeUp(m.now, process, row, theirs)
	}
	m.loads++
	end := m.now + c.delay
	m.busy = max(m.busy, end)
	timeout := m.now + c.hard
	late := c.hard > 0 && c.delay > c.hard
	out := outcome{at: end}
	if late {
		out = outcome{late: true, at: timeout}
		if standIn.worth(timeout) > gone {
			out = standIn.outcome(timeout)
			standIn.retry = timeout + c.backoff
		} else {
			m.fail(process, row, timeout, -1, c)
		}
		if !c.stubborn {
			return out
		}
	}
	ended := outcome{at: end}
	switch {
	case c.fails:
		switch {
		case standIn.worth(end) > gone:
			ended = standIn.outcome(end)
			standIn.retry = end + c.backoff
		default:
			ended.failed = c.number
			if !late {
				m.fail(process, row, end, c.number, c)
			}
		}
	case c.missing:
		ended.nothing = true
		if c.missingTTL > 0 {
			m.keep(end, process, row, remembered{nothing: true, tags: tagsOf(row, -1, c.tags)}, c)
		} else {
			delete(m.failures[process], row)
			delete(m.memory[process], row)
			delete(m.shared, row)
		}
	default:
		ended.value = c.number
		if c.ttl > 0 {
			m.keep(end, process, row, remembered{value: c.number, tags: tagsOf(row, c.number, c.tags)}, c)
		}
	}
	if late {
		return out
	}
	return ended
}

// fail remembers a failure; of a load that took too long, its number is -1.
func (m *reference) fail(process, row int, t time.Duration, number int, c calls) {
	if c.errorTTL > 0 {
		until := add(t, c.errorTTL)
		m.failures[process][row] = &remembered{value: number, fresh: until, stale: until, again: never, tags: tagsOf(row, -1, c.tags)}
	}
}
