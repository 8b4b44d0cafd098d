package remote

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// What bounds how much is remembered of what this process has written: all of it for at
// least as long, or as many keys, whichever comes first.
const (
	echoFor = 10 * time.Second
	echoes  = 10_000
)

// written remembers what this process has written lately, because a bus that watches the
// tier reports that, too, and does not say who it was. A report alone tells nothing: that
// of another's change may be the same one, if it came right after. So the tier is asked
// what it holds then.
type written struct {
	mu     sync.Mutex
	seed   maphash.Seed
	latest map[string]uint64 // what a key was to hold; 0: nothing
	before map[string]uint64 // what was in latest until turned
	turned int64             // on [clock.Mono]
}

// note remembers what is about to be written: a value, or none if that is nil.
func (t *Tier) note(key string, value []byte) {
	w := &t.written
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := clock.Mono(); w.latest == nil || len(w.latest) >= echoes || at-w.turned >= int64(echoFor) {
		if w.latest == nil {
			w.seed = maphash.MakeSeed()
		}
		w.before, w.latest, w.turned = w.latest, make(map[string]uint64), at
	}
	w.latest[key] = w.sum(value)
}

func (w *written) sum(value []byte) uint64 {
	if value == nil {
		return 0
	}
	return maphash.Bytes(w.seed, value) | 1
}

// last returns what a key was to hold by the last write of this process that is remembered.
func (w *written) last(key string) (sum uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if sum, ok = w.latest[key]; !ok {
		sum, ok = w.before[key]
	}
	return sum, ok
}

// watching reports whether somebody reports what is written.
func (t *Tier) watching() bool { return t.Watched != nil && t.Watched() }

func (t *Tier) noteItems(items []drivers.Item) {
	if t.watching() {
		for _, it := range items {
			t.note(it.Key, present(it.Value))
		}
	}
}

func (t *Tier) noteDeleted(keys []string) {
	if t.watching() {
		for _, key := range keys {
			t.note(key, nil)
		}
	}
}

func (t *Tier) noteSwaps(swaps []drivers.Swap) {
	if t.watching() {
		for _, w := range swaps {
			t.note(w.Key, w.New)
		}
	}
}

// present returns value as one that is there, though it may be empty.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// WroteLately reports whether a report that a key has changed may be about a write of this
// process. [Tier.ChangedByOthers] tells.
func (t *Tier) WroteLately(key string) bool {
	_, ok := t.written.last(key)
	return ok
}

// ChangedByOthers returns those of keys, which were reported as changed, that hold something
// else than this process has written last. If the tier does not answer, that is all.
func (t *Tier) ChangedByOthers(ctx context.Context, keys []string) []string {
	own := make([]uint64, len(keys))
	for i, key := range keys {
		own[i], _ = t.written.last(key)
	}
	values, err := t.get(ctx, t.Timeout, keys)
	if err != nil {
		return keys
	}
	var changed []string
	for i, key := range keys {
		sum := t.written.sum(values[i])
		if now, ok := t.written.last(key); !ok || sum != own[i] && sum != now { // it may have been written meanwhile
			changed = append(changed, key)
		}
	}
	return slices.Clip(changed)
}
