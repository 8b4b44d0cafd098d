package memory

import (
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// How many back-offs of items that memory does not hold are remembered at a time.
const maxBackOffs = 10_000

// backOffs remembers for which entries of the shared tier the loader has failed a short while
// ago. An item in memory knows that itself. Without a memory tier each read makes an item of
// its own, and each of them would call the loader again.
type backOffs struct {
	mu    sync.Mutex
	byKey map[string]backOff
}

type backOff struct {
	loadStarted int64 // of the entry: another one under the key is not meant
	freshUntil  int64 // of the entry: nor is the same one, after somebody has let it expire
	until       int64
}

// BackOff says that the loader of an item's key has failed, and is not to be called for d while
// the item is all there is.
func (m *Memory) BackOff(hash uint64, it *entry.Item, d time.Duration) {
	it.BackOff(d)
	if d > 0 && m.Find(it.Key, hash) != it {
		m.backOffs.keep(it.Key, backOff{it.LoadStarted, it.FreshUntil, clock.Add(clock.Now(), d)})
	}
}

// RecallBackOff tells an item that has just been read from the shared tier of its back-off.
func (m *Memory) RecallBackOff(it *entry.Item) {
	t := clock.Now()
	if b, ok := m.backOffs.of(it.Key); ok && b.loadStarted == it.LoadStarted && b.freshUntil == it.FreshUntil && t < b.until {
		it.BackOff(time.Duration(b.until - t))
	}
}

func (b *backOffs) of(key string) (backOff, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.byKey[key]
	return found, ok
}

// forget is called when a key is invalidated: whoever does that wants it loaded.
func (b *backOffs) forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.byKey, key)
}

func (b *backOffs) keep(key string, of backOff) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byKey == nil {
		b.byKey = make(map[string]backOff)
	}
	if len(b.byKey) >= maxBackOffs {
		b.makeRoom()
	}
	b.byKey[key] = of
}

// makeRoom is called under mu. It forgets what is over, and then, if that is not enough to
// last for a while, whatever comes.
func (b *backOffs) makeRoom() {
	t := clock.Now()
	for key, of := range b.byKey {
		if t >= of.until {
			delete(b.byKey, key)
		}
	}
	for key := range b.byKey {
		if len(b.byKey) <= maxBackOffs*7/8 {
			return
		}
		delete(b.byKey, key)
	}
}
