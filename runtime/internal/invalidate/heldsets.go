package invalidate

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A value that was held is as old as the call that gave it. It carries the stamps of that time: if
// one was invalidated since, nobody gets it. A stamp that its own transaction invalidates, and has
// invalidated before it was given, is taken anew when it is stored.

// setsAtOnce is how many of the values that were held are stored at a time.
const setsAtOnce = 16

// current returns those of the values that are to be set which nobody has changed meanwhile, and
// deletions of the others.
func (v *Invalidator) current(ctx context.Context, c *collect.Changes) (sets map[string]collect.Set, outdated *collect.Changes) {
	sets, outdated = maps.Clone(c.Sets), new(collect.Changes)
	var own []*stamp.Cell
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		own = append(own, changed(c, sets[key].Of.(*setting).item)...)
	}
	if len(own) > 0 && v.Remote.Exists() { // others may have changed them, too
		v.Remote.RefreshStamps(ctx, v.Remote.Timeout, entry.Distinct(own))
	}
	for key, s := range sets {
		of := s.Of.(*setting)
		if v.Memory.Fence.Mark(of.hash) != of.mark || !of.item.Current() {
			outdated.Invalidate([]string{key}, nil, collect.How{Silent: s.Silent, Log: s.Log})
			delete(sets, key)
		}
	}
	return sets, outdated
}

// changed returns those cells of an item that changes invalidate.
func changed(c *collect.Changes, it *entry.Item) (cells []*stamp.Cell) {
	for _, ref := range it.Stamps {
		if c.CoversStamp(ref.Cell.Name) {
			cells = append(cells, ref.Cell)
		}
	}
	return cells
}

// carryOutSets stores values, some at a time, after c was invalidated. They have their time anew
// whenever the shared tier has answered. If it has not, the rest of the keys are deleted, in the
// time that is left.
func (v *Invalidator) carryOutSets(ctx context.Context, c *collect.Changes, sets map[string]collect.Set) error {
	var errs []error
	keys := slices.Sorted(maps.Keys(sets))
	for len(keys) > 0 {
		some := keys[:min(len(keys), setsAtOnce)]
		keys = keys[len(some):]
		do, answered := make([]func() error, len(some)), make([]bool, len(some))
		for i, key := range some {
			do[i] = func() (err error) {
				answered[i], err = v.carryOutSet(ctx, c, sets[key])
				return err
			}
		}
		errs = append(errs, guard.Together(do))
		if slices.Contains(answered, false) {
			break
		}
		ctx = budget.Again(ctx)
	}
	rest := new(collect.Changes)
	for _, key := range keys {
		rest.Invalidate([]string{key}, nil, collect.How{Silent: sets[key].Silent, Log: sets[key].Log})
	}
	if len(keys) > 0 {
		errs = append(errs, v.carryOut(ctx, rest))
	}
	return errors.Join(errs...)
}

// carryOutSet stores one value, and reports whether the shared tier has answered.
func (v *Invalidator) carryOutSet(ctx context.Context, c *collect.Changes, held collect.Set) (answered bool, err error) {
	s := held.Of.(*setting)
	if own := changed(c, s.item); len(own) > 0 {
		s.errStamps = v.restamp(ctx, s, own)
	}
	return v.set(ctx, s, Mode{Silent: held.Silent, Log: held.Log})
}
