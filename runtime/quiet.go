package runtime

import (
	"sync"
	"time"
)

// quiet lets one message of a kind through each second and counts the rest.
type quiet struct {
	mu    sync.Mutex
	kinds map[string]*muted
}

type muted struct {
	until time.Time
	held  int
}

// may reports whether to speak now, and how many times it kept still before.
func (q *quiet) may(kind string) (held int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.kinds[kind]
	if m == nil {
		if q.kinds == nil {
			q.kinds = make(map[string]*muted)
		}
		m = &muted{}
		q.kinds[kind] = m
	}
	if t := time.Now(); t.After(m.until) {
		held, m.held = m.held, 0
		m.until = t.Add(time.Second)
		return held, true
	}
	m.held++
	return 0, false
}

// warn logs that something went wrong which no caller is told, at most once a
// second for each message.
func (s *Store) warn(message string, err error, attrs ...any) {
	held, ok := s.quiet.may(message)
	if !ok {
		return
	}
	attrs = append(attrs, "err", err)
	if held > 0 {
		attrs = append(attrs, "more", held)
	}
	s.log.Load().Warn("cachegen: "+message, attrs...)
}
