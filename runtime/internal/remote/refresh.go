package remote

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

const (
	// maxRefreshers is how many reads of stamps run at a time in the background.
	maxRefreshers = 4
	// refreshBatch is how many stamps are read in one round trip there.
	refreshBatch = 250
)

// refreshes are the stamps that are to be read in the background. They have nothing to do
// with the places for loads: neither takes the other's.
type refreshes struct {
	mu      sync.Mutex
	cells   []*stamp.Cell // each once, see Cell.Refreshing
	running int
}

// RefreshInBackground reports whether a stamp that was trusted until a time may be used
// once more at t, while it is read again in the background. A stamp that nobody has asked
// about for longer may not.
func (t *Tier) RefreshInBackground(c *stamp.Cell, trustUntil, at int64) bool {
	if at >= clock.Add(trustUntil, t.StampTrust) || trustUntil == math.MinInt64 {
		return false
	}
	if !c.Refreshing.CompareAndSwap(false, true) {
		return true
	}
	switch {
	case !t.Work.Enter(): // the store is closed
		c.Refreshing.Store(false)
	case t.refreshes.add(c):
		go t.refreshDue()
	default:
		t.Work.Leave()
	}
	return true
}

// add adds a stamp. It reports whether the caller is to begin one more read.
func (r *refreshes) add(c *stamp.Cell) (begin bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells = append(r.cells, c)
	if r.running == maxRefreshers {
		return false
	}
	r.running++
	return true
}

// take takes as many stamps as are read at a time. If there is none, the caller's reads have
// ended.
func (r *refreshes) take() (cells []*stamp.Cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(refreshBatch, len(r.cells))
	if n == 0 {
		r.running--
		r.cells = nil
		return nil
	}
	cells, r.cells = r.cells[:n:n], r.cells[n:]
	return cells
}

// refreshDue reads the stamps that are to be read, until there is none.
func (t *Tier) refreshDue() {
	defer t.Work.Leave()
	for cells := t.refreshes.take(); cells != nil; cells = t.refreshes.take() {
		t.refreshSome(t.Work.Context, cells)
	}
}

func (t *Tier) refreshSome(ctx context.Context, cells []*stamp.Cell) {
	defer func() {
		if p := recover(); p != nil {
			t.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
		}
		for _, c := range cells {
			c.Refreshing.Store(false)
		}
	}()
	t.RefreshStamps(ctx, t.Timeout, cells)
}
