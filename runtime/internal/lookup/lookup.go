// Package lookup answers reads: it looks a key up in memory, joins the flight of the key or
// leads a new one, and waits for the result.
//
// A read goes like this. [Lookups.GetOrSet] looks in memory. For what is not there it joins
// the flight of the key; without one, the caller leads a new flight, whose load (see package
// load) reads the shared tier and calls the loader. Whoever waits gets the flight's result,
// or after its timeout a stale value, or, after its LockTimeout, loads beside the other.
// [Lookups.Get] looks in memory and in the shared tier, and never loads.
//
// What the package promises: one load of a key at a time in this process, unless a caller
// has waited for its LockTimeout, asks for a new load, or comes after an invalidation, and
// never more than a few (flight.MaxLoads); a caller gets nothing that was invalidated before
// it came; a caller that gives up does not fail the others.
//
// A lookup belongs to the goroutine of its caller. What callers share are the flights, which
// have their own locks. The package invalidates nothing, and keeps only what Get has read from
// the shared tier.
package lookup

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Lookups are those of one store.
type Lookups struct {
	Memory *memory.Memory
	Remote *remote.Tier
	Stamps *stamp.Table
	Work   *background.Work
	Emit   *emit.Emitter
	Load   *load.Loader
}

// A lookup is a query on its way through a call. It ends with a result.
type lookup struct {
	load.Query
	tier     event.Tier // that has answered; none if a loader has
	mark     fence.Mark // of the key's stripe, before the lookup began
	epoch    uint64     // of the stamps, before the lookup began
	fallback load.Fallback
	arrived  uint64 // the last flight of any key, before the call; for a call that forces a load
	flight   *memory.Flight
	joined   bool            // the caller waits for the flight's result, not only for free
	full     bool            // the caller may not load beside the flight: so many load
	free     <-chan struct{} // closed when the caller may ask for a flight again; may be nil
	waits    time.Time       // since when there has been no flight for the caller; zero if there was one at once
	own      *load.Load      // the caller leads the flight
	slow     *memory.Flight  // has taken too long; the caller loads beside it
	again    bool            // a flight that the caller has waited for has ended without a result
	waited   load.Wait       // what the caller has waited for already, when it leads the flight

	ended bool
	load.Result
}

// untouched reports whether nothing that concerns an item has been invalidated since the
// lookup began. What is invalidated after it has a flight reaches those who join that.
func (l *Lookups) untouched(q *lookup, it *entry.Item) bool {
	return l.Memory.Fence.Mark(q.Hash) == q.mark && !l.Memory.ChangedSince(it, q.epoch)
}

func (q *lookup) end(it *entry.Item, err error) { q.Item, q.Err, q.ended = it, err, true }

// endWith ends a lookup with an item of memory.
func (q *lookup) endWith(it *entry.Item) {
	q.end(it, nil)
	q.tier = event.L1
}

// tierOf returns the tier that an item which a flight returned comes from: none if it
// has just been loaded.
func (q *lookup) tierOf(it *entry.Item) event.Tier {
	switch {
	case it == nil || it.FlightID == q.flight.ID:
		return 0
	case it.FromRemote && it != q.fallback.Item:
		return event.L2
	}
	return event.L1
}

// GetOrSet returns a fresh item, or a stale one within its grace, or loads.
func (l *Lookups) GetOrSet(ctx context.Context, rq *load.Request, query load.Query) (*entry.Item, error) {
	if !l.Work.Enter() {
		return nil, background.ErrClosed
	}
	defer l.Work.Leave()
	if !rq.ForceFresh {
		it, t := l.Memory.Find(query.Key, query.Hash), clock.Now()
		if it != nil && l.Memory.CheckLocal(it, t) == memory.Fresh && t < it.DueAt() {
			l.Emit.Hit(rq.Kind.Cache, it, event.L1, false)
			return it, nil
		}
	}
	q := lookup{Query: query}
	l.resolve(ctx, rq, []*lookup{&q})
	l.emitResult(rq, &q)
	return q.Item, q.Err
}

// GetOrSetMany is [Lookups.GetOrSet] for several keys, in their order.
func (l *Lookups) GetOrSetMany(ctx context.Context, rq *load.Request, queries []load.Query) ([]load.Result, error) {
	if !l.Work.Enter() {
		return nil, background.ErrClosed
	}
	defer l.Work.Leave()
	all := make([]lookup, len(queries))
	open := make([]*lookup, len(queries))
	for i, query := range queries {
		all[i].Query = query
		open[i] = &all[i]
	}
	l.resolve(ctx, rq, open)
	results := make([]load.Result, len(all))
	for i := range all {
		l.emitResult(rq, &all[i])
		results[i] = all[i].Result
	}
	return results, nil
}

// emitResult tells the hooks how a lookup has ended.
func (l *Lookups) emitResult(rq *load.Request, q *lookup) {
	if q.tier == 0 {
		l.Emit.Miss(rq.Kind.Cache, q.Key)
	} else {
		v := l.Memory.CheckLocal(q.Item, clock.Now())
		l.Emit.Hit(rq.Kind.Cache, q.Item, q.tier, v == memory.Stale || v == memory.Unconfirmed || clock.Now() >= q.Item.FreshUntil)
	}
}

// resolve ends lookups. Several of them share one read of the shared tier and one load,
// for those keys that nobody else loads.
func (l *Lookups) resolve(ctx context.Context, rq *load.Request, open []*lookup) {
	if ctx == nil { // here, and not on a goroutine that nobody could recover from
		panic("cachegen: nil context")
	}
	if rq.ForceFresh {
		for _, q := range open {
			q.arrived = l.Memory.Flights.Last()
		}
	}
	for {
		began := clock.Mono()
		for _, q := range open {
			q.epoch, q.mark = l.Stamps.Epoch(), l.Memory.Fence.Mark(q.Hash)
		}
		if rq.ForceFresh {
			l.staleFallbacks(ctx, open)
		} else {
			l.fromMemory(ctx, rq, open)
			open = stillOpen(open)
		}
		asked := clock.Span(began, clock.Mono())
		if len(open) == 0 {
			return
		}
		if err := ctx.Err(); err != nil {
			for _, q := range open {
				q.end(nil, err)
			}
			return
		}
		joinedAt := l.Stamps.Epoch() // before the flights are found
		l.joinFlights(ctx, rq, open, asked)
		open = stillOpen(open)
		l.awaitFlights(ctx, rq, open, joinedAt)
		open = stillOpen(open)
	}
}

// stillOpen returns those lookups that have not ended.
func stillOpen(lookups []*lookup) (open []*lookup) {
	for _, q := range lookups {
		if !q.ended {
			open = append(open, q)
		}
	}
	return open
}

// fromMemory ends the lookups that memory has an answer to, and finds fallbacks for the
// others. What is due, or stale with nothing to wait for, is loaded in the background.
func (l *Lookups) fromMemory(ctx context.Context, rq *load.Request, open []*lookup) {
	var due []*lookup
	items := l.find(open)
	for i, verdict := range l.Memory.ConfirmAll(ctx, items) {
		q, it := open[i], items[i]
		q.fallback = load.Fallback{}
		switch {
		case verdict == memory.Fresh:
			q.endWith(it)
			if it.Due(clock.Now()) {
				due = append(due, q)
			}
		case verdict >= memory.Unconfirmed && it.BackingOff(clock.Now()):
			q.endWith(it)
		case verdict == memory.Unconfirmed:
			q.fallback = load.Fallback{Item: it, OnlyOnFailure: true, Unconfirmed: true}
		case verdict == memory.Stale && rq.Policy.SoftTimeout == 0:
			q.endWith(it)
			due = append(due, q)
		case verdict == memory.Stale:
			q.fallback = load.Fallback{Item: it}
		case rq.Policy.ErrorTTL > 0:
			if err := l.Memory.Failed(ctx, q.Key); err != nil {
				q.end(nil, err)
			}
		}
	}
	l.refresh(ctx, rq, due)
}

// staleFallbacks finds what is served if a load fails that was asked for although there
// is a value: only something with a grace, and only then.
func (l *Lookups) staleFallbacks(ctx context.Context, open []*lookup) {
	items := l.find(open)
	for i, verdict := range l.Memory.CheckAll(ctx, items) {
		open[i].fallback = load.Fallback{}
		if verdict >= memory.Unconfirmed && items[i].HasGrace() {
			open[i].fallback = load.Fallback{Item: items[i], OnlyOnFailure: true, Unconfirmed: verdict == memory.Unconfirmed}
		}
	}
}

func (l *Lookups) find(open []*lookup) []*entry.Item {
	items := make([]*entry.Item, len(open))
	for i, q := range open {
		items[i] = l.Memory.Find(q.Key, q.Hash)
	}
	return items
}
