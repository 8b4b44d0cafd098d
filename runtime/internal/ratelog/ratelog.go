// Package ratelog keeps something that fails all the time from flooding a log.
//
// The limiter's mutex guards its map. It is not held while anything is logged.
package ratelog

import (
	"sync"
	"time"
)

// A Limiter lets one message of each text through per second and counts the rest. The
// zero Limiter is ready. It keeps every text that it has seen: texts are constants of
// the program, not data.
type Limiter struct {
	mu    sync.Mutex
	texts map[string]*limit
}

type limit struct {
	until      time.Time
	suppressed int
}

// Allow reports whether a message may be logged now, and how many of the same text were
// suppressed since the last one.
func (l *Limiter) Allow(text string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.texts[text]
	if m == nil {
		if l.texts == nil {
			l.texts = make(map[string]*limit)
		}
		m = &limit{}
		l.texts[text] = m
	}
	if t := time.Now(); t.After(m.until) {
		suppressed, m.suppressed = m.suppressed, 0
		m.until = t.Add(time.Second)
		return suppressed, true
	}
	m.suppressed++
	return 0, false
}
