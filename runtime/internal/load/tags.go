package load

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// makeStamps makes those stamps of keys that the shared tier does not have: what is about
// to be loaded is stored under them. It asks which of them lag, when they are known.
func (l *Loader) makeStamps(ctx context.Context, ld *Load, keys []*Key) (err error) {
	cells, life := cellsOf(keys), ld.Request.Policy.Life()
	if len(cells) == 0 {
		return nil
	}
	if !l.Remote.StampsMade(cells, life) {
		err = l.Remote.MakeStamps(ctx, entry.Distinct(cells), life)
	}
	if err == nil && l.Lag != nil {
		err = l.askLagging(ctx, keys)
	}
	if err != nil && ctx.Err() == nil {
		l.Emit.Warn("shared tier: write stamps", err)
	}
	return err
}

// prolongStamps has the shared tier keep the stamps of what has been loaded for as long as
// that lives. If it fails, the entries live for less.
func (l *Loader) prolongStamps(ctx context.Context, keys []*Key) {
	var items []*entry.Item
	for _, k := range keys {
		if k.plan.keep {
			items = append(items, k.result.Item)
		}
	}
	if err := l.Remote.ProlongStamps(ctx, items); err != nil {
		l.Emit.Warn("shared tier: write stamps", err)
	}
}

// addResultStamps adds the stamps of the tags that only the loader or its value tells.
// They are read after the load: an item whose stamp may be younger than its value is not
// kept (see package tagwatch). It fails if the shared tier did not tell the stamps.
func (l *Loader) addResultStamps(ctx context.Context, ld *Load, keys []*Key) error {
	tagged := make([][]*stamp.Cell, len(keys))
	var all []*stamp.Cell
	for i, k := range keys {
		if k.result.Item != nil {
			tags := resultTags(ld.Request.Kind, k)
			if k.overTagged || ld.Request.Kind.TooMany(len(k.result.Item.Stamps), tags) {
				l.Emit.Warn("a loaded value is not kept", entry.ErrTooManyStamps, "cache", ld.Request.Kind.Cache)
				l.keepNothing(ld.Request.Kind, k, entry.ErrTooManyStamps)
				continue
			}
			tagged[i] = ld.Request.Kind.TagCells(k.result.Item.Stamps, tags)
			all = append(all, tagged[i]...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	err := l.Remote.MakeStamps(ctx, entry.Distinct(all), ld.Request.Policy.Life())
	refs := make([][]entry.StampRef, len(keys)) // before they are verified
	for i := range keys {
		refs[i] = l.Remote.Refs(tagged[i])
	}
	verified := false
	var marked map[*stamp.Cell]bool
	if err == nil {
		marked, err = l.Held.Marked(ctx, all)
	}
	if err == nil {
		verified, err = ld.watch.Verify(ctx, slices.Concat(refs...))
	}
	if err != nil {
		l.Emit.Warn("shared tier: read stamps", err)
	}
	for i, k := range keys {
		l.tagged(k, refs[i], marked)
		if len(refs[i]) == 0 {
			continue
		}
		k.result.Item.Stamps = append(k.result.Item.Stamps, refs[i]...)
		if k.plan.keep && ld.watch.Changed(refs[i], k.flight.Epoch, verified) {
			k.keepNothing()
		}
	}
	return err
}

// keepNothing says that no tier is to keep what has been loaded.
func (k *Key) keepNothing() {
	k.plan.keep = false
	// Who asked for a load although there was a value does not want that back.
	k.plan.drop = k.plan.drop || k.flight.Forced
}

// keepNothing is [Key.keepNothing] of a value that no tier keeps because of how it was loaded,
// of which the hooks are told.
func (l *Loader) keepNothing(kind *entry.Kind, k *Key, why error) {
	k.keepNothing()
	emit.Event(l.Emit, l.Emit.Hooks().Refused, event.Refusal{Store: l.Emit.Store, Cache: kind.Cache, Key: k.Key, Err: why})
}

// resultTags returns the tags that only the loader or its value tells.
func resultTags(kind *entry.Kind, k *Key) []string {
	tags, it := k.said.handle.Given.Tags, k.result.Item
	if kind.ResultTags != nil && it.Presence == entry.Present && k.said.handle.NotModified == nil { // which has its own
		tags = slices.Concat(tags, kind.ResultTags(it.Value))
	}
	return tags
}

// failureStamps returns the stamps that invalidate the failure of a key's load: those of
// the value that there would have been, as far as the loader has told its tags. The
// shared tier is not asked for them. It is not ok if one may be younger than the load.
func (l *Loader) failureStamps(ld *Load, k *Key) (stamps []entry.StampRef, ok bool) {
	var tags []string
	if k.said.handle != nil {
		tags = k.said.handle.Given.Tags
	}
	switch {
	case k.overTagged || ld.Request.Kind.TooMany(len(k.stamps), tags):
		return nil, false
	case len(tags) == 0:
		return k.stamps, true
	}
	cells := ld.Request.Kind.TagCells(k.stamps, tags)
	l.Remote.Provide(cells)
	refs := l.Remote.Refs(cells)
	l.tagged(k, refs, nil)
	if ld.watch.Changed(refs, k.flight.Epoch, false) {
		return nil, false
	}
	return slices.Concat(k.stamps, refs), true
}
