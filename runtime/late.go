package runtime

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/recovery"
)

// late remembers the keys of writes that have failed and may still take effect: a
// server may have got what its client gave up. A change of such a key is not over
// when it has succeeded; it is pending until nothing can land after it any more.
type late struct {
	n     atomic.Int64
	mu    sync.Mutex
	until map[string]int64
	all   int64 // until when any key may be one of them
	last  int64 // until when there may be any
}

// maxLate bounds how many keys are remembered one by one.
const maxLate = 10_000

// add remembers keys until a time.
func (l *late) add(keys []string, until int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = make(map[string]int64)
	}
	l.last = max(l.last, until)
	if len(l.until)+len(keys) > maxLate {
		l.forget()
	}
	if len(l.until)+len(keys) > maxLate {
		l.all = max(l.all, until)
	} else {
		for _, key := range keys {
			l.until[key] = until
		}
	}
	l.count()
}

// forget is called under mu. It forgets what is over.
func (l *late) forget() {
	t := now()
	for key, until := range l.until {
		if t >= until {
			delete(l.until, key)
		}
	}
	if t >= l.all {
		l.all = 0
	}
}

func (l *late) count() {
	n := int64(len(l.until))
	if l.all != 0 {
		n++
	}
	l.n.Store(n)
}

// of returns until when an earlier write of key may take effect; zero if none may.
func (l *late) of(key string) int64 {
	if l.n.Load() == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := now()
	if t >= l.last { // one by one only when there is no room: this is asked of every key that changes
		clear(l.until)
		l.all, l.last = 0, 0
		l.count()
		return 0
	}
	if until := max(l.until[key], l.all); until > t {
		return until
	}
	return 0
}

// mayLand reports whether a write that failed with err may take effect all the same.
func mayLand(err error) bool {
	return err != nil && !errors.Is(err, drivers.ErrRefused) && !errors.Is(err, ErrL2Paused)
}

// doubt remembers items that a write which failed with err may yet bring.
func (s *Store) doubt(items []drivers.Item, err error) {
	if !mayLand(err) {
		return
	}
	var keys []string
	for _, it := range items {
		if !strings.HasPrefix(it.Key[len(s.prefix):], "!") { // of a stamp, any that differs will do
			keys = append(keys, it.Key)
		}
	}
	s.late.add(keys, deadline(now(), times(2, s.l2Timeout)))
}

// outlast sees to it that a change of keys is not undone by what lands after it. It
// is called before anyone may read them and keep what they have read.
func (s *Store) outlast(keys []string) {
	var items []recovery.Item
	for _, key := range keys {
		if until := s.late.of(key); until > 0 {
			items = append(items, recovery.Item{Target: keyTarget(key), Late: until})
		}
	}
	if len(items) > 0 {
		s.queue(items, nil)
	}
}
