package remote

import (
	"context"
	"errors"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Read returns the bytes of keys, nil for those that are absent, and brings the stamps of
// cells up to date, in one round trip. When it returns an error, cells without a stamp
// have got one that only this process knows. Keys with a pending invalidation are taken
// for absent, and a stamp with one is an error.
func (t *Tier) Read(ctx context.Context, limit time.Duration, keys []string, cells []*stamp.Cell) ([][]byte, error) {
	if t.Driver == nil {
		t.Provide(cells)
		return make([][]byte, len(keys)), nil
	}
	readable := t.readable(keys)
	values, err := t.current(ctx, limit, cells, readable)
	if err != nil {
		return nil, err
	}
	return entry.InPlaceOf(keys, readable, values), nil
}

// readable returns keys without those that must not be read.
func (t *Tier) readable(keys []string) []string {
	if t.Pending.Len() == 0 {
		return keys
	}
	var out []string
	for _, key := range keys {
		if !t.KeyBlocked(key) {
			out = append(out, key)
		}
	}
	return out
}

// KeyBlocked reports whether a key must not be read, because an invalidation of it is
// pending.
func (t *Tier) KeyBlocked(key string) bool {
	return t.Pending.Blocks(pending.Target{Kind: pending.Key, Name: key})
}

// ReadEntries reads the items of keys and decodes them. It returns what it has read, too: the
// values of keys and, behind them, of extra keys. When it fails in the middle of many keys, it
// returns what it has of those before.
func (t *Tier) ReadEntries(ctx context.Context, limit time.Duration, k *entry.Kind, p *policy.Policy, keys []string, cells []*stamp.Cell, extra ...string) (items []*entry.Item, data [][]byte, err error) {
	n := len(keys)
	if first := t.ReadChunk(n, p.BatchMax); first < n {
		return t.readInChunks(ctx, limit, k, p, keys, cells, extra)
	}
	began := clock.Now() // a process may be stopped between the answer and what becomes of it
	data, err = t.Read(ctx, limit, append(keys[:n:n], extra...), cells)
	if err == nil {
		items, err = t.DecodeEntries(ctx, k, p, keys, data[:n])
	}
	for _, it := range items {
		if it != nil {
			it.FoundAt(began)
		}
	}
	if err != nil {
		return make([]*entry.Item, n), make([][]byte, n+len(extra)), err
	}
	return items, data, nil
}

// readInChunks is ReadEntries for more keys than are read at a time.
func (t *Tier) readInChunks(ctx context.Context, limit time.Duration, k *entry.Kind, p *policy.Policy, keys []string, cells []*stamp.Cell, extra []string) (items []*entry.Item, data [][]byte, err error) {
	items, data = make([]*entry.Item, len(keys)), make([][]byte, len(keys)+len(extra))
	for from := 0; from < len(keys); {
		to := from + t.ReadChunk(len(keys)-from, p.BatchMax)
		if from > 0 {
			if err := ctx.Err(); err != nil {
				return items, data, err
			}
			budget.Answered(ctx)
		}
		someItems, some, err := t.ReadEntries(ctx, limit, k, p, keys[from:to], cells, extra...)
		copy(items[from:], someItems)
		copy(data[from:to], some)
		if err != nil {
			return items, data, err
		}
		if from == 0 { // with the first, which is before a load
			copy(data[len(keys):], some[to:])
		}
		from, extra, cells = to, nil, nil
	}
	return items, data, nil
}

// DecodeEntries makes items of what the tier had for keys. Where that was nothing, or
// nothing readable, it returns nil. The stamps that the entries carry are read if they
// are not known, all at once; it fails if they cannot be.
func (t *Tier) DecodeEntries(ctx context.Context, k *entry.Kind, p *policy.Policy, keys []string, data [][]byte) ([]*entry.Item, error) {
	items := make([]*entry.Item, len(keys))
	values := make([][]byte, len(keys))
	var err error
	for i, b := range data {
		if b == nil {
			continue
		}
		if items[i], values[i], err = k.Unpack(p, keys[i], b); err != nil {
			t.unreadable(k, keys[i], err)
		}
	}
	if err := t.verifyStamps(ctx, items); err != nil {
		return nil, err
	}
	for i, it := range items {
		if it == nil {
			continue
		}
		if err := k.Fill(it, values[i]); err != nil {
			t.unreadable(k, keys[i], err)
			items[i] = nil
		}
	}
	return items, nil
}

// unreadable tells of an entry that is taken for a miss.
func (t *Tier) unreadable(k *entry.Kind, key string, err error) {
	text, schema := "shared tier: entry cannot be read, taken for a miss", errors.Is(err, entry.ErrSchema)
	if schema { // during a rolling deploy there are many, and nothing is wrong
		text = "shared tier: entry is of another shape, taken for a miss"
	}
	t.Emit.Warn(text, err, "cache", k.Cache)
	emit.Event(t.Emit, t.Emit.Hooks().Unreadable, event.Unreadable{Store: t.Emit.Store, Cache: k.Cache, Key: key, Schema: schema, Err: err})
}

// verifyStamps reads the stamps that items from the tier are to be compared with. An
// entry with another stamp than the one that is known here, and loaded since that was
// read, may know better: the stamp is then read although it is trusted.
func (t *Tier) verifyStamps(ctx context.Context, items []*entry.Item) error {
	var cells []*stamp.Cell
	for _, it := range items {
		if it != nil {
			for _, ref := range it.Stamps {
				cells = append(cells, ref.Cell)
			}
		}
	}
	if len(cells) == 0 {
		return nil
	}
	if _, err := t.Read(ctx, t.Timeout, nil, entry.Distinct(cells)); err != nil {
		return err
	}
	var doubtful []*stamp.Cell
	for _, it := range items {
		if it == nil {
			continue
		}
		for _, ref := range it.Stamps {
			v, trustUntil, _ := ref.Cell.Current()
			if readAt := trustUntil - int64(t.StampTrust); v != ref.Value && clock.FromWall(it.LoadStarted) > readAt {
				doubtful = append(doubtful, ref.Cell)
			}
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	for _, cell := range doubtful {
		t.Stamps.Doubt(cell)
	}
	_, err := t.Read(ctx, t.Timeout, nil, entry.Distinct(doubtful))
	return err
}
