package bus

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

const (
	// minTrust is the shortest time for which memory is served unheard: servers are not asked for
	// signs of life so often that less could hold.
	minTrust = 300 * time.Millisecond
	// maxInterval is the longest time between two heartbeats.
	maxInterval = time.Second
	// gapsApart is how long after one gap the next one is told, at least: what is missed at once
	// is found out message by message.
	gapsApart = 100 * time.Millisecond
)

// A hearing is what a store knows about how well it hears the others.
//
// Somebody says something once in an interval and a half, at least: whoever has heard nothing
// for so long, himself included, sends a heartbeat. While all is well, what is heard says that
// all has arrived that was said until now, but for what is under way for a moment. All is not
// well after a silence of more than two intervals, or when a message was under way for an
// interval longer than others of its origin: then the store may be *behind*, because it was
// stopped, or is slower than what arrives, or the network is. More that is old may follow, and
// what is heard says nothing about the present. What does is a message of this store itself that
// comes back: on a bus that keeps the order of messages, all has arrived that was said before
// that was sent. If it was under way for no longer than an interval, all is well again.
type hearing struct {
	trust    time.Duration // for how long after heard memory is served
	interval time.Duration // of heartbeats
	// heard is until when all that was said has arrived, or is known to be missed. Times are
	// those of clock.Now.
	heard atomic.Int64

	mu      sync.Mutex // guards the rest
	up      bool
	since   int64 // when all that had been missed before was made up for
	told    int64 // when the last gap was told
	gap     bool  // another one is going to be
	arrived int64 // when anything was heard last
	others  int64 // when anybody else was
	behind  int64 // since when the store may be behind; 0 if all is well
	origins origins

	sent    int64 // when this store sent anything last
	counted int64 // when it sent something that counts; 0 if it has not
	echoes  int   // how many heartbeats have followed that
	jitter  *rand.Rand
	wait    time.Duration // until a heartbeat, an interval and what is random of it
	due     int64         // when the timer fires
	timer   *time.Timer
}

// start begins the work of a hearing at t. beat is called when a heartbeat may be due.
func (h *hearing) start(trust time.Duration, origin uint64, t int64, beat func()) {
	h.trust = max(trust, minTrust)
	h.interval = min(h.trust/3, maxInterval)
	h.heard.Store(t)
	h.jitter = rand.New(rand.NewPCG(origin, 0)) // not the source of the store's stamps, which it would disturb at random times
	h.wait, h.due = h.interval, clock.Never
	h.timer = time.AfterFunc(time.Hour, beat)
	h.timer.Stop()
}

// stop ends the timer.
func (h *hearing) stop() { h.timer.Stop() }

// silence is how long nothing is heard at most, if all is well.
func (h *hearing) silence() int64 { return 2 * int64(h.interval) }

// raise is called under mu.
func (h *hearing) raise(t int64) { h.heard.Store(max(t, h.heard.Load())) }

// connected says that what is said from t on arrives, and that what was missed before has been
// made up for.
func (h *hearing) connected(t int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up, h.since, h.arrived, h.others, h.behind = true, t, t, t, 0
	h.origins.learn(t)
	h.raise(t)
	h.schedule()
}

// lost says that nothing arrives any more, and may not have since t.
func (h *hearing) lost(t int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up = false
	h.heard.Store(min(t, h.heard.Load()))
}

// arrives takes note of a message before it is carried out. sent is when, if it is an own one.
// It returns why something may have been missed before it, or nil.
func (h *hearing) arrives(m *Message, own bool, sent int64) (missed error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := clock.Now()
	late := t - sent
	if !own {
		var hole bool
		if hole, late = h.origins.note(m, h.since, t); hole {
			missed = errMissed
		}
	}
	silent := t-h.arrived > h.silence()
	if silent {
		missed = errSilence
	}
	if h.behind == 0 && (silent || late > int64(h.interval)) {
		h.behind = t
	}
	h.arrived = t
	return missed
}

// carriedOut says that a message was carried out, and all that arrived before it. sent is when
// it was sent, if it is an own one.
func (h *hearing) carriedOut(own bool, sent int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if own {
		h.came(sent)
	} else {
		h.others = h.arrived
	}
	if h.behind == 0 {
		h.raise(h.arrived)
	}
	h.schedule()
}

// came says that an own message has come back. It is called under mu.
func (h *hearing) came(sent int64) {
	h.raise(sent)
	if h.behind > 0 && h.behind <= sent && h.arrived-sent <= int64(h.interval) {
		h.behind = 0
		h.origins.learn(h.arrived)
	}
}

// makeUp reports whether what was missed is to be made up for now, and if not, after how long
// another goroutine has to, if one has to.
func (h *hearing) makeUp() (now bool, later time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := clock.Now()
	switch left := clock.Span(t, clock.Add(h.told, gapsApart)); {
	case left == 0:
		h.since, h.told, h.gap = t, t, false
		return true, 0
	case h.gap:
		return false, 0
	default:
		h.gap = true
		return false, left
	}
}

// tookCounted says that the bus has taken a message that counts, and that was sent at a time.
func (h *hearing) tookCounted(sent int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent, h.counted, h.echoes = max(h.sent, sent), sent, 0
	h.schedule()
}

// beat reports whether a heartbeat is due. If so, it is sent.
func (h *hearing) beat() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := clock.Now()
	if h.up && h.behind == 0 && t-h.arrived > h.silence() {
		h.behind = t
	}
	if t < h.next() {
		return false
	}
	if t >= h.following() {
		h.echoes++
	}
	h.sent = t
	return true
}

// again waits for the next heartbeat.
func (h *hearing) again() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wait = h.interval + time.Duration(h.jitter.Int64N(int64(h.interval/2)))
	h.due = clock.Never
	h.schedule()
}

// following returns when the next heartbeat after a message that counts is due. There are two,
// after one interval and after two: if the message is lost, the others notice. It is called
// under mu.
func (h *hearing) following() int64 {
	if h.counted == 0 || h.echoes == 2 {
		return clock.Never
	}
	return clock.Add(h.counted, time.Duration(h.echoes+1)*h.interval)
}

// owed returns how many heartbeats have still to follow the last message that counts. While
// nothing arrives, nothing is taken either, most likely.
func (h *hearing) owed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counted == 0 || !h.up {
		return 0
	}
	return 2 - h.echoes
}

// next returns when a heartbeat is due, if nothing arrives until then. It is called under mu.
func (h *hearing) next() int64 {
	switch {
	case !h.up:
		return h.following()
	case h.behind > h.sent:
		return 0
	case h.behind > 0:
		return min(h.following(), clock.Add(h.sent, h.interval))
	}
	// From when this store has sent something, and not from when that came back: then one store
	// goes on, whatever the way of a message takes, and the others are silent.
	return min(h.following(), clock.Add(max(h.others, h.sent), h.wait))
}

// schedule sets the timer if it would fire too late. It is called under mu.
func (h *hearing) schedule() {
	if due := h.next(); due < h.due {
		h.due = due
		h.timer.Reset(time.Duration(max(due-clock.Now(), 0)))
	}
}
