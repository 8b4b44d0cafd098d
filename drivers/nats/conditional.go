package nats

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
)

// The error codes of JetStream for a message that is no longer the last one of its subject;
// a replicated stream has a code of its own.
const (
	codeWrongSequence           = 10071
	codeWrongSequenceReplicated = 10164
)

// change atomically replaces the entry of key by the result of decide for the current entry.
// If decide returns false the entry stays. decide may be called several times.
func (d *Driver) change(ctx context.Context, stream jetstream.Stream, key string, decide func(entry) (entry, bool)) (changed bool, err error) {
	for {
		before, err := d.load(ctx, stream, key)
		if err != nil {
			return false, err
		}
		after, ok := decide(before)
		if !ok {
			return false, nil
		}
		if done, err := d.replace(ctx, key, before.sequence, after); done || err != nil {
			return done, err
		}
	}
}

// replace stores e if the last message of key has that sequence number, and returns whether
// it did.
func (d *Driver) replace(ctx context.Context, key string, sequence uint64, e entry) (bool, error) {
	_, err := d.send(ctx, d.message(key, e), jetstream.WithExpectLastSequencePerSubject(sequence))
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeWrongSequence || api.ErrorCode == codeWrongSequenceReplicated) {
		return false, nil
	}
	return err == nil, err
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	keys, entries, err := d.freshAll("add", items)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(items))
	err = d.run(ctx, "add", len(items), func(stream jetstream.Stream) error {
		if err := d.fits(keys, entries); err != nil {
			return err
		}
		return eachKey(ctx, keys, func(ctx context.Context, i int) error {
			added, err := d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				values[i] = e.live(now())
				return entries[i], values[i] == nil
			})
			if added {
				values[i] = entries[i].value
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. Swaps of the same key are performed in their order. See
// [drivers.Swapper].
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	items := make([]drivers.Item, len(swaps))
	swaps = slices.Clone(swaps)
	for i, swap := range swaps {
		items[i] = drivers.Item{Key: swap.Key, Value: swap.New, TTL: swap.TTL}
		swaps[i].Old = bytes.Clone(swap.Old)
	}
	keys, entries, err := d.freshAll("swap", items)
	if err != nil {
		return nil, err
	}
	done := make([]bool, len(swaps))
	err = d.run(ctx, "swap", len(swaps), func(stream jetstream.Stream) error {
		if err := d.fits(keys, entries); err != nil {
			return err
		}
		return eachKey(ctx, keys, func(ctx context.Context, i int) (err error) {
			done[i], err = d.change(ctx, stream, keys[i], func(e entry) (entry, bool) {
				now := now()
				value, old := e.live(now), swaps[i].Old
				if (value == nil) != (old == nil) || !bytes.Equal(value, old) || swaps[i].Unleased && e.leased(now) {
					return entry{}, false
				}
				if swaps[i].New == nil {
					return entry{}, true
				}
				return entries[i], true
			})
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}
