package load

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/lag"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A key lags if the loader may return what was there before the key's last change, because it reads
// from a replica. What is loaded then is for those who have waited for it, and is not kept: the
// replica may have the change in a moment. That it lags is known from what this process has
// changed or heard of (package lag), or from the shared tier, where nobody gets the key's lease,
// or a mark stands beside one of its stamps.

// splitLagging returns those of keys that lag, as far as this process knows, and the others.
// Nothing has to be done in the shared tier for those that lag.
func (l *Loader) splitLagging(keys []*Key) (lagging, others []*Key) {
	if l.Lag == nil {
		return nil, keys
	}
	for _, k := range keys {
		if k.lagging = l.Lag.Any(k.lags()...); k.lagging {
			lagging = append(lagging, k)
		} else {
			others = append(others, k)
		}
	}
	return lagging, others
}

// lags returns what of a key can lag.
func (k *Key) lags() []lag.Name {
	return append(stampNames(k.cells), lag.Name{Text: k.Key})
}

func stampNames(cells []*stamp.Cell) []lag.Name {
	names := make([]lag.Name, len(cells), len(cells)+1)
	for i, c := range cells {
		names[i] = lag.Name{Stamp: true, Text: c.Name}
	}
	return names
}

// askLagging asks the shared tier which of keys lag because of their stamps, which are known.
func (l *Loader) askLagging(ctx context.Context, keys []*Key) error {
	if !l.Remote.Exists() {
		return nil
	}
	for _, k := range keys {
		k.asked = entry.Refs(k.cells)
	}
	marked, err := l.Held.Marked(ctx, cellsOf(keys))
	for _, k := range keys {
		k.lagging = k.lagging || slices.ContainsFunc(k.cells, func(c *stamp.Cell) bool { return marked[c] })
	}
	return err
}

// beginLagging says of each of keys whether it lags now that its loader is about to be called.
func (l *Loader) beginLagging(keys []*Key) {
	if l.Lag == nil {
		return
	}
	at := clock.Mono()
	for _, k := range keys {
		k.began = at
		changed := k.asked != nil && !slices.Equal(k.asked, k.stamps) // since the tier was asked
		k.lagging = k.lagging || changed || k.lease.Lagging || l.Lag.Any(k.lags()...)
	}
}

// tagged says that a key's value has tags that are known since it was loaded. Those of marked have
// changed lately.
func (l *Loader) tagged(k *Key, refs []entry.StampRef, marked map[*stamp.Cell]bool) {
	if l.Lag == nil || len(refs) == 0 {
		return
	}
	cells := make([]*stamp.Cell, len(refs))
	for i, r := range refs {
		cells[i] = r.Cell
		k.tagsLag = k.tagsLag || marked[r.Cell]
	}
	k.tagsLag = k.tagsLag || l.Lag.AnyAt(k.began, stampNames(cells)...)
}

// keepNothingLagging has no tier keep what lags.
func (l *Loader) keepNothingLagging(keys []*Key) {
	for _, k := range keys {
		if k.lagging || k.tagsLag {
			k.plan.drop = false // that there is nothing any more is not known, either
			k.keepNothing()
		}
	}
}
