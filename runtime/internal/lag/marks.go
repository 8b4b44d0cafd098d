// Package lag knows what has changed so lately that a load may still read what was there before,
// because it reads from a replica of the database that lags behind. What is loaded then is not kept.
//
// [Marks] are what this process has changed, or has heard of. What is marked lags for their span; a
// load asks when it begins. A change marks what it concerns before it poisons the flights, so that a
// load which has seen no mark is poisoned by the change. A [Tier] holds it back in the shared tier,
// which ends that by itself: so it holds whoever loads, also if he has not heard of the change, and
// if the process that has made it is gone.
//
// One mutex guards the marks, and is held for a few instructions. While nothing is marked, no
// lock is taken. No more than [most] names are remembered: beyond that everything lags.
package lag

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// most is how many names are remembered.
const most = 100_000

// A Name is what can lag.
type Name struct {
	Stamp bool   // it is the name of a stamp, or else a key
	Text  string // of the stamp or key
}

// Marks are those of one store. Use [New]. A nil *Marks is that of a store whose loaders read what
// was written last.
type Marks struct {
	span, load time.Duration

	last atomic.Int64 // of clock.Mono: until when anything lags

	mu    sync.Mutex
	until map[Name]int64
	order []Name // by the time of their first mark that is not forgotten
	times []int64
	all   int64 // until when everything lags
}

// New returns marks that last for a span; nil if that is not positive. They are remembered for as
// long as a load lasts after that: a load may find out at its end what could have lagged when it
// began.
func New(span, load time.Duration) *Marks {
	if span <= 0 {
		return nil
	}
	return &Marks{span: span, load: load, until: make(map[Name]int64)}
}

// Keys says that keys have just been changed.
func (m *Marks) Keys(keys []string) { m.mark(keys, false) }

// Stamps says that stamps have just been changed.
func (m *Marks) Stamps(names []string) { m.mark(names, true) }

func (m *Marks) mark(texts []string, stamp bool) {
	if m == nil || len(texts) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := clock.Mono()
	end := clock.Add(t, m.span)
	m.forget(t)
	if len(m.order)+len(texts) > most {
		clear(m.until)
		m.order, m.times, m.all = nil, nil, end
	} else {
		for _, text := range texts {
			n := Name{stamp, text}
			m.until[n] = end
			m.order, m.times = append(m.order, n), append(m.times, end)
		}
	}
	m.last.Store(end)
}

// All says that anything may just have been changed.
func (m *Marks) All() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.until)
	m.all = clock.Add(clock.Mono(), m.span)
	m.order, m.times = nil, nil
	m.last.Store(m.all)
}

// forget forgets what no load can ask for any more at t. It is called under mu.
func (m *Marks) forget(t int64) {
	n := 0
	for ; n < len(m.order) && clock.Add(m.times[n], m.load) <= t; n++ {
		if name := m.order[n]; clock.Add(m.until[name], m.load) <= t { // or it was marked once more
			delete(m.until, name)
		}
	}
	m.order, m.times = m.order[n:], m.times[n:]
}

// Any reports whether one of names lags now: what a load that begins now returns may be from
// before its last change.
func (m *Marks) Any(names ...Name) bool {
	if m == nil {
		return false
	}
	return m.AnyAt(clock.Mono(), names...)
}

// AnyAt is [Marks.Any] for a load that has begun at t of clock.Mono, not long ago.
func (m *Marks) AnyAt(t int64, names ...Name) bool {
	if m == nil || m.last.Load() <= t {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all > t {
		return true
	}
	for _, n := range names {
		if m.until[n] > t {
			return true
		}
	}
	return false
}
