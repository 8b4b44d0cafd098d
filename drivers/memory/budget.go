package memory

import (
	"fmt"
	"math"

	"github.com/cachegen/cachegen/drivers/internal/bytesize"
)

// A budget is the Options in the terms of the eviction policy, whose weights have 32
// bits: a weight is a number of units, and a unit is one byte as long as MaxSize is below
// 4 GB.
type budget struct {
	weight    uint64 // units in all; 0 bounds by items alone
	items     int    // the bound when weight is 0
	unit      uint64 // bytes
	minWeight uint64 // the smallest weight of an item, in units
	maxSize   uint64 // bytes of one item
}

func (o Options) budget() (budget, error) {
	// A driver with unusable options works, with this budget, until the runtime asks Err.
	refused := budget{items: 1, unit: 1, minWeight: 1}

	size, err := parseSize("MaxSize", o.MaxSize)
	if err != nil {
		return refused, err
	}
	entry, err := parseSize("MaxEntrySize", o.MaxEntrySize)
	if err != nil {
		return refused, err
	}
	if o.MaxItems < 0 {
		return refused, fmt.Errorf("memory: MaxItems is %d, must not be negative", o.MaxItems)
	}
	if size > 0 && entry > size {
		return refused, fmt.Errorf("memory: MaxEntrySize %q is above MaxSize %q", o.MaxEntrySize, o.MaxSize)
	}
	if size == 0 && o.MaxItems == 0 {
		if size, err = parseSize("MaxSize", DefaultMaxSize); err != nil {
			return refused, err
		}
	}

	b := budget{items: o.MaxItems, unit: 1, minWeight: 1, maxSize: entry}
	if size > 0 {
		b.unit += size >> 32
		b.weight = size / b.unit
		if o.MaxItems > 0 {
			// max(size, MaxSize/MaxItems), rounded up, keeps both bounds.
			n := uint64(o.MaxItems)
			b.minWeight = (b.weight + n - 1) / n
		}
		if entry == 0 {
			b.maxSize = size
		}
	} else if entry == 0 {
		b.maxSize = math.MaxUint64
	}
	return b, nil
}

// weigh returns the weight of an item of size bytes, and whether the tier keeps the item.
func (b *budget) weigh(size int) (uint32, bool) {
	n := uint64(max(size, 1))
	if n > b.maxSize {
		return 0, false
	}
	if b.weight == 0 {
		return 1, true
	}
	// An item as large as the budget must not exceed it because of the rounding.
	return uint32(min(max((n+b.unit-1)/b.unit, b.minWeight), b.weight)), true
}

// parseSize returns the number of bytes in text, 0 if text is empty.
func parseSize(option, text string) (uint64, error) {
	n, err := bytesize.Parse(option, text)
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	return n, nil
}
