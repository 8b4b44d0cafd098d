package lookup

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
)

// joinFlights finds a flight for each lookup. The caller leads those whose keys nobody
// loads, in one load. A lookup for a key that the caller is loading itself ends.
func (l *Lookups) joinFlights(ctx context.Context, rq *load.Request, open []*lookup) {
	own := &load.Load{Request: rq}
	for _, q := range open {
		leader := l.joinFlight(rq, q, own)
		if !leader && load.Within(ctx, q.flight) {
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
			own.Add(q.Query, q.flight, instead)
		}
	}
	if !own.Empty() {
		l.Load.Start(ctx, own)
	}
}

// joinFlight finds a flight for a lookup, and reports whether the caller leads it.
func (l *Lookups) joinFlight(rq *load.Request, q *lookup, own *load.Load) (leader bool) {
	flights, slow := l.Memory.Flights, q.slow
	q.flight, q.own, q.slow, q.joined = nil, nil, nil, true
	switch {
	case rq.ForceFresh: // what is being loaded now is older than what this call asks for
		q.flight = flights.Replace(q.Key, &own.Batch, l.Stamps.Epoch)
		return true
	case slow != nil:
		q.flight, leader = flights.Beside(slow, &own.Batch, l.Stamps.Epoch)
	}
	if q.flight == nil {
		q.flight, leader, q.joined = flights.Join(q.Key, false, &own.Batch, l.Stamps.Epoch)
	}
	return leader
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
	if len(due) == 0 || !l.Work.TryAcquire() {
		return
	}
	own := &load.Load{Request: rq, Refresh: true}
	for _, q := range due {
		if f, leader, _ := l.Memory.Flights.Join(q.Key, true, &own.Batch, l.Stamps.Epoch); leader {
			var instead load.Fallback
			if l.untouched(q, q.Item) {
				f.Offer(q.Item) // to those who would find it in the shared tier, were there no flight
				instead.Item = q.Item
			}
			own.Add(q.Query, f, instead)
		}
	}
	if own.Empty() {
		l.Work.Release()
		return
	}
	l.Load.Start(ctx, own)
}

// detach lets a load go on in the background, unless too much does. Then it is cancelled
// when the last of those who wait has left.
func (l *Lookups) detach(f *memory.Flight) { f.Detach(l.Work.TryAcquire) }
