package lookup

import (
	"context"
	"errors"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
)

var (
	// errReleased says that another load of the key may begin.
	errReleased = errors.New("the key is free for another load")
	// errWaitedTooLong says that a caller goes on without another's load.
	errWaitedTooLong = errors.New("waited too long for another caller's load")
)

// A limit is a reason to stop waiting for a flight.
type limit int

const (
	soft  limit = iota // a fallback is served
	hurry              // a load that waits for another process is to wait no longer
	lock               // so it is, or the caller loads beside the other's load
	hard               // the caller gives up
	limits
)

// A patience is until when a caller waits, for each limit; the zero time is for ever.
type patience [limits]time.Time

// next returns the limit that is reached first.
func (p *patience) next() (l limit, at time.Time) {
	for i, t := range p {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			l, at = limit(i), t
		}
	}
	return l, at
}

// patienceOf returns the limits of a lookup that waits since a time.
func (l *Lookups) patienceOf(ctx context.Context, rq *load.Request, q *lookup, since time.Time) (p patience) {
	if !q.joined || q.full {
		if q.waits.IsZero() {
			q.waits = since
		}
		since = q.waits // it may have asked for a flight before, when there was none, either
	}
	if q.fallback.IfSlow() {
		p[soft] = since.Add(rq.Policy.SoftTimeout)
	}
	if rq.Policy.LockTimeout > 0 && q.own == nil && !q.full {
		p[lock] = since.Add(rq.Policy.LockTimeout)
	}
	if q.joined && q.own == nil && l.Load.Leases.On() && handle.Inside(ctx) {
		p[hurry] = since.Add(l.Load.Leases.TTL) // the other process may wait for this caller
	}
	if rq.Policy.HardTimeout > 0 && !q.joined { // a load that may be joined keeps it by itself
		p[hard] = since.Add(rq.Policy.HardTimeout)
	}
	return p
}

// wait waits for the flight of a lookup: for its result, or, if it could not be joined,
// until another may begin, which is errReleased. It ends earlier with a fallback, or with
// errWaitedTooLong, when a limit is reached, or when a caller who was to load beside the
// flight may.
func (l *Lookups) wait(ctx context.Context, rq *load.Request, q *lookup, joinedAt uint64, since time.Time) (*entry.Item, error) {
	f, instead := q.flight, q.fallback
	done, offered, free := f.Done(), f.Offered(), q.free
	finish := func() (*entry.Item, error) { return l.finished(ctx, q, instead) }
	if q.joined {
		defer f.Leave()
	} else {
		done, free = q.free, nil
		if q.full { // what such a flight offers may be from before an invalidation that the caller has seen
			offered = nil
		}
		finish = func() (*entry.Item, error) { return nil, errReleased }
	}
	patience := l.patienceOf(ctx, rq, q, since)
	take := func() { // what is offered
		offered = nil
		it, at := f.Fallback()
		if instead.IfSlow() || joinedAt > f.Epoch && l.Memory.ChangedSince(it, f.Epoch) {
			return
		}
		instead = load.Fallback{Item: it}
		if !q.joined && at.Before(since) { // it has not come for this load
			at = since
		}
		patience[soft] = at.Add(rq.Policy.SoftTimeout)
		if l.Memory.Check(ctx, it) == memory.Fresh { // it is only being refreshed
			patience[soft] = at
		}
	}
	var timer *time.Timer
	var expired <-chan time.Time
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		reached, at := patience.next()
		switch {
		case at.IsZero():
			expired = nil
		case timer == nil:
			timer = time.NewTimer(time.Until(at))
			expired = timer.C
		default:
			timer.Reset(time.Until(at))
			expired = timer.C
		}
		gone := false
		select {
		case <-done:
			return finish()
		case <-offered:
			take()
			continue
		case <-free:
			select {
			case <-done: // which is what has made room
				return finish()
			default:
				return nil, errWaitedTooLong
			}
		case <-expired:
		case <-ctx.Done():
			select {
			case <-offered:
				take()
				reached, at = patience.next()
			default:
			}
			gone = at.IsZero() || time.Now().Before(at)
		}
		select {
		case <-done: // at the same moment, or while the caller waited for another flight
			return finish()
		default:
		}
		if gone {
			return nil, ctx.Err()
		}
		if reached == hurry {
			f.Hurry()
			patience[hurry] = time.Time{}
			continue
		}
		if (instead.IfSlow() || reached == hard) && l.Load.Usable(ctx, instead) {
			if q.joined && f.Detach() { // it is cancelled when the last of those who wait has left
				l.Load.NotBegun(l.Load.New(rq, false, 0), 1)
			}
			return instead.Item, nil
		}
		switch reached {
		case lock:
			// Where the load has waited for another process, it is a new one from then on.
			if q.joined {
				if at := f.Hurry().Add(rq.Policy.LockTimeout); time.Now().Before(at) {
					patience[lock] = at
					continue
				}
			}
			return nil, errWaitedTooLong
		case hard:
			return nil, load.ErrTimeout
		}
		instead, patience[soft] = load.Fallback{}, time.Time{} // its grace has ended meanwhile
	}
}

// finished returns what the flight of a lookup finished with, or what is served instead:
// what was offered or, if that has ended meanwhile, what the caller came with. That there
// is no value is no failure.
func (l *Lookups) finished(ctx context.Context, q *lookup, offered load.Fallback) (*entry.Item, error) {
	it, err := q.flight.Result()
	if err == nil || it != nil || err == load.ErrNotLoaded || err == load.ErrAgain {
		return it, err
	}
	for _, f := range []load.Fallback{offered, q.fallback} {
		if l.Load.Usable(ctx, f) {
			return f.Item, nil
		}
	}
	return nil, err
}

// tierOfFallback returns the tier of a fallback: memory, where it was found.
func tierOfFallback(it *entry.Item) event.Tier {
	if it == nil {
		return 0
	}
	return event.L1
}
