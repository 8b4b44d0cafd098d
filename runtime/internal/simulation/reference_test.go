package simulation

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// A reference is what the documentation says of a store, for one caller at a time: what is
// cached of each row, in the memory of each process and in the tier that they share. It
// knows no tier that fails, no stamps and no messages: an invalidation simply removes what
// it is about.
type reference struct {
	now            time.Duration // since the run began
	hasL1, hasL2   bool
	l1TTL          time.Duration // 0: none
	refreshPercent time.Duration // of the TTL, after which a row is due for a refresh; 0: never
	memory         []map[int]*cached
	failures       []map[int]*cached // their version is that of the failed load
	shared         map[int]*cached
	backOffs       []map[int]cached // of each process: those of rows that are not in its memory

	loads int           // of rows, so far
	busy  time.Duration // until when loads go on in the background
}

// A cached is a row in one place: a version, that there is no row, or that a load failed.
type cached struct {
	version      int64
	notFound     bool
	fresh, stale time.Duration // until when
	grace        time.Duration
	tags         []runtime.Tag
	expired      bool          // by a tag: it is stale although it would be fresh
	refreshAt    time.Duration // from when on it is due for a refresh
	verifyAt     time.Duration // from when on memory has to ask the shared tier first
	retryAt      time.Duration // from when on the loader may be asked, after it has failed
}

// A state is what a cached row is good for.
type state int

const (
	gone       state = iota
	unverified       // fresh, if the shared tier has nothing newer
	stale            // a grace value
	fresh
)

func (e *cached) state(at time.Duration) state {
	switch {
	case e == nil || at >= e.stale:
		return gone
	case at >= e.fresh || e.expired:
		return stale
	case at >= e.verifyAt:
		return unverified
	}
	return fresh
}

func (e *cached) clone() *cached {
	if e == nil {
		return nil
	}
	c := *e
	return &c
}

func newReference(processes int, hasL1, hasL2 bool) *reference {
	m := &reference{hasL1: hasL1, hasL2: hasL2, shared: map[int]*cached{}}
	for range processes {
		m.backOffs = append(m.backOffs, map[int]cached{})
		m.memory, m.failures = append(m.memory, map[int]*cached{}), append(m.failures, map[int]*cached{})
	}
	return m
}

// tagsOf returns the tags of a row: those that its key and the call tell, and the one that
// its version tells, if there is one.
func tagsOf(row int, version int64, given []runtime.Tag) []runtime.Tag {
	tags := append([]runtime.Tag{rowTag(row)}, given...)
	if version != noVersion {
		tags = append(tags, groupTag(groupOf(version)))
	}
	return tags
}

// noVersion is that of a failure, or of a row that is not there.
const noVersion = -1

// groupOf is the group of a version, in the simulation of one caller.
func groupOf(version int64) int { return int(version % 2) }

// places are all where something is cached.
func (m *reference) places() []map[int]*cached {
	return append(append(slices.Clone(m.memory), m.failures...), m.shared)
}

// remove removes what is about.
func (m *reference) remove(about func(row int, e *cached) bool) {
	for _, place := range m.places() {
		for row, e := range place {
			if about(row, e) {
				delete(place, row)
			}
		}
	}
}

// expireTagged makes stale, by a tag, what is about.
func (m *reference) expireTagged(about func(row int, e *cached) bool) {
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

// expire makes one row stale, whose grace begins now if it would have begun later.
func (m *reference) expire(row int) {
	for _, backOffs := range m.backOffs {
		delete(backOffs, row)
	}
	for _, place := range m.places() {
		e := place[row]
		if e == nil {
			continue
		}
		if m.now < e.fresh {
			e.fresh, e.stale = m.now, min(e.stale, history.Later(m.now, e.grace))
		}
		e.retryAt, e.refreshAt = 0, history.Never
		if e.grace <= 0 || e.stale <= m.now {
			delete(place, row)
		}
	}
}

// evict loses a row of the shared tier.
func (m *reference) evict(row int) { delete(m.shared, row) }

// put caches what a process has loaded or set at a time.
func (m *reference) put(at time.Duration, process, row int, e cached, c call) {
	ttl, grace := c.ttl, c.grace
	if e.notFound {
		ttl, grace = c.notFoundTTL, 0
	}
	if !m.hasL2 && m.l1TTL > 0 {
		ttl = min(ttl, m.l1TTL)
	}
	e.fresh = history.Later(at, ttl)
	e.stale, e.grace, e.refreshAt, e.verifyAt = history.Later(e.fresh, grace), grace, history.Never, history.Never
	if m.refreshPercent > 0 && ttl != runtime.Forever && !e.notFound {
		e.refreshAt = at + ttl*m.refreshPercent/100
	}
	delete(m.failures[process], row)
	if m.hasL2 {
		m.shared[row] = &e
	}
	m.putMemory(at, process, row, &e)
}

// putMemory puts a copy into the memory of a process, if it has one, and returns it.
func (m *reference) putMemory(at time.Duration, process, row int, e *cached) *cached {
	copied := e.clone()
	copied.verifyAt, copied.retryAt = history.Never, 0
	if m.hasL2 && m.l1TTL > 0 {
		copied.verifyAt = at + m.l1TTL
	}
	if m.hasL1 {
		m.memory[process][row] = copied
	}
	return copied
}

// backOff says that the loader is not to be asked before a time while e is all there is.
func (m *reference) backOff(at time.Duration, process, row int, e *cached, d time.Duration) {
	e.retryAt = at + d
	if d > 0 && m.memory[process][row] != e {
		m.backOffs[process][row] = *e
	}
}

// recall tells a row that was read from the shared tier of its back-off.
func (m *reference) recall(process, row int, e *cached) *cached {
	if b, ok := m.backOffs[process][row]; ok && b.version == e.version && b.fresh == e.fresh && m.now < b.retryAt {
		e.retryAt = b.retryAt
	}
	return e
}

// putFailure remembers the failure of a load.
func (m *reference) putFailure(at time.Duration, process, row int, version int64, c call) {
	if c.errorTTL > 0 {
		until := history.Later(at, c.errorTTL)
		m.failures[process][row] = &cached{version: version, fresh: until, stale: until, verifyAt: history.Never, tags: tagsOf(row, noVersion, c.tags)}
	}
}

func (m *reference) set(process, row int, version int64, c call) {
	m.remove(func(other int, _ *cached) bool { return other == row })
	if c.ttl > 0 {
		m.put(m.now, process, row, cached{version: version, tags: tagsOf(row, version, c.tags)}, c)
	}
}

// pull takes a row out.
func (m *reference) pull(process, row int) (version int64, ok bool) {
	version, ok = m.pullable(process, row)
	if ok {
		m.remove(func(other int, _ *cached) bool { return other == row })
	}
	return version, ok
}

// pullable returns what the shared tier has, if there is one. What that does not have is
// gone from the memory of who asks.
func (m *reference) pullable(process, row int) (version int64, ok bool) {
	if !m.hasL2 {
		return m.get(process, row)
	}
	e := m.shared[row]
	if e.state(m.now) < stale || e.notFound || m.now >= e.fresh || e.expired {
		if m.hasL1 {
			delete(m.memory[process], row)
		}
		return 0, false
	}
	return e.version, true
}

// get returns a fresh version.
func (m *reference) get(process, row int) (version int64, ok bool) {
	e := m.memory[process][row]
	if e.state(m.now) != fresh {
		mine, theirs := e, m.shared[row]
		e = nil
		switch theirs.state(m.now) {
		case fresh:
			e = m.putMemory(m.now, process, row, theirs)
		case stale:
			if mine.state(m.now) == gone || mine.version < theirs.version {
				m.putMemory(m.now, process, row, theirs)
			}
		}
	}
	if e == nil || e.notFound {
		return 0, false
	}
	return e.version, true
}
