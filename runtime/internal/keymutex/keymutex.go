// Package keymutex lets one caller at a time work on a key, and tells those who waited
// how the work ended.
//
// The mutex of the Mutexes guards the map. It is not held while anyone works or waits.
package keymutex

import (
	"context"
	"sync"
)

// Mutexes are one mutex for each key. Keys that nobody holds or waits for take no
// memory. The zero value is ready.
type Mutexes struct {
	mu   sync.Mutex
	keys map[string]*holder
}

type holder struct {
	done chan struct{}
	// attempts counts what the holder has tried, and succeeded says how the last attempt
	// ended; it is read once done is closed.
	attempts  int
	succeeded bool
}

// A Lock is a held key. Its holder calls Attempt before each try, and Unlock once.
type Lock struct {
	m   *Mutexes
	key string
	own *holder
}

// Lock waits until the caller holds key, or until ctx is done. It returns nil if,
// while the caller waited, the holder began an attempt and that one succeeded: then
// there was nothing left for the caller.
func (m *Mutexes) Lock(ctx context.Context, key string) (*Lock, error) {
	for {
		m.mu.Lock()
		other := m.keys[key]
		if other == nil {
			if m.keys == nil {
				m.keys = make(map[string]*holder)
			}
			own := &holder{done: make(chan struct{})}
			m.keys[key] = own
			m.mu.Unlock()
			return &Lock{m, key, own}, nil
		}
		attempts := other.attempts
		m.mu.Unlock()
		select {
		case <-other.done:
			if other.succeeded && other.attempts > attempts {
				return nil, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Attempt says that the holder tries now. Who waits since before shares the result.
func (l *Lock) Attempt() {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.own.attempts++
}

// Unlock lets the next caller hold the key.
func (l *Lock) Unlock(succeeded bool) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.keys, l.key)
	l.own.succeeded = succeeded
	close(l.own.done)
}
