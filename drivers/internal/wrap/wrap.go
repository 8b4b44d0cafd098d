// Package wrap changes the values on their way into a shared tier and back, and leaves
// what the tier can do as it is: its result has the optional interfaces of package
// drivers that the tier has, and no others.
//
// A wrapper keeps no state. A value that cannot be read back is absent, for every
// operation: reads do not find it, an add replaces it, and a swap that expects an
// absent key too.
package wrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Coding turns values into what is stored and back. Its methods are called by many
// goroutines at once and do not change what they are given.
type Coding interface {
	// Encode returns what to store for key. An error that is the value's fault wraps
	// [drivers.ErrRefused].
	Encode(key string, value []byte) ([]byte, error)
	// Decode undoes it. It may return a part of stored. It fails if that is nothing
	// that Encode, with these options, has made for key.
	Decode(key string, stored []byte) ([]byte, error)
}

// Options of [New].
type Options struct {
	Name       string // of the wrapper, in errors
	Err        error  // what makes it unusable
	Unreadable func(key string, err error)
}

// A wrapper has every capability; [New] hides those that inner lacks.
type wrapper struct {
	inner  drivers.L2
	coding Coding
	Options
}

// New returns inner with other values.
func New(inner drivers.L2, coding Coding, options Options) drivers.L2 {
	if inner == nil && options.Err == nil {
		options.Err = errors.New("the tier to wrap is nil")
	}
	if checker, ok := inner.(drivers.Checker); ok && options.Err == nil {
		options.Err = checker.Err() // it names the driver
	} else if options.Err != nil {
		options.Err = fmt.Errorf("%s: %w", options.Name, options.Err)
	}
	return combine(&wrapper{inner, coding, options})
}

// Err implements [drivers.Checker].
func (w *wrapper) Err() error { return w.Options.Err }

func (w *wrapper) failed(operation string, keys int, err error) error {
	switch {
	case keys == 1:
		operation += " 1 key"
	case keys > 1:
		operation = fmt.Sprintf("%s %d keys", operation, keys)
	}
	return fmt.Errorf("%s: %s: %w", w.Name, operation, err)
}

// usable fails for a wrapper that has been refused.
func (w *wrapper) usable(operation string, keys int) error {
	if err := w.Err(); err != nil {
		return w.failed(operation, keys, fmt.Errorf("%w (%w)", drivers.ErrClosed, err))
	}
	return nil
}

// encode returns items as they are stored.
func (w *wrapper) encode(operation string, items []drivers.Item) ([]drivers.Item, error) {
	if err := w.usable(operation, len(items)); err != nil {
		return nil, err
	}
	out := make([]drivers.Item, len(items))
	for i, it := range items {
		stored, err := w.coding.Encode(it.Key, it.Value)
		if err != nil {
			return nil, w.failed(operation, len(items), err)
		}
		out[i] = drivers.Item{Key: it.Key, Value: stored, TTL: it.TTL}
	}
	return out, nil
}

// decode returns the value of what is stored under key, nil if there is none.
func (w *wrapper) decode(key string, stored []byte) []byte {
	if stored == nil {
		return nil
	}
	value, err := w.coding.Decode(key, stored)
	if err != nil {
		if w.Unreadable != nil {
			w.Unreadable(key, err)
		}
		return nil
	}
	if value == nil {
		value = []byte{}
	}
	return value
}

func (w *wrapper) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	if err := w.usable("get", len(keys)); err != nil {
		return nil, err
	}
	values, err := w.inner.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	if len(values) != len(keys) {
		return nil, w.failed("get", len(keys), fmt.Errorf("the tier returned %d values", len(values)))
	}
	for i, key := range keys {
		values[i] = w.decode(key, values[i])
	}
	return values, nil
}

func (w *wrapper) SetMany(ctx context.Context, items []drivers.Item) error {
	encoded, err := w.encode("set", items)
	if err != nil {
		return err
	}
	return w.inner.SetMany(ctx, encoded)
}

func (w *wrapper) DeleteMany(ctx context.Context, keys []string) error {
	if err := w.usable("delete", len(keys)); err != nil {
		return err
	}
	return w.inner.DeleteMany(ctx, keys)
}

func (w *wrapper) Close() error {
	if w.inner == nil {
		return nil
	}
	return w.inner.Close()
}

var errInTheWay = errors.New("what is stored cannot be read, and the tier cannot swap")

// AddMany replaces what cannot be read, as if it were absent, if the tier can swap.
func (w *wrapper) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
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
		stored, err := w.inner.(drivers.Adder).AddMany(ctx, batch)
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
		if open, err = w.replace(ctx, replace, at); err != nil {
			return nil, err
		}
		for _, i := range at {
			values[i] = append([]byte{}, items[i].Value...)
		}
		// Those whose key somebody else has changed meanwhile begin again.
	}
	return values, nil
}

// replace carries out swaps of stored bytes, and returns those of at, their places,
// whose swap was not.
func (w *wrapper) replace(ctx context.Context, swaps []drivers.Swap, at []int) (left []int, err error) {
	if len(swaps) == 0 {
		return nil, nil
	}
	swapper, ok := w.inner.(drivers.Swapper)
	if !ok {
		return nil, w.failed("add", len(swaps), errInTheWay)
	}
	swapped, err := swapper.SwapMany(ctx, swaps)
	if err != nil {
		return nil, err
	}
	if len(swapped) != len(swaps) {
		return nil, w.failed("swap", len(swaps), fmt.Errorf("the tier returned %d results", len(swapped)))
	}
	for j, i := range at {
		if !swapped[j] {
			left = append(left, i)
		}
	}
	return left, nil
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func (w *wrapper) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	if err := w.usable("lease", len(keys)); err != nil {
		return nil, err
	}
	return w.inner.(drivers.Leaser).LeaseMany(ctx, keys, token, ttl)
}

func (w *wrapper) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	encoded, err := w.encode("fill", items)
	if err != nil {
		return nil, err
	}
	return w.inner.(drivers.Leaser).FillMany(ctx, encoded, token)
}

func (w *wrapper) ReleaseMany(ctx context.Context, keys []string, token string) error {
	if err := w.usable("release", len(keys)); err != nil {
		return err
	}
	return w.inner.(drivers.Leaser).ReleaseMany(ctx, keys, token)
}

func (w *wrapper) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	if err := w.usable("scan", 0); err != nil {
		return err
	}
	return w.inner.(drivers.Scanner).Scan(ctx, prefix, f)
}

func (w *wrapper) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	if err := w.usable("delete a prefix", 0); err != nil {
		return 0, err
	}
	return w.inner.(drivers.PrefixDeleter).DeletePrefix(ctx, prefix)
}

func (w *wrapper) Prune(ctx context.Context) (int64, error) {
	if err := w.usable("prune", 0); err != nil {
		return 0, err
	}
	return w.inner.(drivers.Pruner).Prune(ctx)
}
