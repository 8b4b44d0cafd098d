package file

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/drivers"
)

// A disk syncs many files faster when they are synced at the same time.
const (
	parallelWrites = 32
	parallelReads  = 8
	readsEach      = 16 // reads in one goroutine; a goroutine for fewer costs more than it saves
)

func now() int64 { return time.Now().UnixNano() }

// inShards runs f for each of n keys: for the keys of one shard in their order and under
// the lock of the shard. f must own what it uses.
func (d *Driver) inShards(ctx context.Context, x *directory, n int, key func(int) string, create bool, f func(s *shard, p place, i int) error) error {
	if create {
		if err := x.make(); err != nil {
			return err
		}
	}
	places := make([]place, n)
	members := make(map[int][]int)
	for i := range n {
		places[i] = placeOf(key(i))
		members[places[i].shard] = append(members[places[i].shard], i)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for number, indexes := range members {
		group.Go(func() error {
			return d.locked(ctx, x, number, create, func(s *shard) error {
				for _, i := range indexes {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := f(s, places[i], i); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return group.Wait()
}

// GetMany returns the values of keys in their order, nil where a key is absent. See
// [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	keys = slices.Clone(keys)
	values := make([][]byte, len(keys))
	err := d.execute(ctx, "get", len(keys), func(x *directory) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallelReads)
		t := now()
		for first := 0; first < len(keys); first += readsEach {
			group.Go(func() error {
				for i := first; i < min(first+readsEach, len(keys)); i++ {
					if err := ctx.Err(); err != nil {
						return err
					}
					var err error
					if values[i], err = d.get(ctx, x, keys[i], t); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	})
	if err != nil {
		return nil, err // the operation may still run and write to values
	}
	return values, nil
}

func (d *Driver) get(ctx context.Context, x *directory, key string, now int64) (value []byte, err error) {
	p := placeOf(key)
	if !readersLock {
		return load(x, p.file(entryName), key, now)
	}
	err = d.locked(ctx, x, p.shard, false, func(s *shard) (err error) {
		value, err = load(s.in, p.file(entryName), key, now)
		return err
	})
	return value, err
}

// SetMany stores items, in place of what their keys had. See [drivers.L2].
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	items = own(items)
	return d.execute(ctx, "set", len(items), func(x *directory) error {
		ends, err := d.check(items)
		if err != nil {
			return err
		}
		return d.inShards(ctx, x, len(items), keyOf(items), true, func(s *shard, p place, i int) error {
			return s.write(p, items[i].Key, items[i].Value, ends[i])
		})
	})
}

// DeleteMany removes keys. See [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return d.execute(ctx, "delete", len(keys), func(x *directory) error {
		return d.inShards(ctx, x, len(keys), func(i int) string { return keys[i] }, false, func(s *shard, p place, _ int) error {
			return s.delete(p)
		})
	})
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	items = own(items)
	stored := make([][]byte, len(items))
	err := d.execute(ctx, "add", len(items), func(x *directory) error {
		ends, err := d.check(items)
		if err != nil {
			return err
		}
		return d.inShards(ctx, x, len(items), keyOf(items), true, func(s *shard, p place, i int) (err error) {
			if stored[i], err = load(s.in, p.file(entryName), items[i].Key, now()); err != nil || stored[i] != nil {
				return err
			}
			stored[i] = items[i].Value
			return s.write(p, items[i].Key, items[i].Value, ends[i])
		})
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. See [drivers.Swapper].
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swaps = slices.Clone(swaps)
	items := make([]drivers.Item, len(swaps))
	for i, w := range swaps {
		swaps[i].Old, swaps[i].New = bytes.Clone(w.Old), bytes.Clone(w.New)
		items[i] = drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL}
	}
	swapped := make([]bool, len(swaps))
	err := d.execute(ctx, "swap", len(swaps), func(x *directory) error {
		ends, err := d.check(items)
		if err != nil {
			return err
		}
		return d.inShards(ctx, x, len(swaps), keyOf(items), true, func(s *shard, p place, i int) error {
			w := swaps[i]
			t := now()
			value, err := load(s.in, p.file(entryName), w.Key, t)
			if err != nil || (value == nil) != (w.Old == nil) || !bytes.Equal(value, w.Old) {
				return err
			}
			if w.Unleased {
				if held, err := s.lease(p, w.Key, t); err != nil || held.token != "" {
					return err
				}
			}
			swapped[i] = true
			if w.New == nil {
				return s.delete(p)
			}
			return s.write(p, w.Key, w.New, ends[i])
		})
	})
	if err != nil {
		return nil, err
	}
	return swapped, nil
}

// check returns when items expire, or why they are refused.
func (d *Driver) check(items []drivers.Item) ([]int64, error) {
	ends := make([]int64, len(items))
	t := now()
	for i, it := range items {
		size := headerSize + int64(len(it.Key)) + int64(len(it.Value))
		if err := checkKey(it.Key); err != nil {
			return nil, err
		}
		switch {
		case it.TTL < 0:
			return nil, fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, it.TTL)
		case len(it.Value) > maxValue:
			return nil, fmt.Errorf("%w: the value has %d bytes, more than %d", drivers.ErrRefused, len(it.Value), maxValue)
		case d.limit > 0 && onDisk(size) > d.limit:
			return nil, fmt.Errorf("%w: the value has %d bytes, and MaxSize is %d", drivers.ErrRefused, len(it.Value), d.limit)
		}
		ends[i] = end(t, it.TTL)
	}
	return ends, nil
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: the key has %d bytes, more than %d", drivers.ErrRefused, len(key), maxKey)
	}
	return nil
}

// own returns copies of items.
func own(items []drivers.Item) []drivers.Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Value = append([]byte{}, items[i].Value...)
	}
	return items
}

func keyOf(items []drivers.Item) func(int) string {
	return func(i int) string { return items[i].Key }
}
