package entry

import (
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// An Extension is a stamp that the shared tier has to keep until a time of [clock.Wall].
type Extension struct {
	*stamp.Cell
	stamp.Value
	Needed int64
}

// Outlived returns the stamps that items carry and the shared tier keeps for less than the items
// live.
func Outlived(items []*Item) (short []Extension) {
	var at map[*stamp.Cell]int
	for _, it := range items {
		for _, ref := range it.Stamps {
			stale := clock.ToWall(it.StaleUntil)
			if until, ok := ref.Cell.Kept(ref.Value); !ok || until >= stale {
				continue
			}
			i, found := at[ref.Cell]
			if !found {
				if at == nil {
					at = make(map[*stamp.Cell]int)
				}
				i, at[ref.Cell] = len(short), len(short)
				short = append(short, Extension{Cell: ref.Cell, Value: ref.Value})
			}
			short[i].Needed = max(short[i].Needed, stale)
		}
	}
	return short
}
