package lookup

import (
	"context"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
)

// joinFlights finds a flight for each lookup. The caller leads those whose keys nobody
// loads, in one load. A lookup for a key that the caller is loading itself ends.
func (l *Lookups) joinFlights(ctx context.Context, rq *load.Request, open []*lookup, asked time.Duration) {
	own := l.Load.New(rq, false, asked)
	for _, q := range open {
		leader := l.joinFlight(rq, q, own)
		if !leader && l.within(ctx, q) {
			if q.joined {
				q.flight.Leave()
			}
			l.endWithin(ctx, q)
			continue
		}
		if leader {
			q.own = own
			var instead load.Fallback
			if f := q.fallback; f.Item != nil && l.untouched(q, f.Item) { // it is for those who join, too
				instead = f
			}
			own.Add(q.Query, q.flight, instead, q.waited)
		}
	}
	if !own.Empty() {
		l.Load.Start(ctx, own)
	}
}

// joinFlight finds a flight for a lookup, and reports whether the caller leads it.
func (l *Lookups) joinFlight(rq *load.Request, q *lookup, own *load.Load) (leader bool) {
	flights, slow := l.Memory.Flights, q.slow
	q.own, q.slow, q.waited = nil, nil, load.First
	if q.again {
		q.waited = load.Once
	}
	var seat flight.Seat[*entry.Item]
	switch {
	case rq.ForceFresh: // what was being loaded when the call came is older than what it asks for
		seat = flights.Replace(q.Key, q.arrived, slow, &own.Batch, l.Stamps.Epoch)
	case slow != nil:
		seat = flights.Beside(slow, &own.Batch, l.Stamps.Epoch)
		q.waited = load.Beside
	}
	if seat.Flight == nil {
		seat = flights.Join(q.Key, false, &own.Batch, l.Stamps.Epoch)
	}
	q.flight, q.joined, q.full, q.free = seat.Flight, seat.Joined, seat.Full, seat.Free
	return seat.Leader
}

// within reports whether a lookup would wait for the load that its caller is a part of.
func (l *Lookups) within(ctx context.Context, q *lookup) bool {
	if handle.Within(ctx, q.flight) {
		return true
	}
	return q.full && slices.ContainsFunc(l.Memory.Flights.Running(q.Key), func(f *memory.Flight) bool { return handle.Within(ctx, f) })
}

// endWithin ends a lookup whose flight waits for the caller.
func (l *Lookups) endWithin(ctx context.Context, q *lookup) {
	f := q.fallback
	select {
	case <-q.flight.Offered():
		if f.Item == nil {
			f.Item, _ = q.flight.Fallback()
		}
	default:
	}
	if l.Load.Usable(ctx, f) {
		q.endWith(f.Item)
		return
	}
	q.end(nil, load.ErrRecursive)
}

// refresh loads in the background what lookups have ended with, unless somebody does
// already, or too much runs in the background.
func (l *Lookups) refresh(ctx context.Context, rq *load.Request, due []*lookup) {
	if len(due) == 0 {
		return
	}
	own := l.Load.New(rq, true, 0)
	if !own.Place.TryAcquire() {
		l.Load.NotBegun(own, len(due))
		return
	}
	for _, q := range due {
		if seat := l.Memory.Flights.Join(q.Key, true, &own.Batch, l.Stamps.Epoch); seat.Leader {
			var instead load.Fallback
			if l.untouched(q, q.Item) {
				seat.Flight.Offer(q.Item) // to those who would find it in the shared tier, were there no flight
				instead.Item = q.Item
			}
			own.Add(q.Query, seat.Flight, instead, load.First)
		}
	}
	if own.Empty() {
		own.Place.Release()
		return
	}
	l.Load.Start(ctx, own)
}
