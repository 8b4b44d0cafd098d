// Package echo remembers what a process has written to a tier lately.
//
// A bus that watches the tier reports every change, also this process's own, and does not
// say who made it. A report alone tells nothing: that of another's change may be the same
// one, if it came right after. So the tier is asked what it holds, and that is compared with
// what this process has written last.
//
// A [Written] has one mutex, which guards all of it and is held for a few instructions.
package echo

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// What bounds how much is remembered: all of it for at least as long, or as many keys,
// whichever ends first.
const (
	lately = 10 * time.Second
	most   = 10_000
)

// Written is what a process has written lately. The zero Written remembers nothing.
type Written struct {
	// Watched reports whether somebody reports what is written. Otherwise nothing is remembered.
	Watched func() bool

	mu     sync.Mutex
	seed   maphash.Seed
	latest map[string]uint64 // what a key was to hold; 0: nothing
	before map[string]uint64 // what was in latest until turned
	turned int64             // on [clock.Mono]
}

// NoteItems remembers items that are about to be written.
func (w *Written) NoteItems(items []drivers.Item) {
	if w.watched() {
		for _, it := range items {
			w.note(it.Key, it.Value, true)
		}
	}
}

// NoteDeleted remembers keys that are about to be deleted.
func (w *Written) NoteDeleted(keys []string) {
	if w.watched() {
		for _, key := range keys {
			w.note(key, nil, false)
		}
	}
}

// NoteSwaps remembers swaps that are about to be carried out.
func (w *Written) NoteSwaps(swaps []drivers.Swap) {
	if w.watched() {
		for _, s := range swaps {
			w.note(s.Key, s.New, s.New != nil)
		}
	}
}

func (w *Written) watched() bool { return w.Watched != nil && w.Watched() }

// note remembers what is about to be written: a value, or that there is to be none.
func (w *Written) note(key string, value []byte, present bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := clock.Mono(); w.latest == nil || len(w.latest) >= most || at-w.turned >= int64(lately) {
		if w.latest == nil {
			w.seed = maphash.MakeSeed()
		}
		w.before, w.latest, w.turned = w.latest, make(map[string]uint64), at
	}
	w.latest[key] = w.sum(value, present)
}

func (w *Written) sum(value []byte, present bool) uint64 {
	if !present {
		return 0
	}
	return maphash.Bytes(w.seed, value) | 1
}

// Last returns what identifies the last write of a key, if one is remembered.
func (w *Written) Last(key string) (sum uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last(key)
}

// last is called under mu.
func (w *Written) last(key string) (sum uint64, ok bool) {
	if sum, ok = w.latest[key]; !ok {
		sum, ok = w.before[key]
	}
	return sum, ok
}

// Own reports whether what a key was found to hold, nil for nothing, is this process's own:
// what it has written last, or had when the key was read, by what Last returned before.
func (w *Written) Own(key string, found []byte, before uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ok := w.last(key)
	if !ok {
		return false
	}
	sum := w.sum(found, found != nil)
	return sum == now || sum == before
}
