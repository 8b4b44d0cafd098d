package remote

import (
	"fmt"
	"math"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// RefreshInBackground reports whether a stamp that was trusted until a time may be used
// once more at t, while it is read again in the background. A stamp that nobody has asked
// about for longer may not. These reads have nothing to do with the places for loads: neither
// take the other's.
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
	case t.due.Add(c):
		go t.refreshDue()
	default:
		t.Work.Leave()
	}
	return true
}

// refreshDue reads the stamps that are to be read, until there is none.
func (t *Tier) refreshDue() {
	defer t.Work.Leave()
	for cells := t.due.Take(); cells != nil; cells = t.due.Take() {
		t.refreshSome(cells)
	}
}

func (t *Tier) refreshSome(cells []*stamp.Cell) {
	defer func() {
		if p := recover(); p != nil {
			t.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
		}
		for _, c := range cells {
			c.Refreshing.Store(false)
		}
	}()
	t.RefreshStamps(t.Work.Context, t.Timeout, cells)
}
