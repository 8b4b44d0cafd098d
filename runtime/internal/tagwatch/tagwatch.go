// Package tagwatch notices tags that are invalidated while a load runs which learns only at its end
// that it has them. Their stamps are read after the load, so a value may be older than they are;
// then it must not be kept.
//
// This process knows of every change of a stamp that it knew when the load began. Of the others
// it knows only that none has changed if the store's number of tag changes, which every
// invalidation by tag removes before the stamps, is the same before the load and after the stamps
// were read.
//
// [Tags] are read and changed without a lock. A [Watch] belongs to its load.
package tagwatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/remote"
)

// numberTTL is how long the number of tag changes is kept: much longer than any load takes.
const numberTTL = 24 * time.Hour

// Tags are those of a store.
type Tags struct {
	Remote *remote.Tier
	// last is the number of tag changes that was read last; nil if none was.
	last atomic.Pointer[[]byte]
}

// A Watch is that of one load.
type Watch struct {
	tags   *Tags
	known  uint64 // of the stamps, when the watch began
	number []byte // of tag changes then
	read   bool   // it was read
}

// Watch begins a watch. So that Verify can tell, the value of Key is read after that and given to
// [Watch.SetNumber]. Without that, the number that this process has read last stands for it: if
// that is still the number after the load, none has changed since.
func (t *Tags) Watch() Watch {
	w := Watch{tags: t, known: t.Remote.Stamps.Known()}
	if last := t.last.Load(); last != nil {
		w.number, w.read = *last, true
	}
	return w
}

// saw remembers a number of tag changes. An older one in place of a younger one is no harm: no
// number is ever the same as one before it.
func (t *Tags) saw(number []byte) { t.last.Store(&number) }

// Key is the key of the store's number of tag changes.
func (w *Watch) Key() string { return w.tags.Remote.TagsKey() }

// SetNumber takes the number of tag changes that was read before the load. Where there is
// none, it is made: if it were missing before a load and after it, it might have been
// there in between, and have been evicted.
func (w *Watch) SetNumber(ctx context.Context, number []byte) {
	w.number, w.read = number, true
	if !w.tags.Remote.Exists() {
		return
	}
	if number != nil {
		w.tags.saw(number)
		return
	}
	stored, err := w.tags.Remote.Add(ctx, 1, nil, func() []drivers.Item {
		number := binary.BigEndian.AppendUint64(nil, w.tags.Remote.Stamps.Half(w.Key()))
		return []drivers.Item{{Key: w.Key(), Value: number, TTL: numberTTL}}
	})
	if err != nil {
		if ctx.Err() == nil {
			w.tags.Remote.Emit.Warn("shared tier: write stamps", err)
		}
		w.read = false
		return
	}
	w.number = stored[0]
	w.tags.saw(stored[0])
}

// doubtful reports whether another process may have changed a stamp since the watch
// began without this process knowing. Nobody else changes a stamp that only this process
// has.
func (w *Watch) doubtful(ref entry.StampRef) bool {
	return !ref.Cell.KnownSince(w.known) && !ref.Cell.Provided(ref.Value)
}

// Changed reports whether one of refs may have changed since a flight began at epoch. Of
// the doubtful ones it believes what Verify has found. It is asked after refs were read.
func (w *Watch) Changed(refs []entry.StampRef, epoch uint64, verified bool) bool {
	return slices.ContainsFunc(refs, func(ref entry.StampRef) bool {
		return !verified && w.doubtful(ref) || w.tags.Remote.Stamps.ChangedSince(ref.Cell.Name, epoch)
	})
}

// Verify reports whether doubtful stamps among refs, which were read after the load, have
// not changed since the watch began. It fails if the tier does not answer.
func (w *Watch) Verify(ctx context.Context, refs []entry.StampRef) (unchanged bool, err error) {
	if !slices.ContainsFunc(refs, w.doubtful) {
		return true, nil
	}
	if !w.read || !w.tags.Remote.Exists() {
		return false, nil
	}
	data, err := w.tags.Remote.Read(ctx, w.tags.Remote.Timeout, []string{w.Key()}, nil) // after the stamps: see remote.Tier.RotateStamps
	if err != nil {
		return false, err
	}
	if data[0] != nil {
		w.tags.saw(data[0])
	}
	return bytes.Equal(data[0], w.number), nil
}
