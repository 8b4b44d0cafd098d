package wrap

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

// maxRounds is how often a swap reads a key again that has changed between the read and
// the swap.
const maxRounds = 100

var errContention = fmt.Errorf("a key changed between each of %d reads and the swaps after them", maxRounds)

// SwapMany compares decoded values and swaps encoded ones: it reads, decodes, and has
// the inner tier swap exactly the bytes that it has read. One value can have many
// encodings, so SwapMany begins again when the bytes have changed in the meantime.
func (w *wrapper) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swapper, err := capability(w, "swap", len(swaps), drivers.SwapperOf)
	if err != nil {
		return nil, err
	}
	items := make([]drivers.Item, len(swaps))
	for i, s := range swaps {
		items[i] = drivers.Item{Key: s.Key, Value: s.New, TTL: s.TTL}
	}
	encoded, err := w.encode("swap", items)
	if err != nil {
		return nil, err
	}
	stored := make([]drivers.Swap, len(swaps)) // as the inner tier performs them; Old is set after a read
	for i, s := range swaps {
		stored[i] = drivers.Swap{Key: s.Key, TTL: s.TTL, Unleased: s.Unleased}
		if s.New != nil {
			stored[i].New = encoded[i].Value
		}
	}
	done := make([]bool, len(swaps))
	for rest := upTo(len(swaps)); len(rest) > 0; {
		var batch []int
		batch, rest = distinct(swaps, rest)
		if err := w.swap(ctx, swapper, swaps, stored, batch, done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// distinct cuts open before the second swap of a key, which has to see the result of
// the first.
func distinct(swaps []drivers.Swap, open []int) (batch, rest []int) {
	seen := make(map[string]bool, len(open))
	for n, i := range open {
		if seen[swaps[i].Key] {
			return open[:n], open[n:]
		}
		seen[swaps[i].Key] = true
	}
	return open, nil
}

// swap performs the swaps at the indexes open, all of different keys.
func (w *wrapper) swap(ctx context.Context, swapper drivers.Swapper, swaps, stored []drivers.Swap, open []int, done []bool) error {
	for round := 0; len(open) > 0; round++ {
		if round == maxRounds {
			return w.failed("swap", len(swaps), errContention)
		}
		matching, err := w.matching(ctx, swaps, stored, open, round > 0)
		if err != nil || len(matching) == 0 {
			return err
		}
		batch := make([]drivers.Swap, len(matching))
		for j, i := range matching {
			batch[j] = stored[i]
		}
		swapped, err := swapper.SwapMany(ctx, batch)
		if err != nil {
			return err
		}
		if len(swapped) != len(batch) {
			return w.failed("swap", len(swaps), fmt.Errorf("the tier returned %d results", len(swapped)))
		}
		open = nil
		for j, i := range matching {
			if done[i] = swapped[j]; !swapped[j] {
				open = append(open, i)
			}
		}
	}
	return nil
}

// matching returns the indexes among open whose key holds the expected value, and puts
// that value's stored bytes into stored. An absent key that is expected to be absent needs
// no read in the first round: the inner tier checks it.
func (w *wrapper) matching(ctx context.Context, swaps, stored []drivers.Swap, open []int, again bool) (matching []int, err error) {
	var keys []string
	var at []int
	for _, i := range open {
		if swaps[i].Old == nil && !again {
			matching = append(matching, i)
			continue
		}
		keys, at = append(keys, swaps[i].Key), append(at, i)
	}
	if len(keys) == 0 {
		return matching, nil
	}
	values, err := w.inner.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	if len(values) != len(keys) {
		return nil, w.failed("swap", len(swaps), fmt.Errorf("the tier returned %d values", len(values)))
	}
	for j, i := range at {
		value := w.decode(keys[j], values[j])
		if (value == nil) != (swaps[i].Old == nil) || !bytes.Equal(value, swaps[i].Old) {
			continue
		}
		same := (values[j] == nil) == (stored[i].Old == nil) && bytes.Equal(values[j], stored[i].Old)
		if again && same && swaps[i].Unleased {
			continue // it was a lease that prevented the swap, or another value that is gone
		}
		stored[i].Old = values[j]
		matching = append(matching, i)
	}
	return matching, nil
}
