// Package waiters wakes those who wait for something to happen to a key.
//
// It only wakes: a waiter finds out by himself what has happened, and whether it was what he
// waits for. He may be woken for nothing, and what happens before he waits does not wake him, so
// he looks once after he has begun to wait, and again after a while.
//
// One mutex guards all of it, and is held for a few instructions. While nobody waits, no lock
// is taken.
package waiters

import (
	"sync"
	"sync/atomic"
)

// Waiters are those of one store. The zero Waiters is ready.
type Waiters struct {
	n     atomic.Int64 // keys that somebody waits for
	mu    sync.Mutex
	byKey map[string][]*waiter
}

type waiter struct{ woken chan struct{} }

// Wait returns a channel that has an element when one of keys was woken since it was last
// received from. The caller calls stop when he waits no longer.
func (w *Waiters) Wait(keys []string) (woken <-chan struct{}, stop func()) {
	one := &waiter{make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = make(map[string][]*waiter)
	}
	for _, key := range keys {
		w.byKey[key] = append(w.byKey[key], one)
	}
	w.n.Store(int64(len(w.byKey)))
	return one.woken, func() { w.stop(one, keys) }
}

func (w *Waiters) stop(one *waiter, keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		all := w.byKey[key]
		for i, other := range all {
			if other == one {
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
				break
			}
		}
		if len(all) == 0 {
			delete(w.byKey, key)
		} else {
			w.byKey[key] = all
		}
	}
	w.n.Store(int64(len(w.byKey)))
}

// Wake wakes those who wait for one of keys.
func (w *Waiters) Wake(keys ...string) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		for _, one := range w.byKey[key] {
			select {
			case one.woken <- struct{}{}:
			default: // he has not looked since he was woken
			}
		}
	}
}
