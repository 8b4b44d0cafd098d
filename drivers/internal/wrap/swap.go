package wrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

// maxRounds is how often a swap looks at a key anew that changes while it is swapped.
const maxRounds = 100

var errRestless = errors.New("a key changes all the time")

// SwapMany compares values and swaps what is stored of them: it reads, decodes, and
// has the tier swap exactly those bytes. One value can be stored in many forms, so it
// begins again when the bytes have changed meanwhile.
func (w *wrapper) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	items := make([]drivers.Item, len(swaps))
	for i, s := range swaps {
		items[i] = drivers.Item{Key: s.Key, Value: s.New, TTL: s.TTL}
	}
	encoded, err := w.encode("swap", items)
	if err != nil {
		return nil, err
	}
	stored := make([]drivers.Swap, len(swaps)) // Old is filled in when it has been read
	for i, s := range swaps {
		stored[i] = drivers.Swap{Key: s.Key, TTL: s.TTL}
		if s.New != nil {
			stored[i].New = encoded[i].Value
		}
	}
	done := make([]bool, len(swaps))
	for rest := upTo(len(swaps)); len(rest) > 0; {
		var batch []int
		batch, rest = distinct(swaps, rest)
		if err := w.swap(ctx, swaps, stored, batch, done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// distinct cuts open where a key comes for the second time: that swap sees what the
// first has done.
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

// swap carries out those of swaps that open names, all of different keys.
func (w *wrapper) swap(ctx context.Context, swaps, stored []drivers.Swap, open []int, done []bool) error {
	for round := 0; len(open) > 0; round++ {
		if round == maxRounds {
			return w.failed("swap", len(swaps), errRestless)
		}
		matching, err := w.matching(ctx, swaps, stored, open, round > 0)
		if err != nil || len(matching) == 0 {
			return err
		}
		batch := make([]drivers.Swap, len(matching))
		for j, i := range matching {
			batch[j] = stored[i]
		}
		swapped, err := w.inner.(drivers.Swapper).SwapMany(ctx, batch)
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

// matching returns those of open whose key holds what they expect, and notes how that
// is stored. That an absent key is expected is believed at first: the tier will see.
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
		if (value == nil) == (swaps[i].Old == nil) && bytes.Equal(value, swaps[i].Old) {
			stored[i].Old = values[j]
			matching = append(matching, i)
		}
	}
	return matching, nil
}
