package load

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// An unreadError is that of a load which could not read the shared tier. Those of other
// loads are errors as any other.
type unreadError struct {
	error
	batch *flight.Batch
}

func (e *unreadError) Unwrap() error { return e.error }

// IsUnread reports whether f has finished with err because the shared tier could not be
// read.
func IsUnread(f *memory.Flight, err error) bool {
	e, ok := err.(*unreadError)
	return ok && f.In(e.batch)
}

// fromRemote finishes the keys that the shared tier has a fresh value for, and returns the
// others, and why the shared tier did not answer.
func (l *Loader) fromRemote(ctx context.Context, ld *Load, keys []*Key) (open []*Key, err error) {
	kind := ld.Request.Kind
	names := make([]string, len(keys))
	var cells []*stamp.Cell
	for i, k := range keys {
		names[i] = k.Key
		cells = append(cells, k.cells...)
	}
	var extra []string
	if kind.MayTellTags() {
		extra = []string{ld.watch.Key()}
	}
	allHaveFallbacks := !slices.ContainsFunc(keys, func(k *Key) bool { return !k.fallback.IfSlow() })
	items, data, err := l.Remote.ReadEntries(ctx, l.Remote.ReadLimit(allHaveFallbacks), kind, &ld.Request.Policy, names, entry.Distinct(cells), extra...)
	if err != nil && ctx.Err() == nil { // or else nobody waits any more
		l.Emit.Warn("shared tier: read", err)
	}
	for i, k := range keys {
		k.lease.Seen = data[i]
		k.plan.older = k.plan.older || data[i] != nil
		if !l.finishFromRemote(kind, k, items[i]) {
			open = append(open, k)
		}
	}
	if err != nil {
		return open, err
	}
	if extra != nil && len(open) > 0 {
		if number := data[len(keys)]; number != nil {
			ld.watch.SetNumber(ctx, number)
		} else {
			ld.unnumbered = true
		}
	}
	return open, nil
}

// finishFromRemote finishes a key with a fresh item of the shared tier, or with a stale one
// for which the loader has just failed, or takes a stale one as a fallback.
func (l *Loader) finishFromRemote(kind *entry.Kind, k *Key, it *entry.Item) (finished bool) {
	if it == nil {
		return false
	}
	l.Memory.RecallBackOff(it)
	switch verdict := l.Memory.CheckLocal(it, clock.Now()); {
	case k.flight.Forced:
		if verdict >= memory.Stale && it.HasGrace() && (k.fallback.Item == nil || !l.Memory.Supersedes(k.fallback.Item, it)) {
			k.fallback = Fallback{Item: it, OnlyOnFailure: true}
		}
	case verdict == memory.Fresh && !(k.refresh && it.Due(clock.Now())):
		_, refused := l.Memory.Put(k.Key, k.Hash, k.flight, it)
		l.Emit.Refused(kind, k.Key, event.L1, refused)
		k.finish(it, nil)
		return true
	case verdict == memory.Stale:
		it = l.Memory.PutStale(k.Hash, k.flight, it)
		if it.BackingOff(clock.Now()) && !k.refresh {
			k.finish(it, nil)
			return true
		}
		if !k.fallback.IfSlow() || it != k.fallback.Item && l.Memory.Supersedes(it, k.fallback.Item) {
			k.fallback = Fallback{Item: it}
			if !k.refresh && !k.offered { // a refresh has offered what it is to replace
				k.offered = true
				k.flight.Offer(it)
			}
		}
	}
	return false
}
