package invalidate

import (
	"context"
	"fmt"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/entry"
)

const (
	// reportedAtOnce is how many reported keys are asked about in one round trip.
	reportedAtOnce = 500
	// mostReported bounds how many wait for that. Others count as changed.
	mostReported = 10_000
)

// reports are the keys that were reported as changed, and that this process has written
// itself: it is asked what the shared tier holds before they count as changed.
type reports struct {
	mu      sync.Mutex
	waiting []string
	running bool
}

// add takes keys that can wait, and returns the others. start says that somebody has to
// carry out what waits.
func (r *reports) add(keys []string) (rest []string, start bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(keys), mostReported-len(r.waiting))
	r.waiting = append(r.waiting, keys[:n]...)
	start = n > 0 && !r.running
	r.running = r.running || start
	return keys[n:], start
}

// next returns keys that wait, each once; none ends who carries them out.
func (r *reports) next() (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), reportedAtOnce)
	keys, r.waiting = append(keys, r.waiting[:n]...), r.waiting[n:]
	if n == 0 {
		r.waiting, r.running = nil, false
	}
	return entry.Distinct(keys)
}

// tellApart drops those of keys that others have changed, without waiting for the shared
// tier, which has to be asked.
func (h Handler) tellApart(keys []string) {
	rest, start := h.reports.add(keys)
	if start {
		if h.Work.Enter() {
			go h.askReports(h.Work.Context)
		} else {
			for len(h.reports.next()) > 0 { // the store is closed
			}
		}
	}
	h.changed(rest)
}

func (h Handler) askReports(ctx context.Context) {
	defer h.Work.Leave()
	for keys := h.reports.next(); len(keys) > 0; keys = h.reports.next() {
		h.changed(h.changedByOthers(ctx, keys))
	}
}

// changedByOthers is remote.Tier.ChangedByOthers for a driver that may panic.
func (h Handler) changedByOthers(ctx context.Context, keys []string) (changed []string) {
	defer func() {
		if p := recover(); p != nil {
			h.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
			changed = keys
		}
	}()
	return h.Remote.ChangedByOthers(ctx, keys)
}
