// Package generation orders what happens to a key in two tiers. A value that was
// read before an invalidation must not be kept after it, although no lock is held
// while it travels; and of several writes to the shared tier, the one that began
// last must land last.
//
// Keys share a fixed number of stripes. Each has a counter, which every
// invalidation moves: whoever is going to keep what it reads takes a [Mark] before
// and keeps it only if the stripe has not moved since. And each has a queue of the
// writes under way: a write waits for those that began before it. Two keys on one
// stripe cost a value that is not kept, or a wait, for nothing.
package generation

import (
	"slices"
	"sync"
	"time"
)

const stripes = 4096

// Stripes guard the keys of one store. The zero value is ready.
type Stripes [stripes]stripe

type stripe struct {
	mu      sync.Mutex
	mark    Mark
	writes  []*write // under way, in the order they began
	changes int      // how many of them are invalidations
}

// A write is one in the queues of its stripes.
type write struct {
	change bool
	begun  chan struct{} // it waits no longer
	done   chan struct{}
}

// A Mark is the state of a key's stripe at a moment.
type Mark uint64

func (s *Stripes) of(hash uint64) *stripe { return &s[hash%stripes] }

// Mark returns the present mark of hash.
func (s *Stripes) Mark(hash uint64) Mark {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.mark
}

// If runs keep, which must be quick and must not call s, unless the stripe has
// moved since mark. No invalidation of the key happens meanwhile.
func (s *Stripes) If(hash uint64, mark Mark, keep func()) bool {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.mark != mark {
		return false
	}
	keep()
	return true
}

// Do runs f, as If does, at whatever mark.
func (s *Stripes) Do(hash uint64, f func()) {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	f()
}

// Move moves the stripe and runs change, as If runs keep, with the mark before.
func (s *Stripes) Move(hash uint64, change func(before Mark)) {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.mark++
	if change != nil {
		change(st.mark - 1)
	}
}

// MoveAll moves every stripe.
func (s *Stripes) MoveAll() {
	for i := range s {
		s[i].mu.Lock()
		s[i].mark++
		s[i].mu.Unlock()
	}
}

// A Turn is a place in the queues of some stripes. Its holder waits, writes, and
// ends it.
type Turn struct {
	s      *Stripes
	own    *write
	at     []uint64 // stripes
	before []*write
}

// Fill begins a write of what has been loaded for those of hashes that may, which
// is run as If runs keep, agrees to. It does not ask about a hash whose
// invalidation is under way: what would be written may be what is being removed.
// It returns nil if there is nothing to write.
func (s *Stripes) Fill(hashes []uint64, may func(i int) bool) *Turn {
	t := &Turn{s: s, own: &write{begun: make(chan struct{}), done: make(chan struct{})}}
	at := lockAll(s, hashes)
	for i, h := range hashes {
		st := s.of(h)
		if st.changes > 0 || !may(i) {
			continue
		}
		if n := len(st.writes); n == 0 || st.writes[n-1] != t.own { // not for another of hashes
			t.at = append(t.at, h%stripes)
			t.enter(st)
		}
	}
	unlockAll(s, at)
	if len(t.at) == 0 {
		return nil
	}
	return t
}

// lockAll locks the stripes of hashes, in one order: of two who do so one is first
// everywhere, so that they do not wait for each other.
func lockAll(s *Stripes, hashes []uint64) (at []uint64) {
	at = make([]uint64, len(hashes))
	for i, h := range hashes {
		at[i] = h % stripes
	}
	slices.Sort(at)
	at = slices.Compact(at)
	for _, i := range at {
		s[i].mu.Lock()
	}
	return at
}

func unlockAll(s *Stripes, at []uint64) {
	for _, i := range at {
		s[i].mu.Unlock()
	}
}

// Change moves the stripes of hashes and begins an invalidation of them. It
// returns the new marks in the order of hashes.
func (s *Stripes) Change(hashes []uint64) ([]Mark, *Turn) {
	t := &Turn{s: s, own: &write{change: true, begun: make(chan struct{}), done: make(chan struct{})}, at: lockAll(s, hashes)}
	for _, i := range t.at {
		s[i].mark++
		t.enter(&s[i])
	}
	marks := make([]Mark, len(hashes))
	for i, h := range hashes {
		marks[i] = s.of(h).mark
	}
	unlockAll(s, t.at)
	return marks, t
}

// enter is called under st's lock.
func (t *Turn) enter(st *stripe) {
	t.before = append(t.before, st.writes...)
	st.writes = append(st.writes, t.own)
	if t.own.change {
		st.changes++
	}
}

// Wait waits until the writes that began before have ended, or have taken limit
// since their own turn came. It is called once.
func (t *Turn) Wait(limit time.Duration) {
	defer close(t.own.begun)
	for _, w := range t.before {
		select {
		case <-w.done:
			continue
		case <-w.begun:
		}
		timer := time.NewTimer(limit)
		select {
		case <-w.done:
		case <-timer.C:
		}
		timer.Stop()
	}
	t.before = nil
}

// End lets the next one write. It is called once.
func (t *Turn) End() {
	for _, i := range t.at {
		st := &t.s[i]
		st.mu.Lock()
		n := slices.Index(st.writes, t.own)
		st.writes = slices.Delete(st.writes, n, n+1)
		if len(st.writes) == 0 {
			st.writes = nil
		}
		if t.own.change {
			st.changes--
		}
		st.mu.Unlock()
	}
	close(t.own.done)
}
