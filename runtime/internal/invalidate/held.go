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
)

// A When says when a change is made.
type When int

// The times.
const (
	now  When = iota
	held      // when the transaction of its context has been committed
	late      // now, although that has ended
)

var _ collect.Store = (*Invalidator)(nil)

// Warn logs what no caller is told.
func (v *Invalidator) Warn(text string, err error) { v.Emit.Warn(text, err) }

// hold holds a change if its context is of a transaction. If that has ended, it returns a
// context that is of none.
func (v *Invalidator) hold(ctx context.Context, change func(*collect.Changes)) (context.Context, When) {
	tx := collect.Of(ctx)
	switch {
	case tx == nil:
		return ctx, now
	case tx.Hold(v, budget.Of(ctx).Function, change):
		return ctx, held
	}
	return collect.Without(ctx), late
}

// holdInvalidation is hold of an invalidation of keys and tags, which may be held.
func (v *Invalidator) holdInvalidation(ctx context.Context, keys, tags []string, expire bool, m Mode) (context.Context, bool) {
	ctx, when := v.hold(ctx, func(c *collect.Changes) {
		c.Invalidate(keys, tags, collect.How{Expire: expire, Silent: m.Silent, Log: m.logs(ctx)})
	})
	return ctx, when == held
}

// holdClear is hold of a clear, which may be held.
func (v *Invalidator) holdClear(ctx context.Context, of entry.Cache, m Mode) (context.Context, bool) {
	ctx, when := v.hold(ctx, func(c *collect.Changes) { c.Clear(of, collect.How{Log: m.logs(ctx)}) })
	return ctx, when == held
}

// holdSet is hold of a value. If nobody knows its stamps, the key is deleted in place of it.
func (v *Invalidator) holdSet(ctx context.Context, s *setting, m Mode) (context.Context, When) {
	return v.hold(ctx, func(c *collect.Changes) {
		how := collect.How{Silent: m.Silent, Log: m.logs(ctx)}
		if s.item == nil || s.errStamps != nil {
			c.Invalidate([]string{s.key}, nil, how)
			return
		}
		names := make([]string, len(s.item.Stamps))
		for i, ref := range s.item.Stamps {
			names[i] = ref.Cell.Name
		}
		c.Set(s.key, collect.Set{Stamps: names, Silent: how.Silent, Log: how.Log, Of: s})
	})
}

// HasOutbox reports whether the store has an outbox.
func (v *Invalidator) HasOutbox() bool { return v.Relay != nil }

// Leave writes changes into the outbox of the store, which has one.
func (v *Invalidator) Leave(ctx context.Context, exec collect.Exec, c *collect.Changes) (collect.Left, error) {
	return v.Relay.Write(ctx, exec, c)
}

// CarryOut makes changes that were held: first what is invalidated, each kind in one call, then
// what is set. through says that everybody was reached.
func (v *Invalidator) CarryOut(ctx context.Context, c *collect.Changes) (through bool, err error) {
	ctx, missed := budget.Noting(ctx)
	err = v.carryOut(ctx, c)
	return err == nil && !missed(), err
}

func (v *Invalidator) carryOut(ctx context.Context, c *collect.Changes) error {
	sets, outdated := v.current(ctx, c) // before this very write changes anything
	var do []func() error
	if c.Everything {
		do = append(do, func() error { return v.Clear(ctx, entry.Cache{}, Mode{Log: c.Whole.Log}) })
	}
	for _, how := range []collect.How{{}, {Silent: true}, {Expire: true}, {Expire: true, Silent: true}} {
		g := v.gather(how, c, outdated)
		if len(g.keys)+len(g.tags)+len(g.clears) > 0 {
			do = append(do, func() error { return g.carryOut(ctx) })
		}
	}
	return errors.Join(guard.Together(do), v.carryOutSets(ctx, c, sets))
}

// A group is what is invalidated in the same way.
type group struct {
	*Invalidator
	how        collect.How
	keys, tags []string
	clears     []entry.Cache
}

// gather returns what is invalidated in a way. It is logged that somebody was not reached if that
// is so for all of it. The order is the same each time: a simulation is run again.
func (v *Invalidator) gather(how collect.How, all ...*collect.Changes) *group {
	how.Log = true
	g := &group{Invalidator: v, how: how}
	is := func(of collect.How) bool {
		same := of.Expire == how.Expire && of.Silent == how.Silent
		g.how.Log = g.how.Log && (!same || of.Log)
		return same
	}
	for _, c := range all {
		for _, key := range slices.Sorted(maps.Keys(c.Keys)) {
			if is(c.Keys[key]) {
				g.keys = append(g.keys, key)
			}
		}
		for _, tag := range slices.Sorted(maps.Keys(c.Tags)) {
			if is(c.Tags[tag]) {
				g.tags = append(g.tags, tag)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.Clears)) {
			if cl := c.Clears[name]; is(cl.How) {
				g.clears = append(g.clears, cl.Of)
			}
		}
	}
	g.keys = entry.Distinct(g.keys)
	return g
}

func (g *group) carryOut(ctx context.Context) error {
	m := Mode{Silent: g.how.Silent, Log: g.how.Log}
	switch {
	case g.how.Expire:
		return guard.Together([]func() error{
			func() error { return g.Expire(ctx, g.keys, m) },
			func() error { return g.ExpireByTag(ctx, g.tags, m) },
		})
	case len(g.clears) == 0:
		return g.Invalidate(ctx, g.keys, g.tags, m)
	}
	return g.clear(ctx, m)
}

// clear deletes keys, what has tags, and what is cleared, in the time of one change.
func (g *group) clear(ctx context.Context, m Mode) error {
	stamps := entry.TagStamps(g.tags)
	for _, of := range g.clears {
		stamps = append(stamps, of.Stamp())
	}
	var err error
	switch {
	case len(g.keys) > 0:
		err = g.deleteBoth(ctx, g.keys, stamps, m)
	case len(g.tags) > 0:
		err = g.rotateStamps(ctx, "invalidate", stamps, false)
	default:
		err = g.rotateStamps(ctx, "clear", stamps, false)
	}
	g.emitKeys(g.Emit.Hooks().Deleted, g.keys, g.tags, err)
	for _, of := range g.clears {
		g.emitCleared(of, err)
	}
	return g.report(ctx, m, err)
}
