package load

import (
	"cmp"
	"context"
	"errors"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// decide makes of what the loader has said of a key what its flight finishes with, and
// what the tiers are to keep.
func (l *Loader) decide(rq *Request, k *Key, started int64) {
	h, kind := k.said.handle, rq.Kind
	p := rq.Policy.Apply(h.Given.Options)
	kind.Learn(len(h.Given.Tags))
	k.plan.localOnly = p.SkipL2Write
	if h.NotModified != nil {
		k.result = Result{Item: kind.Renew(h.NotModified, &p, started, k.stamps)}
		k.result.Item.FlightID = k.flight.ID
		k.plan.keep = p.TTL > 0 && !h.Skip
		return
	}
	presence, none, ok := k.said.presence(kind, rq.Many, p.NotFoundTTL > 0)
	if !ok {
		k.result, k.plan.drop = Result{Err: ErrNotLoaded}, true
		return
	}
	ttl := p.TTL
	if presence != entry.Present {
		ttl = p.NotFoundTTL
	}
	value, err := kind.Hold(k.said.value)
	if err != nil {
		l.Emit.Refused(kind, k.Key, 0, err)
		k.result = Result{Item: kind.Uncopied(k.Key, k.said.value, &p, started, k.stamps)}
		k.result.Item.FlightID = k.flight.ID
		k.plan.drop = !h.Skip
		return
	}
	k.result = Result{kind.New(k.Key, value, presence, &p, started, k.stamps), none}
	k.result.Item.FlightID = k.flight.ID
	if h.Skip {
		return
	}
	k.plan.keep = ttl > 0
	k.plan.drop = presence != entry.Present && !k.plan.keep
}

// presence says whether there is a value, by what the loader has said, and with which
// error its callers learn that there is none. It is not ok if the loader has said nothing
// of the key, and the cache does not know what that means. remembered says that the cache remembers
// that there is no value.
func (s *said) presence(kind *entry.Kind, many, remembered bool) (p entry.Presence, none error, ok bool) {
	switch {
	case s.found && (kind.Absent == nil || !kind.Absent(s.value)):
		return entry.Present, nil, true
	case s.none != nil:
		return entry.NotFound, s.with(s.none, false), true
	case s.found && many:
		return entry.Absent, &Returned{Value: s.value, Many: true}, true
	case s.found:
		return entry.Absent, nil, true
	case kind.NotFound != nil && (remembered || !kind.MissingIsUnknown):
		return entry.NotFound, kind.NotFound, true
	case kind.MissingIsAbsent:
		return entry.Absent, nil, true
	}
	return 0, nil, false
}

// fail finishes keys whose load has failed: with a fallback, or with the error, which is
// remembered.
func (l *Loader) fail(ctx context.Context, ld *Load, keys []*Key, err error) {
	cancelled := ctx.Err() != nil
	replaced := cancelled && errors.Is(err, ctx.Err())
	if replaced {
		err = context.Cause(ctx)
	}
	left := replaced && ld.Batch.Left() // that is no failure, and nobody is served
	for _, k := range keys {
		p := &ld.Request.Policy
		wrong := false
		if k.said.handle != nil {
			wrong = k.said.handle.Wrong != nil
			changed := ld.Request.Policy.Apply(k.said.handle.Given.Options)
			p = &changed
		}
		if f := k.fallback; l.Usable(context.WithoutCancel(ctx), f) {
			if !left {
				l.Memory.BackOff(k.Hash, f.Item, p.GraceBackoff)
				l.Emit.Warn("load failed, the stale value is served", err, "cache", ld.Request.Kind.Cache)
			}
			k.result = Result{Item: f.Item}
			continue
		}
		k.result = Result{Err: k.said.with(err, replaced)}
		// A loader that was not called has not failed; and one may reacts to its timeout before
		// finishOverdue is done.
		failed := k.said.at != 0 && !cancelled || err == ErrTimeout
		if failed && !wrong && ld.Panicked() == nil {
			if stamps, ok := l.failureStamps(ld, k); ok && !k.tagsLag {
				l.rememberFailure(k, p, stamps, err, cmp.Or(k.said.at, clock.Now()))
			}
		}
	}
}

// rememberFailure remembers the failure of a key's load at a time, unless the key has been
// invalidated or loaded meanwhile. It returns what it remembers.
func (l *Loader) rememberFailure(k *Key, p *policy.Policy, stamps []entry.StampRef, err error, at int64) *memory.Failure {
	if p.ErrorTTL <= 0 || k.lagging || errors.Is(err, context.Canceled) || errors.Is(err, background.ErrClosed) {
		return nil
	}
	failure := memory.NewFailure(k.Key, err, at, clock.Add(at, p.ErrorTTL), stamps)
	l.Memory.RememberFailure(k.Hash, k.flight, failure)
	return failure
}

// stale returns what is served if the load of a key fails, if that is a value, and why it is being
// loaded all the same.
func (k *Key) stale() (*entry.Item, event.Reason) {
	if k.fallback.Item == nil || k.fallback.Item.Presence != entry.Present {
		return nil, event.NoValue
	}
	return k.fallback.Item, k.fallback.reason()
}

// reason says why a key with a fallback is being loaded.
func (f Fallback) reason() event.Reason {
	it, t := f.Item, clock.Now()
	if it.Expired {
		return event.Invalidated
	}
	for _, ref := range it.Stamps {
		if current, _, ok := ref.Cell.Current(); !ok || current != ref.Value {
			return event.Invalidated
		}
	}
	switch {
	case f.Unconfirmed:
		return event.Unconfirmed
	case t < it.FreshUntil:
		return event.Due
	}
	return event.Elapsed
}
