// Package wrap is the L2 behind packages compress and seal: it changes values on their
// way into another L2, the inner one, and back.
//
// It promises that callers see only decoded values and that the inner tier sees only
// encoded values, in every capability that moves values. It has the capabilities that
// the inner tier has ([drivers.Wrapper]), and no others. A value that cannot be decoded
// is absent, in every operation: a read does not find it, an add replaces it, and so
// does a swap that expects an absent key.
//
// It keeps no state and needs no lock. It may not hand a value on unchanged: a capability
// that this package does not declare is a capability that compress and seal lack.
package wrap

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

// A Coding encodes values and decodes them. Its methods are called by many goroutines
// at once and do not change what they are given.
type Coding interface {
	// Encode returns what the inner tier stores for value under key. It wraps
	// [drivers.ErrRefused] if value cannot be encoded.
	Encode(key string, value []byte) ([]byte, error)
	// Decode returns the value that Encode was given. The value may be a part of stored.
	// Decode fails if stored is not a result of Encode for key with the same options.
	Decode(key string, stored []byte) ([]byte, error)
}

// Options of [New].
type Options struct {
	Name       string                      // of the wrapping package, in errors
	Err        error                       // why its options are unusable, or nil
	Unreadable func(key string, err error) // called for each value that cannot be decoded, if not nil
}

// A wrapper has the methods of all capabilities; the queries of package drivers hide
// those that inner lacks.
type wrapper struct {
	inner  drivers.L2
	coding Coding
	Options
}

var (
	_ drivers.L2                  = (*wrapper)(nil)
	_ drivers.Wrapper[drivers.L2] = (*wrapper)(nil)
	_ drivers.Adder               = (*wrapper)(nil)
	_ drivers.Swapper             = (*wrapper)(nil)
	_ drivers.Leaser              = (*wrapper)(nil)
	_ drivers.Historian           = (*wrapper)(nil)
	_ drivers.Scanner             = (*wrapper)(nil)
	_ drivers.PrefixDeleter       = (*wrapper)(nil)
	_ drivers.Pruner              = (*wrapper)(nil)
	_ drivers.Checker             = (*wrapper)(nil)
)

// New returns an L2 that stores encoded values in inner. If options.Err is not nil, or
// inner is unusable, every operation fails.
func New(inner drivers.L2, coding Coding, options Options) drivers.L2 {
	if inner == nil && options.Err == nil {
		options.Err = errors.New("the tier to wrap is nil")
	}
	if options.Err != nil {
		options.Err = fmt.Errorf("%s: %w", options.Name, options.Err)
	} else if checker, ok := drivers.CheckerOf(inner); ok {
		options.Err = checker.Err() // begins with the inner driver's name
	}
	return &wrapper{inner, coding, options}
}

// Unwrap implements [drivers.Wrapper].
func (w *wrapper) Unwrap() drivers.L2 { return w.inner }

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

// usable returns the error of every operation if the options or the inner tier are
// unusable.
func (w *wrapper) usable(operation string, keys int) error {
	if err := w.Err(); err != nil {
		return w.failed(operation, keys, fmt.Errorf("%w (%w)", drivers.ErrClosed, err))
	}
	return nil
}

// encode returns items as the inner tier stores them.
func (w *wrapper) encode(operation string, items []drivers.Item) ([]drivers.Item, error) {
	if err := w.usable(operation, len(items)); err != nil {
		return nil, err
	}
	encoded := make([]drivers.Item, len(items))
	for i, item := range items {
		stored, err := w.coding.Encode(item.Key, item.Value)
		if err != nil {
			return nil, w.failed(operation, len(items), err)
		}
		encoded[i] = drivers.Item{Key: item.Key, Value: stored, TTL: item.TTL}
	}
	return encoded, nil
}

// decode returns the value that is stored under key, nil if there is none or if it
// cannot be decoded.
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
