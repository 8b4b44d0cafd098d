package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// tagStampTTL is how long the stamp of a tag is kept in the shared tier. Entries that
// are older than it miss once.
const tagStampTTL = 30 * 24 * time.Hour

// stampAttempts bounds how often stamps are read again because they have changed while
// they were read.
const stampAttempts = 4

// errPending is why a stamp was not read.
var errPending = errors.New("a change of the stamp is pending and has not reached the shared tier")

// Reserved keys of the two halves of a stamp. No segment of an entry's key begins with
// an exclamation mark, and no prefix holds one: they cannot be the key of an entry, not
// even in a store whose prefix is the beginning of this one's.
func (t *Tier) deleteKey(name string) string { return t.Prefix + "!d:" + name }
func (t *Tier) expireKey(name string) string { return t.Prefix + "!x:" + name }

// halfKey is the key of one of the halves.
func (t *Tier) halfKey(name string, expire bool) string {
	if expire {
		return t.expireKey(name)
	}
	return t.deleteKey(name)
}

// tagsKey holds a number that changes with every tag of the store: see [TagWatch].
func (t *Tier) tagsKey() string { return t.Prefix + "!t" }

func stampTTL(name string) time.Duration {
	if entry.IsTagStamp(name) {
		return tagStampTTL
	}
	return 0
}

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
// the values of extra keys, in one round trip. Stamps that the tier does not have are
// made. When it returns an error, cells without a stamp have got one that only this
// process knows: whatever is stored under it will be checked again once the tier answers.
// A stamp with a pending change is an error.
func (t *Tier) current(ctx context.Context, limit time.Duration, cells []*stamp.Cell, extra []string) (values [][]byte, err error) {
	began := clock.Now()
	defer func() {
		if err != nil {
			t.provide(cells, began)
		}
	}()
	for attempt := range stampAttempts {
		epoch := t.Stamps.Epoch() // before the read
		open := untrusted(cells, began)
		ask := extra
		if attempt > 0 {
			ask = nil
		}
		n := len(ask)
		ask, err = t.appendStampKeys(ask[:n:n], open)
		if err != nil || len(ask) == 0 {
			return values, err
		}
		got, err := t.get(ctx, limit, ask)
		if err != nil {
			return nil, err
		}
		if attempt == 0 {
			values = got[:n:n]
		}
		learned, err := t.learn(ctx, open, got[n:], epoch)
		if err != nil {
			return nil, err
		}
		if learned {
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
		keys = append(keys, t.deleteKey(c.Name), t.expireKey(c.Name))
	}
	return keys, nil
}

// untrusted returns those of cells whose stamps have to be read at a time.
func untrusted(cells []*stamp.Cell, at int64) []*stamp.Cell {
	var out []*stamp.Cell
	for _, c := range cells {
		if _, trustUntil, ok := c.Current(); !ok || at >= trustUntil {
			out = append(out, c)
		}
	}
	return out
}

// learn takes over what was read for cells, since epoch. It returns false if a stamp has
// changed meanwhile.
func (t *Tier) learn(ctx context.Context, cells []*stamp.Cell, values [][]byte, epoch uint64) (bool, error) {
	halves, err := t.complete(ctx, cells, values)
	if err != nil {
		return false, err
	}
	all := true
	for i, c := range cells {
		v := stamp.Value{Delete: halves[2*i], Expire: halves[2*i+1]}
		all = t.Stamps.Learn(c, v, t.TrustUntil(), epoch) && all
	}
	return all, nil
}

// complete returns the halves of the stamps of cells: those that were read, and new ones
// for those that are absent or cannot be read.
func (t *Tier) complete(ctx context.Context, cells []*stamp.Cell, values [][]byte) ([]uint64, error) {
	halves := make([]uint64, len(values))
	var missing []drivers.Item
	var at []int
	for i, b := range values {
		half, ok := stamp.Parse(b)
		if ok {
			halves[i] = half
			continue
		}
		at = append(at, i)
	}
	if len(at) == 0 {
		return halves, nil
	}
	stored, err := t.add(ctx, len(at), func() []drivers.Item {
		missing = make([]drivers.Item, len(at))
		for j, i := range at {
			missing[j] = t.newHalf(cells[i/2].Name, i%2 == 1)
		}
		return missing
	})
	if err != nil {
		return nil, err
	}
	var foreign []drivers.Item
	for j, i := range at {
		half, ok := stamp.Parse(stored[j])
		if !ok {
			foreign = append(foreign, missing[j])
			half, _ = stamp.Parse(missing[j].Value)
		}
		halves[i] = half
	}
	if len(foreign) == 0 {
		return halves, nil
	}
	// Foreign data is as good as none. A change that comes between is one more that no
	// entry has.
	t.Emit.Warn("shared tier: stamp cannot be read, it is replaced", fmt.Errorf("reserved key %q holds foreign data", foreign[0].Key))
	return halves, t.set(ctx, operation{}, foreign)
}

// newHalf returns a new half of a stamp for the tier.
func (t *Tier) newHalf(name string, expire bool) drivers.Item {
	return drivers.Item{Key: t.halfKey(name, expire), Value: stamp.Bytes(t.Stamps.Half()), TTL: stampTTL(name)}
}

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

// RotateStamps writes new stamps for names: their expire half, or else their delete half. A
// server that takes no writes, because it is full, takes deletions: what is absent is made
// anew by the next reader, and equals no stamp that an entry has.
func (t *Tier) RotateStamps(ctx context.Context, names []string, expire bool) error {
	if t.Driver == nil {
		return nil
	}
	if slices.ContainsFunc(names, entry.IsTagStamp) {
		// By itself, and first: who sees one of the new stamps sees this, too. Within a
		// batch a driver keeps no order.
		err := t.replaceStamps(ctx, []string{t.tagsKey()}, func() []drivers.Item {
			return []drivers.Item{{Key: t.tagsKey(), Value: stamp.Bytes(t.Stamps.Half())}}
		})
		if err != nil {
			return err
		}
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = t.halfKey(name, expire)
	}
	return t.replaceStamps(ctx, keys, func() []drivers.Item {
		items := make([]drivers.Item, len(names))
		for i, name := range names {
			items[i] = t.newHalf(name, expire)
		}
		return items
	})
}

// replaceStamps stores new halves under keys, or removes what is there.
func (t *Tier) replaceStamps(ctx context.Context, keys []string, halves func() []drivers.Item) error {
	err := t.setStamps(ctx, len(keys), halves)
	if !errors.Is(err, drivers.ErrAnswered) {
		return err
	}
	t.Emit.Warn("shared tier: write of stamps refused, they are deleted", err)
	return t.Delete(ctx, keys)
}
