package remote

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/history"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// stampAttempts bounds how often stamps are read again because they have changed while
// they were read.
const stampAttempts = 4

// errPending is why a stamp was not read.
var errPending = errors.New("a change of the stamp is pending and has not reached the shared tier")

// stampMark begins the reserved keys of stamps. No segment of an entry's key begins with
// an exclamation mark, and no prefix holds one: they cannot be the key of an entry, not
// even in a store whose prefix is the beginning of this one's.
const stampMark = "!s:"

func (t *Tier) stampKey(name string) string { return StampKeyOf(t.Prefix, name) }

// StampKeyOf returns the key of a stamp in a store with that prefix.
func StampKeyOf(prefix, name string) string { return prefix + stampMark + name }

// StampKey returns the key of a stamp.
func (t *Tier) StampKey(name string) string { return t.stampKey(name) }

// stampTargets are the targets of a pending change of a stamp.
func stampTargets(name string) [2]pending.Target {
	return [2]pending.Target{{Kind: pending.DeleteStamp, Name: name}, {Kind: pending.ExpireStamp, Name: name}}
}

// stampBlocked reports whether a stamp must not be read.
func (t *Tier) stampBlocked(name string) bool {
	if t.Pending.Len() == 0 {
		return false
	}
	targets := stampTargets(name)
	return t.Pending.Blocks(targets[0]) || t.Pending.Blocks(targets[1])
}

// current reads those stamps of cells that are not trusted, and with the first of them
// the values of extra keys, in one round trip. It makes nothing: that there is no stamp is
// remembered like one. When it returns an error, cells without a stamp have got one that only
// this process knows: whatever is stored under it will be checked again once the tier
// answers. A stamp with a pending change is an error.
func (t *Tier) current(ctx context.Context, limit time.Duration, cells []*stamp.Cell, extra []string) (values [][]byte, err error) {
	began := clock.Now()
	defer func() {
		if err != nil {
			t.provide(cells, began)
		}
	}()
	for attempt := range stampAttempts {
		since := t.Stamps.Moment() // before the read
		open := t.untrusted(cells, began)
		ask := extra
		if attempt > 0 {
			ask = nil
		}
		n := len(ask)
		ask, err = t.appendStampKeys(ask[:n:n], open)
		if err != nil || len(ask) == 0 {
			return values, err
		}
		in := t.History.In()
		got, err := t.getCounted(ctx, limit, ask, slices.ContainsFunc(open, isStore), in)
		if err != nil {
			return nil, err
		}
		if attempt == 0 {
			values = got[:n:n]
		}
		if t.learn(open, got[n:], since, in) {
			return values, nil
		}
		// Somebody changed a stamp meanwhile: those that are still open are read again.
	}
	t.provide(cells, began)
	return values, nil
}

func (t *Tier) appendStampKeys(keys []string, cells []*stamp.Cell) ([]string, error) {
	for _, c := range cells {
		if t.stampBlocked(c.Name) {
			return nil, t.Fail("read", errPending)
		}
		keys = append(keys, t.stampKey(c.Name))
	}
	return keys, nil
}

// untrusted returns those of cells whose stamps have to be read at a time.
func (t *Tier) untrusted(cells []*stamp.Cell, at int64) []*stamp.Cell {
	var out []*stamp.Cell
	for _, c := range cells {
		if _, trustUntil, _ := c.Current(); at >= trustUntil || isStore(c) && !t.History.Settled() {
			out = append(out, c)
		}
	}
	return out
}

// absent returns those of cells that have no stamp.
func absent(cells []*stamp.Cell) []*stamp.Cell {
	var out []*stamp.Cell
	for _, c := range cells {
		if _, _, ok := c.Current(); !ok {
			out = append(out, c)
		}
	}
	return out
}

// learn takes over what was read for cells, since a moment and in one history of the tier. What
// cannot be read is as good as absent, and so is the store's stamp from before the tier has gone
// back. It returns false if a stamp has changed meanwhile.
func (t *Tier) learn(cells []*stamp.Cell, values [][]byte, since stamp.Moment, in *history.In) (all bool) {
	all = true
	for i, c := range cells {
		r, found := stamp.Parse(values[i])
		before := found && isStore(c) && !t.History.Accept(r.History, in)
		if !found || before {
			r = stamp.Record{}
		}
		switch {
		case !t.Stamps.Learn(c, r, clock.Add(since.At(), t.StampTrust), since):
			all = false
		case isStore(c) && !before:
			t.History.Settle(in)
		}
	}
	return all
}

// isStore reports whether c is of the store's stamp, which every entry carries.
func isStore(c *stamp.Cell) bool { return c.Name == entry.StoreStamp }

// provide gives cells without a stamp one of this process.
func (t *Tier) provide(cells []*stamp.Cell, trustUntil int64) {
	for _, c := range cells {
		if _, _, ok := c.Current(); !ok {
			t.Stamps.Provide(c, trustUntil)
		}
	}
}

// Provide gives cells without a stamp one of this process, without asking the tier.
func (t *Tier) Provide(cells []*stamp.Cell) {
	if t.Driver == nil {
		t.provide(cells, clock.Never)
		return
	}
	t.provide(cells, clock.Now())
}

// RefreshStamps reads the stamps of cells again. If the tier does not answer, what is
// known is trusted for another while: the cache must not be the outage. So is a stamp
// with a pending change, which does not keep the others from being read.
func (t *Tier) RefreshStamps(ctx context.Context, limit time.Duration, cells []*stamp.Cell) {
	_, _ = t.Reread(ctx, limit, nil, cells)
}

// Reread is [Tier.RefreshStamps] that returns the bytes of keys, too, read in the same round
// trip.
func (t *Tier) Reread(ctx context.Context, limit time.Duration, keys []string, cells []*stamp.Cell) ([][]byte, error) {
	epoch := t.Stamps.Epoch()
	readable := cells
	if t.Pending.Len() > 0 {
		readable = slices.DeleteFunc(slices.Clone(cells), func(c *stamp.Cell) bool { return t.stampBlocked(c.Name) })
	}
	values, errRead := t.Read(ctx, limit, keys, readable)
	err := errRead
	if err == nil && len(readable) < len(cells) {
		err = errPending
	}
	if err != nil && ctx.Err() == nil {
		t.Emit.Warn("shared tier: read stamps", err)
		for _, c := range cells {
			t.Stamps.Prolong(c, t.TrustUntil(), epoch)
		}
	}
	return values, errRead
}
