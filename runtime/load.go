package runtime

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/flight"
)

// A request is one call that may load.
type request struct {
	key        string // full key
	hash       uint64
	set        settings
	tags       []Tag // known before the load
	load       func(context.Context) (any, error)
	forceFresh bool

	panicked *PanicError // the load's own; written by the flight that this request leads, before it lands
}

type load = flight.Flight[*item]

// A fallback is an item that can stand in for a load.
type fallback struct {
	it *item
	// last says that it stands in only when the load has failed, not when it is slow.
	last bool
}

// standsIn reports whether it can be served now.
func (s *Store) standsIn(ctx context.Context, g fallback) bool {
	return g.it != nil && s.judge(ctx, g.it) >= suspect
}

// getOrSet returns a fresh item, or a stale one within its grace, or loads.
func (c *core) getOrSet(ctx context.Context, rq *request) (*item, error) {
	s := c.store
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	for {
		var g fallback
		if !rq.forceFresh {
			it, verdict := s.recall(ctx, rq.key, rq.hash)
			switch {
			case verdict == fresh:
				return it, nil
			case verdict >= suspect && now() < it.retryAt.Load():
				return it, nil
			case verdict == suspect:
				g = fallback{it, true}
			case verdict == stale && rq.set.soft == 0:
				c.refresh(ctx, rq, it)
				return it, nil
			case verdict == stale:
				g = fallback{it, false}
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		came := s.stamps.Epoch() // before the flight is found
		f, leader := (*load)(nil), true
		if rq.forceFresh {
			f = s.flights.Replace(rq.key, s.stamps.Epoch) // what is being loaded now is older than what this call asks for
		} else {
			var joined bool
			if f, leader, joined = s.flights.Join(rq.key, false, s.stamps.Epoch); !joined {
				if it, err := c.standBy(ctx, f, rq, g); it != nil || err != nil {
					return it, err
				}
				continue
			}
		}
		if leader {
			s.gate.again()
			go c.fly(ctx, f, rq, g)
		}
		it, err := c.wait(ctx, f, rq, g, came)
		// Only what the flight landed with is a PanicError; until it has landed,
		// rq.panicked is the flight's.
		if p, ok := err.(*PanicError); ok && leader && p == rq.panicked {
			panic(p)
		}
		switch {
		case leader:
		case err != nil && f.Forced:
			continue // somebody else wanted it loaded; to this caller a cached value will do
		case came > f.Epoch && c.outdated(it, err, rq.tags, f.Epoch):
			continue // invalidated after its load had begun and before this caller came
		}
		return it, err
	}
}

// outdated reports whether what a flight ended with may have been invalidated
// after epoch.
func (c *core) outdated(it *item, err error, tags []Tag, epoch uint64) bool {
	if err == nil {
		return c.store.changedSince(it, epoch)
	}
	for _, cell := range c.cells(tags) {
		if c.store.stamps.ChangedSince(cell.Name, epoch) {
			return true
		}
	}
	return false
}

// refresh loads behind the caller's back, unless someone does already or there is
// too much of that going on.
func (c *core) refresh(ctx context.Context, rq *request, grace *item) {
	s := c.store
	if !s.spare.TryAcquire(1) {
		return
	}
	f, leader, _ := s.flights.Join(rq.key, true, s.stamps.Epoch)
	if !leader {
		s.spare.Release(1)
		return
	}
	s.gate.again()
	go c.fly(ctx, f, rq, fallback{grace, false})
}

// detach lets a flight go on in the background, unless there is too much of that
// going on. Then it is cancelled when the last of those who wait has left.
func (c *core) detach(f *load) {
	if s := c.store; s.spare.TryAcquire(1) && !f.Detach() {
		s.spare.Release(1)
	}
}

// wait waits for a flight that the caller has joined at the stamps' epoch came.
func (c *core) wait(ctx context.Context, f *load, rq *request, g fallback, came uint64) (*item, error) {
	defer f.Leave()
	s := c.store
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	var soft <-chan time.Time
	patience := func() { // begins to run out
		timer = time.NewTimer(rq.set.soft)
		soft = timer.C
	}
	if g.it != nil && !g.last {
		patience()
	}
	offered := f.Offered()
	for {
		select {
		case <-f.Done():
			it, err := f.Result()
			if err != nil && s.standsIn(ctx, g) {
				return g.it, nil
			}
			return it, err
		case <-offered:
			offered = nil
			it := f.Fallback()
			if g.it != nil && !g.last || came > f.Epoch && s.changedSince(it, f.Epoch) {
				continue
			}
			g = fallback{it, false}
			patience()
		case <-soft:
			soft = nil
			if s.standsIn(ctx, g) {
				c.detach(f)
				return g.it, nil
			}
			g = fallback{}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// standBy waits until a load that was given up has returned, so that the next one
// of its key does not run beside it. It returns nothing when that is so.
func (c *core) standBy(ctx context.Context, f *load, rq *request, g fallback) (*item, error) {
	limit := rq.set.hard
	if g.it != nil && !g.last {
		limit = rq.set.soft
	}
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-f.Freed():
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late:
		if c.store.standsIn(ctx, g) {
			return g.it, nil
		}
		if g.it != nil && !g.last { // it has ended meanwhile: the caller waits as one who has none
			return c.standBy(ctx, f, rq, fallback{})
		}
		return nil, ErrTimeout
	}
}
