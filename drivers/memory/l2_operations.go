package memory

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// GetMany returns the values of keys in their order, nil where a key is absent. See
// [drivers.L2].
func (d *L2) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	err := d.do(ctx, "get", len(keys), func(now time.Time) error {
		for i, key := range keys {
			if it := d.find(key, now); it != nil {
				values[i] = it.value
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return copies(values), nil
}

// copies replaces values, which belong to the tier, by copies for the caller.
func copies(values [][]byte) [][]byte {
	for i := range values {
		values[i] = bytes.Clone(values[i])
	}
	return values
}

// SetMany stores items, in place of what their keys had. A batch is stored atomically. See
// [drivers.L2].
func (d *L2) SetMany(ctx context.Context, items []drivers.Item) error {
	own, err := d.own(items)
	if err != nil {
		return failed("set", len(items), err)
	}
	return d.do(ctx, "set", len(items), func(now time.Time) error {
		for i, it := range own {
			d.put(it, end(now, items[i].TTL))
		}
		return nil
	})
}

// DeleteMany removes keys. See [drivers.L2].
func (d *L2) DeleteMany(ctx context.Context, keys []string) error {
	return d.do(ctx, "delete", len(keys), func(time.Time) error {
		for _, key := range keys {
			d.remove(key)
		}
		return nil
	})
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *L2) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	own, err := d.own(items)
	if err != nil {
		return nil, failed("add", len(items), err)
	}
	values := make([][]byte, len(items))
	err = d.do(ctx, "add", len(items), func(now time.Time) error {
		for i, it := range own {
			if old := d.find(it.key, now); old != nil {
				values[i] = old.value
				continue
			}
			d.put(it, end(now, items[i].TTL))
			values[i] = it.value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return copies(values), nil
}

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. See [drivers.Swapper].
func (d *L2) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swapped := make([]bool, len(swaps))
	own := make([]*stored, len(swaps))
	for i, w := range swaps {
		if err := d.check(w.Key, w.New, w.TTL); err != nil {
			return nil, failed("swap", len(swaps), err)
		}
		own[i] = &stored{key: w.Key, value: bytes.Clone(w.New)}
	}
	err := d.do(ctx, "swap", len(swaps), func(now time.Time) error {
		for i, w := range swaps {
			old := d.find(w.Key, now)
			if (old == nil) != (w.Old == nil) || old != nil && !bytes.Equal(old.value, w.Old) {
				continue
			}
			if _, leased := d.held(w.Key, now); w.Unleased && leased {
				continue
			}
			swapped[i] = true
			if w.New == nil {
				d.remove(w.Key)
			} else {
				d.put(own[i], end(now, w.TTL))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return swapped, nil
}

// scanBatch is how many keys Scan lists in a call of f.
const scanBatch = 1000

// Scan calls f with the keys that begin with prefix, some of them at a time. Scan lists the
// keys of one moment. See [drivers.Scanner].
func (d *L2) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	var keys []string
	err := d.do(ctx, "scan", 0, func(now time.Time) error {
		for key, element := range d.items {
			if strings.HasPrefix(key, prefix) && element.Value.(*stored).live(now) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for page := range slices.Chunk(keys, scanBatch) {
		if err = ctx.Err(); err == nil {
			err = f(page)
		}
		if err != nil {
			return failed("scan", 0, err)
		}
	}
	return nil
}

// DeletePrefix removes the keys that begin with prefix, and returns how many it has removed.
// See [drivers.PrefixDeleter].
func (d *L2) DeletePrefix(ctx context.Context, prefix string) (n int64, err error) {
	err = d.do(ctx, "delete a prefix", 0, func(now time.Time) error {
		d.used = true
		for key, element := range d.items {
			if strings.HasPrefix(key, prefix) {
				if element.Value.(*stored).live(now) {
					n++
				}
				d.remove(key)
			}
		}
		for key := range d.leases {
			if strings.HasPrefix(key, prefix) {
				delete(d.leases, key)
			}
		}
		return nil
	})
	return n, err
}

// Prune removes the expired items, and returns how many it has removed. See [drivers.Pruner].
func (d *L2) Prune(ctx context.Context) (n int64, err error) {
	err = d.do(ctx, "prune", 0, func(now time.Time) error {
		for _, element := range d.items {
			if !element.Value.(*stored).live(now) {
				d.unlink(element)
				n++
			}
		}
		d.sweepLeases(now)
		return nil
	})
	return n, err
}
