package kill

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// bound is how long somebody may read what was there before a commit that another process has made:
// what is documented for a message that is lost, StampTrust and two thirds of it, and what is
// documented for a process that dies, and for the one that dies while it carries out what the first
// has left.
const bound = runtime.DefaultStampTrust*5/3 + (5*poll/2 + l2Timeout) + (poll + 4*l2Timeout)

// A history knows since when versions of rows are committed.
type history struct {
	mu   sync.Mutex
	rows [keys][]commit
}

// A commit is a version that was seen in the database.
type commit struct {
	version int64
	seen    time.Time
}

// saw adds what was read from the database.
func (h *history) saw(versions [keys]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for id, version := range versions {
		if row := h.rows[id]; len(row) == 0 || row[len(row)-1].version < version {
			h.rows[id] = append(row, commit{version, now})
		}
	}
}

// stale returns for how long a newer version than this one was seen in the database when a read
// began that has returned this one.
func (h *history) stale(id int, version int64, began time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.rows[id]
	newer, _ := slices.BinarySearchFunc(row, version+1, func(c commit, v int64) int { return int(c.version - v) })
	if newer == len(row) {
		return 0
	}
	return max(0, began.Sub(row[newer].seen))
}

// keepReading reads all rows again and again while they change, through the cache of the reader, so
// that the caches are full of what is about to change. stop ends that, and says what was read. No read
// may return what was replaced longer than the bound before.
func (w *world) keepReading() (stop func() string) {
	var h history
	var reading sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	pause := func() bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Millisecond):
			return true
		}
	}
	reading.Go(func() {
		for pause() {
			versions, err := w.reader.versions()
			if err != nil {
				w.t.Error(err)
				return
			}
			h.saw(versions)
		}
	})
	reads, old, longest := 0, 0, time.Duration(0)
	reading.Go(func() {
		for pause() {
			for id := range keys {
				began := time.Now()
				version, err := w.reader.read(context.Background(), id)
				if err != nil {
					w.t.Errorf("read %d: %v", id, err)
					return
				}
				reads++
				stale := h.stale(id, version, began)
				if stale > 0 {
					old++
				}
				if longest = max(longest, stale); stale > bound {
					w.t.Errorf("row %d: read version %d, which was replaced %v before; at most %v is promised", id, version, stale, bound)
					return
				}
			}
		}
	})
	once := sync.OnceFunc(func() { cancel(); reading.Wait() })
	w.t.Cleanup(once)
	return func() string {
		once()
		return fmt.Sprintf("Of %d reads meanwhile %d were of what had been replaced, for %v at most", reads, old, longest.Round(time.Millisecond))
	}
}
