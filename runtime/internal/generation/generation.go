// Package generation closes the window between two tiers. A value that was read
// or loaded before an invalidation must not be written after it, although no
// lock is held while it travels.
//
// Keys share a fixed number of stripes, each with a counter. Whoever is going to
// copy a value into a tier takes a [Mark] first and stores only if the stripe has
// not moved since; whoever invalidates moves it. Two keys on one stripe cost a
// fill that is skipped for nothing, never a stale one.
package generation

import (
	"context"
	"sync"
)

const stripes = 2048

// Stripes guard the keys of one store. The zero value is ready.
type Stripes [stripes]stripe

type stripe struct {
	mu    sync.Mutex
	mark  Mark
	fills *fills // in progress; nil while there are none
}

// fills counts the writes to the shared tier that began under one mark.
type fills struct {
	n    int
	done chan struct{}
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

// If runs store, which must be quick and must not call s, unless the stripe has
// moved since mark. No invalidation of the key happens meanwhile.
func (s *Stripes) If(hash uint64, mark Mark, store func()) bool {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.mark != mark {
		return false
	}
	store()
	return true
}

// Fill announces a write to the shared tier, unless the stripe has moved since
// mark. An invalidation that comes meanwhile waits for it to end, so that its
// own write is the later one.
func (s *Stripes) Fill(hash uint64, mark Mark) (end func(), ok bool) {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.mark != mark {
		return nil, false
	}
	if st.fills == nil {
		st.fills = &fills{done: make(chan struct{})}
	}
	f := st.fills
	f.n++
	return func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		f.n--
		if f.n > 0 {
			return
		}
		close(f.done)
		if st.fills == f {
			st.fills = nil
		}
	}, true
}

// Move moves the stripe, runs change under its lock with the mark before, and
// returns the new mark and a function that waits until the fills that began
// before have ended, or until ctx is done.
func (s *Stripes) Move(hash uint64, change func(before Mark)) (Mark, func(context.Context)) {
	st := s.of(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	before := st.mark
	st.mark++
	if change != nil {
		change(before)
	}
	f := st.fills
	if f == nil {
		return st.mark, func(context.Context) {}
	}
	st.fills = nil // later fills are not this caller's concern
	return st.mark, func(ctx context.Context) {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
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
