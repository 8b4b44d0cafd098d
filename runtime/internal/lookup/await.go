package lookup

import (
	"context"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
)

// awaitFlights ends lookups with what their flights finish with. Those that it leaves
// open have to look again.
func (l *Lookups) awaitFlights(ctx context.Context, rq *load.Request, open []*lookup, joinedAt uint64) {
	since, came := time.Now(), clock.Now()
	if len(open) > 1 { // first those that have to wait
		open = slices.Clone(open)
		slices.SortStableFunc(open, func(a, b *lookup) int { return a.patience() - b.patience() })
	}
	var panicked error
	var due []*lookup
	for _, q := range open {
		if panicked != nil {
			if q.joined {
				q.flight.Leave()
			}
			continue
		}
		it, err := l.wait(ctx, rq, q, joinedAt, since)
		switch {
		case err == errWaitedTooLong:
			q.slow = q.flight
			continue
		case err == errReleased:
			continue
		case err == load.ErrAgain:
			q.again = true
			continue
		case err != nil && q.own != nil && err == q.own.Panicked():
			panicked = err
			continue
		case q.joined && q.own == nil && !l.answers(rq, q, load.Result{Item: it, Err: err}, joinedAt, came):
			continue
		}
		q.end(it, err)
		if !q.joined { // it did not end with the flight
			q.tier = tierOfFallback(it)
			continue
		}
		q.tier = q.tierOf(it)
		instead := q.flight.Forced && q.tier != 0 // a load of it has just failed, as for one that is not fresh
		if t := clock.Now(); err == nil && it.Due(t) && !instead && l.Memory.CheckLocal(it, t) == memory.Fresh {
			due = append(due, q)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
	l.refresh(ctx, rq, due)
}

// patience orders lookups: the sooner one can go on without its flight, the later it
// waits.
func (q *lookup) patience() int {
	switch {
	case !q.joined:
		return 2
	case q.fallback.IfSlow():
		return 1
	}
	return 0
}

// answers reports whether what another caller's flight finished with is an answer to a
// lookup that joined it. If not, the lookup looks again: what the flight could not do for
// its leader's call, this call's own load may.
func (l *Lookups) answers(rq *load.Request, q *lookup, r load.Result, joinedAt uint64, came int64) bool {
	f, failed := q.flight, r.Err != nil && r.Item == nil
	switch {
	case r.Err == load.ErrNotLoaded && !rq.Many:
		return false // this caller's loader may know of the key; batches that find nothing share that
	case failed && rq.Policy.SuppressL2Errors && load.IsUnread(f, r.Err):
		return false // this caller would not have failed because of the shared tier
	case failed && f.Forced && !rq.ForceFresh:
		return false // somebody wanted a load; to this caller a cached value will do
	case joinedAt > f.Epoch && l.outdated(rq.Kind, q, r.Item):
		return false // invalidated after the load had begun and before this caller came
	}
	over := r.Item != nil && r.Item.FlightID == f.ID && r.Item.ObtainedAt <= came && clock.Now() >= r.Item.FreshUntil
	return !over // loaded before this caller came, and over, because storing it took that long
}

// outdated reports whether what a flight ended with may have been invalidated since the
// flight began.
func (l *Lookups) outdated(kind *entry.Kind, q *lookup, it *entry.Item) bool {
	epoch := q.flight.Epoch
	if it != nil {
		return l.Memory.ChangedSince(it, epoch) || !it.Current()
	}
	for _, cell := range kind.Cells(q.Tags) {
		if l.Stamps.ChangedSince(cell.Name, epoch) {
			return true
		}
	}
	return false
}
