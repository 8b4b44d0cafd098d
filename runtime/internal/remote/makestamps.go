package remote

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// stampMargin is how much longer than needed the shared tier keeps a stamp: a load that
// has made one takes its time, and clocks differ. An entry that outlives its stamp costs a
// load.
const stampMargin = time.Minute

// plainStampTTL is how long the stamp of a tag is kept in a tier that cannot compare and
// swap, in which the life of a stamp cannot be extended.
const plainStampTTL = 30 * 24 * time.Hour

// MakeStamps brings the stamps of cells up to date for entries that will live for life: it
// makes those that are absent, and extends those that would end soon after the entries.
// When it returns an error, cells without a stamp have got one that only this process knows.
func (t *Tier) MakeStamps(ctx context.Context, cells []*stamp.Cell, life time.Duration) error {
	if t.Driver == nil {
		t.Provide(cells)
		return nil
	}
	if t.adder == nil { // what another process has made must not be replaced
		for _, c := range absent(cells) {
			t.Stamps.Doubt(c)
		}
	} else if err := t.makeAbsent(ctx, cells, life); err != nil && !Refused(err) {
		// Without a look at what is there: an add returns that. A full server can still be read.
		return err
	}
	for range stampAttempts {
		if _, err := t.current(ctx, t.Timeout, cells, nil); err != nil {
			return err
		}
		if err := t.makeAbsent(ctx, cells, life); err != nil {
			return err
		}
		short := t.endingBefore(cells, clock.Add(clock.Wall(), life))
		if len(short) > 0 {
			if err := t.extend(ctx, short); err != nil {
				if ctx.Err() == nil {
					t.Emit.Warn("shared tier: write stamps", err) // the entries will live for less
				}
				return nil
			}
		} else if len(absent(cells)) == 0 {
			return nil
		}
	}
	t.provide(cells, clock.Now())
	return nil
}

// StampsMade reports whether [Tier.MakeStamps] would have nothing to do, as far as this process
// knows.
func (t *Tier) StampsMade(cells []*stamp.Cell, life time.Duration) bool {
	return len(t.untrusted(cells, clock.Now())) == 0 && len(absent(cells)) == 0 &&
		len(t.endingBefore(cells, clock.Add(clock.Wall(), life))) == 0
}

// makeAbsent makes those stamps of cells that are absent, as far as this process knows. When it
// returns an error, they have got one that only this process knows.
func (t *Tier) makeAbsent(ctx context.Context, cells []*stamp.Cell, life time.Duration) error {
	missing := absent(cells)
	if len(missing) == 0 {
		return nil
	}
	err := t.make(ctx, missing, life)
	if err != nil {
		for _, c := range missing {
			_, trustUntil, _ := c.Current()
			t.Stamps.Provide(c, trustUntil)
		}
	}
	return err
}

// make stores stamps for cells, unless there are any by now, and learns what is stored.
func (t *Tier) make(ctx context.Context, cells []*stamp.Cell, life time.Duration) error {
	since := t.Stamps.Moment() // before they are stored
	if slices.ContainsFunc(cells, func(c *stamp.Cell) bool { return t.stampBlocked(c.Name) }) {
		return t.Fail("add", errPending)
	}
	var items []drivers.Item
	in := t.History.In()
	stored, err := t.Add(ctx, len(cells), in, func() []drivers.Item {
		items = make([]drivers.Item, len(cells))
		for i, c := range cells {
			items[i] = t.newStamp(c.Name, life)
		}
		return items
	})
	if err != nil {
		return err
	}
	var foreign []drivers.Item
	for i, b := range stored {
		r, ok := stamp.Parse(b)
		switch {
		case !ok:
			foreign = append(foreign, items[i])
			stored[i] = items[i].Value
		case isStore(cells[i]) && !t.History.Accept(r.History, in):
			if stored[i], err = t.replaceStamp(ctx, items[i], b); err != nil {
				return err
			}
		}
	}
	if len(foreign) > 0 {
		// Foreign data is as good as none. A change that comes between is one more that no
		// entry has.
		t.Emit.Warn("shared tier: stamp cannot be read, it is replaced", fmt.Errorf("reserved key %s holds foreign data", keytext.Show(foreign[0].Key)))
		if err := t.set(ctx, operation{}, foreign); err != nil {
			return err
		}
	}
	t.learn(cells, stored, since, in)
	return nil
}

// replaceStamp stores a new stamp in place of one from before the tier has gone back, and returns
// what is stored then. Of several processes that do so, one has its stamp stored.
func (t *Tier) replaceStamp(ctx context.Context, it drivers.Item, before []byte) (stored []byte, err error) {
	if !t.canSwap() {
		return it.Value, t.set(ctx, operation{}, []drivers.Item{it})
	}
	swapped, err := t.swapBy(ctx, operation{held: &t.refused.writes}, []drivers.Swap{{Key: it.Key, Old: before, New: it.Value, TTL: it.TTL}})
	if err != nil || swapped[0] {
		return it.Value, err
	}
	now, err := t.get(ctx, t.Timeout, []string{it.Key})
	if err != nil {
		return nil, err
	}
	return now[0], nil
}

// newStamp returns a new stamp for the tier.
func (t *Tier) newStamp(name string, life time.Duration) drivers.Item {
	r := stamp.Record{Value: stamp.Value{Delete: t.Stamps.Half(name), Expire: t.Stamps.Half(name)}, Until: clock.Never}
	if name == entry.StoreStamp {
		r.History = t.History.Number()
	}
	ttl := time.Duration(0)
	switch {
	case t.canSwap():
		r.Until = keepUntil(clock.Add(clock.Wall(), life))
		ttl = entry.Lifetime(clock.Wall(), r.Until)
	case entry.IsTagStamp(name):
		ttl = plainStampTTL
	}
	return drivers.Item{Key: t.stampKey(name), Value: r.Bytes(), TTL: ttl}
}

// Refs returns the stamps that cells have now. One that has been removed since it was made is
// replaced by one that only this process knows and that is read again before it is believed:
// no entry carries none.
func (t *Tier) Refs(cells []*stamp.Cell) []entry.StampRef {
	refs := entry.Refs(cells)
	for i := range refs {
		for refs[i].Delete == 0 {
			refs[i].Value = t.Stamps.Provide(refs[i].Cell, math.MinInt64)
		}
	}
	return refs
}

// keepUntil returns until when to keep a stamp that is needed until a time: twice as long,
// so that it is not extended for each entry, and the margin.
func keepUntil(needed int64) int64 {
	if needed == clock.Never {
		return clock.Never
	}
	rest := max(time.Duration(needed-clock.Wall()), 0)
	return clock.Add(clock.Add(needed, rest), stampMargin)
}

// endingBefore returns those of cells whose stamps have to be kept for longer, because of
// entries that are to live until a time and are yet to be loaded.
func (t *Tier) endingBefore(cells []*stamp.Cell, needed int64) (short []entry.Extension) {
	if !t.canSwap() {
		return nil
	}
	for _, c := range cells {
		v, _, _ := c.Current()
		if until, ok := c.Kept(v); ok && until < clock.Add(needed, stampMargin/2) {
			short = append(short, entry.Extension{Cell: c, Value: v, Needed: needed})
		}
	}
	return short
}

// ProlongStamps has the tier keep the stamps that items carry for at least as long as the
// items. A stamp that has changed meanwhile is left alone: nothing is valid under the old one.
func (t *Tier) ProlongStamps(ctx context.Context, items []*entry.Item) error {
	if !t.canSwap() {
		return nil
	}
	for range stampAttempts {
		short := entry.Outlived(items)
		if len(short) == 0 {
			return nil
		}
		if err := t.extend(ctx, short); err != nil {
			return err
		}
		cells := make([]*stamp.Cell, len(short))
		for i := range short {
			cells[i] = short[i].Cell
		}
		if _, err := t.current(ctx, t.Timeout, cells, nil); err != nil {
			return err
		}
	}
	return nil
}

// extend has the tier keep stamps for longer. Those that another process has extended or
// changed meanwhile are to be read again.
func (t *Tier) extend(ctx context.Context, short []entry.Extension) error {
	swaps, untils := make([]drivers.Swap, len(short)), make([]int64, len(short))
	for i, e := range short {
		old, _ := e.Stored(e.Value)
		longer := old
		longer.Value, longer.Until = e.Value, keepUntil(e.Needed)
		untils[i] = longer.Until
		swaps[i] = drivers.Swap{Key: t.stampKey(e.Name), Old: old.Bytes(), New: longer.Bytes(), TTL: entry.Lifetime(clock.Wall(), longer.Until)}
	}
	swapped, err := t.swapBy(ctx, operation{held: &t.refused.writes}, swaps)
	if err != nil {
		return err
	}
	for i, e := range short {
		if swapped[i] {
			t.Stamps.Keep(e.Cell, e.Value, untils[i])
		} else {
			t.Stamps.Doubt(e.Cell)
		}
	}
	return nil
}
