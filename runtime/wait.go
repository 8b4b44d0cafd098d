package runtime

import (
	"context"
	"time"
)

// wait waits for the flight of a search, which the caller has joined at the stamps'
// epoch came.
func (c *core) wait(ctx context.Context, q *search, rq *request, came uint64, since time.Time) (*item, error) {
	f, g := q.flight, q.fallback
	defer f.Leave()
	s := c.store
	var timers [3]*time.Timer
	limit := func(n int, from time.Time, d time.Duration) <-chan time.Time {
		timers[n] = time.NewTimer(time.Until(from.Add(d)))
		return timers[n].C
	}
	defer func() {
		for _, timer := range timers {
			if timer != nil {
				timer.Stop()
			}
		}
	}()
	var soft, lock <-chan time.Time
	locked := false
	if g.ready() {
		soft = limit(0, since, rq.set.soft)
	}
	if rq.set.lock > 0 && q.own == nil {
		lock = limit(1, since, rq.set.lock)
	}
	offered := f.Offered()
	for {
		select {
		case <-f.Done():
			return c.landed(ctx, q, g)
		case <-offered:
			offered = nil
			it, at := f.Fallback()
			if g.ready() || came > f.Epoch && s.changedSince(it, f.Epoch) {
				continue
			}
			g = fallback{it: it}
			patience := rq.set.soft
			if s.judge(ctx, it) == fresh { // it is only being refreshed
				patience = 0
			}
			soft = limit(2, at, patience)
			continue
		case <-soft:
			soft = nil
		case <-lock:
			locked = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Patience has run out.
		select {
		case <-f.Done():
			return c.landed(ctx, q, g)
		default:
		}
		if g.ready() && s.standsIn(ctx, g) {
			c.detach(f)
			return g.it, nil
		}
		if locked {
			return nil, errPast
		}
		g = fallback{}
	}
}

// landed returns what the flight of a search ended with, or what stands in for it: what
// was offered or, if that has ended meanwhile, what the caller came with. That there is
// nothing is no failure.
func (c *core) landed(ctx context.Context, q *search, offered fallback) (*item, error) {
	it, err := q.flight.Result()
	if err == nil || it != nil || err == errUnloaded {
		return it, err
	}
	for _, g := range []fallback{offered, q.fallback} {
		if c.store.standsIn(ctx, g) {
			return g.it, nil
		}
	}
	return nil, err
}

// standBy waits until a load that was given up has returned, so that the next one
// of its key does not run beside it. It leaves the search open when that is so.
func (c *core) standBy(ctx context.Context, q *search, rq *request, since time.Time) {
	g := q.fallback
	limit, pass := rq.set.hard, false
	if lock := rq.set.lock; lock > 0 && (limit == 0 || lock < limit) {
		limit, pass = lock, true
	}
	if g.ready() && (limit == 0 || rq.set.soft < limit) {
		limit = rq.set.soft
	}
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(time.Until(since.Add(limit)))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-q.flight.Freed():
	case <-ctx.Done():
		q.end(nil, ctx.Err())
	case <-late:
		switch {
		case (g.ready() || !pass) && c.store.standsIn(ctx, g):
			q.endWith(g.it)
		case g.ready(): // it has ended meanwhile: the caller waits as one who has none
			q.fallback = fallback{}
			c.standBy(ctx, q, rq, time.Now())
		case pass:
			q.past = q.flight
		default:
			q.end(nil, ErrTimeout)
		}
	}
}
