package invalidate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Set stores a value under key everywhere, or that there is none. With a TTL of zero there
// is nothing to keep, and what was there is deleted.
func (v *Invalidator) Set(ctx context.Context, kind *entry.Kind, key string, value any, p *policy.Policy, tags []string) error {
	presence, ttl := entry.Present, p.TTL
	if kind.Absent != nil && kind.Absent(value) {
		presence, ttl = entry.Absent, p.NotFoundTTL
	}
	ctx, m := budget.Begin(ctx, budget.Write{}), ModeOf(p)
	if ttl <= 0 {
		return v.Delete(ctx, []string{key}, m)
	}
	value, err := kind.Hold(value)
	if err != nil {
		v.Emit.Refused(kind, key, 0, err)
		return errors.Join(v.Fail(budget.Of(ctx).Function, "set", []string{key}, err), v.Delete(ctx, []string{key}, m))
	}
	if kind.ResultTags != nil && presence == entry.Present {
		tags = slices.Concat(tags, kind.ResultTags(value))
	}
	if kind.TooMany(0, tags) {
		return fmt.Errorf("cachegen: set a value: %w", entry.ErrTooManyStamps)
	}
	s := &setting{kind: kind, policy: *p, key: key, hash: v.Memory.Hash(key)}
	s.mark = v.Memory.Fence.Mark(s.hash)
	s.item, s.errStamps = v.newItem(ctx, kind, key, value, presence, p, kind.Cells(tags))
	ctx, when := v.holdSet(ctx, s, m)
	switch when {
	case held:
		return nil
	case late: // nobody knows whether the value is that of the source
		return v.Delete(ctx, []string{key}, m)
	}
	_, err = v.set(ctx, s, m)
	return err
}

// A setting is an item that is to be stored.
type setting struct {
	kind      *entry.Kind
	key       string
	hash      uint64
	item      *entry.Item // nil if the store was closed
	errStamps error       // why its stamps are known to this process alone
	policy    policy.Policy
	mark      fence.Mark // of the key's stripe, when the value was given
}

// set stores an item everywhere, and reports whether the shared tier has answered.
func (v *Invalidator) set(ctx context.Context, s *setting, m Mode) (answered bool, _ error) {
	kind, key, it, p := s.kind, s.key, s.item, &s.policy
	if it == nil {
		return false, background.ErrClosed
	}
	var refused, refusedRemote error
	err := v.apply(ctx, &change{
		op: "set", kind: bus.Drop, keys: []string{key}, silent: m.Silent,
		remote: func(ctx context.Context, _ []string) (bool, error) {
			return v.setRemote(ctx, kind, it, p.SkipL2Write, s.errStamps, &refusedRemote)
		},
		memory: func(_ string, hash uint64, sure bool) {
			// With two writers of one key, who was last in the shared tier is not known here:
			// both leave memory to the next reader.
			if sure {
				refused = v.Memory.Set(hash, kind.Kept(it))
			} else {
				v.Memory.Delete(hash)
			}
		},
	})
	answered = err == nil || remote.Refused(err)
	v.Emit.Refused(kind, key, event.L2, refusedRemote)
	v.Emit.Refused(kind, key, event.L1, refused)
	if refused != nil && (it.LocalOnly || !v.Remote.Exists()) {
		return answered, v.result(ctx, "set", []string{key}, err, fmt.Errorf("no tier keeps the value: %w", refused))
	}
	if err == nil {
		emit.Event(v.Emit, v.Emit.Hooks().Written, event.Write{Store: v.Emit.Store, Cache: kind.Cache, Key: key})
	}
	if refusedRemote != nil && !it.LocalOnly { // no tier keeps the value, which trying again does not change
		return answered, err
	}
	return answered, v.report(ctx, m, err)
}

// newItem returns a new item with the stamps of cells, which the shared tier keeps for as
// long as the item. The error says that they are known to this process alone. Of a store that is
// closed it returns nothing.
func (v *Invalidator) newItem(ctx context.Context, kind *entry.Kind, key string, value any, presence entry.Presence, p *policy.Policy, cells []*stamp.Cell) (it *entry.Item, err error) {
	if !v.Work.Enter() {
		return nil, nil
	}
	defer v.Work.Leave()
	ctx, _ = v.start(ctx, !p.SkipBusNotify)
	err = v.Remote.MakeStamps(ctx, cells, p.Life())
	it = kind.New(key, value, presence, p, clock.Wall(), v.Remote.Refs(cells))
	v.prolongStamps(ctx, it, err)
	return it, err
}

// restamp gives an item the present stamps of some of its cells. The error says that they are
// known to this process alone.
func (v *Invalidator) restamp(ctx context.Context, s *setting, cells []*stamp.Cell) error {
	if !v.Work.Enter() {
		return nil // apply says so
	}
	defer v.Work.Leave()
	ctx, _ = v.start(ctx, !s.policy.SkipBusNotify)
	err := v.Remote.MakeStamps(ctx, cells, s.policy.Life())
	stamps := slices.Clone(s.item.Stamps)
	for i, ref := range v.Remote.Refs(cells) {
		at := slices.IndexFunc(stamps, func(old entry.StampRef) bool { return old.Cell == cells[i] })
		stamps[at] = ref
	}
	s.item.Stamps = stamps
	v.prolongStamps(ctx, s.item, err)
	return err
}

// prolongStamps has the shared tier keep the stamps of an item for as long as that lives. If it
// fails, which is logged unless err is why, the item lives for less.
func (v *Invalidator) prolongStamps(ctx context.Context, it *entry.Item, err error) {
	if errLife := v.Remote.ProlongStamps(ctx, []*entry.Item{it}); errLife != nil && err == nil {
		v.Emit.Warn("shared tier: write stamps", errLife)
	}
}

// setRemote stores an item in the shared tier. If that cannot take it, what it is to
// replace is deleted all the same, and refused says why.
func (v *Invalidator) setRemote(ctx context.Context, kind *entry.Kind, it *entry.Item, localOnly bool, errStamps error, refused *error) (open bool, err error) {
	keys := []string{it.Key}
	// What an earlier write in doubt could overwrite would have to be deleted again: only
	// memory keeps it, and a pull may take it from there.
	if localOnly || v.Memory.Exists() && v.Remote.InDoubtUntil(it.Key) > 0 {
		it.LocalOnly = true
		return all(v.Remote.Delete(ctx, keys))
	}
	packed, err := kind.Pack(it)
	if err != nil {
		*refused = err
		errDelete := v.Remote.Delete(ctx, keys)
		return errDelete != nil, budget.Join(err, errDelete)
	}
	err = v.Remote.Set(ctx, []drivers.Item{packed})
	if remote.Refused(err) {
		v.Emit.Warn("shared tier: write refused, kept in memory only", err, "cache", kind.Cache)
		*refused = err
		errDelete := v.Remote.Delete(ctx, keys)
		if v.Memory.Exists() {
			err, it.LocalOnly = nil, true
		}
		return errDelete != nil, budget.Join(err, errDelete)
	}
	return err != nil, budget.Join(errStamps, err)
}
