package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// numberTTL is how long the number of tag changes is kept: much longer than any load takes.
const numberTTL = 24 * time.Hour

// tagsKey holds a number that changes with every tag of the store: see [TagWatch].
func (t *Tier) tagsKey() string { return t.Prefix + "!t" }

// A TagWatch notices tags that are invalidated while a load runs which learns only at its
// end that it has them. Their stamps are read after the load, so a value may be older than
// they are; then it must not be kept.
//
// This process knows of every change of a stamp that it knew when the load began. Of the
// others it knows only that none has changed if the store's number of tag changes, which
// every invalidation by tag removes before the stamps, is the same before the load and
// after the stamps were read.
type TagWatch struct {
	tier  *Tier
	known uint64 // of the stamps, when the watch began
	tags  []byte // the store's number of tag changes then
	read  bool   // it was read
}

// WatchTags begins a watch. So that Verify can tell, the value of Key is read after that
// and given to [TagWatch.SetNumber]. Without that, the number that this process has read last
// stands for it: if that is still the number after the load, none has changed since.
func (t *Tier) WatchTags() TagWatch {
	w := TagWatch{tier: t, known: t.Stamps.Known()}
	if last := t.lastTags.Load(); last != nil {
		w.tags, w.read = *last, true
	}
	return w
}

// sawTags remembers a number of tag changes. An older one in place of a younger one is no harm:
// no number is ever the same as one before it.
func (t *Tier) sawTags(number []byte) { t.lastTags.Store(&number) }

// Key is the key of the store's number of tag changes.
func (w *TagWatch) Key() string { return w.tier.tagsKey() }

// SetNumber takes the number of tag changes that was read before the load. Where there is
// none, it is made: if it were missing before a load and after it, it might have been
// there in between, and have been evicted.
func (w *TagWatch) SetNumber(ctx context.Context, number []byte) {
	w.tags, w.read = number, true
	if w.tier.Driver == nil {
		return
	}
	if number != nil {
		w.tier.sawTags(number)
		return
	}
	stored, err := w.tier.add(ctx, 1, nil, func() []drivers.Item {
		number := binary.BigEndian.AppendUint64(nil, w.tier.Stamps.Half())
		return []drivers.Item{{Key: w.Key(), Value: number, TTL: numberTTL}}
	})
	if err != nil {
		if ctx.Err() == nil {
			w.tier.Emit.Warn("shared tier: write stamps", err)
		}
		w.read = false
		return
	}
	w.tags = stored[0]
	w.tier.sawTags(stored[0])
}

// doubtful reports whether another process may have changed a stamp since the watch
// began without this process knowing. Nobody else changes a stamp that only this process
// has.
func (w *TagWatch) doubtful(ref entry.StampRef) bool {
	return !ref.Cell.KnownSince(w.known) && !ref.Cell.Provided(ref.Value)
}

// Changed reports whether one of refs may have changed since a flight began at epoch. Of
// the doubtful ones it believes what Verify has found. It is asked after refs were read.
func (w *TagWatch) Changed(refs []entry.StampRef, epoch uint64, verified bool) bool {
	return slices.ContainsFunc(refs, func(ref entry.StampRef) bool {
		return !verified && w.doubtful(ref) || w.tier.Stamps.ChangedSince(ref.Cell.Name, epoch)
	})
}

// Verify reports whether doubtful stamps among refs, which were read after the load, have
// not changed since the watch began. It fails if the tier does not answer.
func (w *TagWatch) Verify(ctx context.Context, refs []entry.StampRef) (unchanged bool, err error) {
	if !slices.ContainsFunc(refs, w.doubtful) {
		return true, nil
	}
	if !w.read || w.tier.Driver == nil {
		return false, nil
	}
	data, err := w.tier.get(ctx, w.tier.Timeout, []string{w.Key()}) // after the stamps: see RotateStamps
	if err == nil && data[0] != nil {
		w.tier.sawTags(data[0])
	}
	return err == nil && bytes.Equal(data[0], w.tags), err
}
