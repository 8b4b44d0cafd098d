package wrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

var errCannotReplace = errors.New("the stored value cannot be decoded, and the tier cannot replace it because it cannot swap")

// AddMany replaces a stored value that cannot be decoded, as if the key were absent, if
// the inner tier can swap.
func (w *wrapper) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	adder, err := capability(w, "add", len(items), drivers.AdderOf)
	if err != nil {
		return nil, err
	}
	encoded, err := w.encode("add", items)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(items))
	open := upTo(len(items))
	for len(open) > 0 {
		batch := make([]drivers.Item, len(open))
		for j, i := range open {
			batch[j] = encoded[i]
		}
		stored, err := adder.AddMany(ctx, batch)
		if err != nil {
			return nil, err
		}
		if len(stored) != len(batch) {
			return nil, w.failed("add", len(items), fmt.Errorf("the tier returned %d values", len(stored)))
		}
		var replace []drivers.Swap
		var at []int
		for j, i := range open {
			if bytes.Equal(stored[j], encoded[i].Value) {
				values[i] = append([]byte{}, items[i].Value...)
			} else if values[i] = w.decode(items[i].Key, stored[j]); values[i] == nil {
				replace = append(replace, drivers.Swap{Key: items[i].Key, Old: stored[j], New: encoded[i].Value, TTL: items[i].TTL})
				at = append(at, i)
			}
		}
		// An item whose key has been changed in the meantime is added again.
		if open, err = w.replace(ctx, replace, at); err != nil {
			return nil, err
		}
		for _, i := range at {
			values[i] = append([]byte{}, items[i].Value...)
		}
	}
	return values, nil
}

// replace performs swaps of stored bytes, whose indexes are at, and returns the indexes
// of the swaps that were not performed.
func (w *wrapper) replace(ctx context.Context, swaps []drivers.Swap, at []int) (left []int, err error) {
	if len(swaps) == 0 {
		return nil, nil
	}
	swapper, ok := drivers.SwapperOf(w.inner)
	if !ok {
		return nil, w.failed("add", len(swaps), errCannotReplace)
	}
	swapped, err := swapper.SwapMany(ctx, swaps)
	if err != nil {
		return nil, err
	}
	if len(swapped) != len(swaps) {
		return nil, w.failed("add", len(swaps), fmt.Errorf("the tier returned %d results of a swap", len(swapped)))
	}
	for j, i := range at {
		if !swapped[j] {
			left = append(left, i)
		}
	}
	return left, nil
}

// upTo returns the indexes below n.
func upTo(n int) []int {
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}
