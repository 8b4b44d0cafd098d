package lookup

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
)

// A read is a query that is looked up without a load.
type read struct {
	load.Query
	mark  fence.Mark    // of the key's stripe, before the shared tier was read
	item  *entry.Item   // fresh, or nil
	stale load.Fallback // for a call that allows a stale value
	tier  event.Tier
}

// Get returns the items of queries from memory or the shared tier: fresh ones, or, with
// allowStale, stale ones; nil where there is none. It never loads. An error is why there are
// queries without an answer; those that memory had one to have it all the same.
func (l *Lookups) Get(ctx context.Context, rq *load.Request, queries []load.Query, allowStale bool) ([]*entry.Item, error) {
	items := make([]*entry.Item, len(queries))
	if !l.Work.Enter() {
		return items, background.ErrClosed
	}
	defer l.Work.Leave()
	began := clock.Mono()
	reads := make([]read, len(queries))
	for i, query := range queries {
		reads[i].Query = query
		items[i] = l.Memory.Find(query.Key, query.Hash)
	}
	var open []*read
	for i, verdict := range l.Memory.ConfirmAll(ctx, items) {
		r := &reads[i]
		if verdict == memory.Fresh {
			r.item, r.tier = items[i], event.L1
			continue
		}
		if allowStale && verdict >= memory.Unconfirmed {
			r.stale.Item = items[i]
		}
		open = append(open, r)
	}
	var err error
	if l.Remote.Exists() && len(open) > 0 {
		err = l.getRemote(ctx, rq, open, allowStale, began)
	}
	answered := true
	for i := range reads {
		var found bool
		items[i], found = l.finishRead(ctx, rq, &reads[i])
		answered = answered && found
	}
	if answered { // without the shared tier, or although the caller does not wait any more
		err = nil
	}
	return items, err
}

// getRemote finds those items that the shared tier has, and keeps them in memory. The call has asked
// the tier since began.
func (l *Lookups) getRemote(ctx context.Context, rq *load.Request, open []*read, allowStale bool, began int64) error {
	keys := make([]string, len(open))
	for i, r := range open {
		keys[i], r.mark = r.Key, l.Memory.Fence.Mark(r.Hash)
	}
	tier := budget.Read(ctx, began, l.Remote.Timeout)
	items, _, err := l.Remote.ReadEntries(tier, l.Remote.Timeout, rq.Kind, &rq.Policy, keys, rq.Kind.Required)
	for i, it := range items { // also those that were read before an error
		if it == nil {
			continue
		}
		r, verdict := open[i], l.Memory.CheckLocal(it, clock.Now())
		l.Emit.Refused(rq.Kind, r.Key, event.L1, l.Memory.PutRead(r.Hash, r.mark, it, verdict))
		switch {
		case verdict == memory.Fresh:
			r.item, r.tier = it, event.L2
		case allowStale && verdict == memory.Stale && (r.stale.Item == nil || !l.Memory.Supersedes(r.stale.Item, it)):
			r.stale.Item, r.tier = it, event.L2
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	l.Emit.Warn("shared tier: read", err)
	if rq.Policy.SuppressL2Errors {
		return nil
	}
	return fmt.Errorf("cachegen: %w", err)
}

// finishRead returns what a read has found, if that is a value, and tells the hooks. It has
// found something, too, if it is known that there is none.
func (l *Lookups) finishRead(ctx context.Context, rq *load.Request, r *read) (value *entry.Item, found bool) {
	it, stale := r.item, false
	if it == nil && l.Load.Usable(ctx, r.stale) {
		it, stale = r.stale.Item, true
	}
	if it == nil || rq.Refuse != nil && rq.Refuse(it) {
		l.Emit.Miss(rq.Kind.Cache, r.Key)
		return nil, false
	}
	l.Emit.Hit(rq.Kind.Cache, it, max(r.tier, event.L1), stale)
	if it.Presence != entry.Present {
		return nil, true
	}
	return it, true
}
