package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A loading is one load under way, of one key or of several.
type loading struct {
	rq       *request
	crew     flight.Crew
	parts    []*part
	refresh  bool
	known    uint64      // of the stamps, before it began: see [stamp.Cell.KnownSince]
	panicked *PanicError // the load's own; written before any flight lands with it
}

// A loader brings the values of parts. An error is the failure of those that it has
// not given one.
type loader func(ctx context.Context, parts []*part) error

// A part is one key of a load.
type part struct {
	want
	flight   *load
	fallback fallback
	renew    bool // a fresh value that is due is no reason not to load
	cells    []*stamp.Cell
	stamps   []stampRef // from before the load

	// What the loader says: a value, or its error that means there is none, or nothing
	// of that; and whether it has failed.
	value  any
	found  bool
	none   error
	failed error
	ended  int64      // when it has said so; 0 if it has not been asked
	entry  *LoadEntry // what else it says

	// What the flight lands with.
	it  *item
	err error

	older      bool // a tier has something that what was loaded replaces
	keep       bool // the item is worth keeping
	drop       bool // nothing is to be kept, not even what was there
	skipShared bool // memory alone is to keep it
	replaced   bool // the shared tier has nothing older any more
	kept       bool // one of the two has been done; guarded by the key's stripe
}

func (p *part) land(it *item) {
	p.it, p.err = it, nil
	p.flight.Land(it, nil, false)
}

// fly runs a load from beginning to end. It gets the values of the leader's
// context, and is cancelled by its own limits, by everyone's leaving, and by the
// end of the store's closing, but not with the leader.
func (c *core) fly(ctx context.Context, l *loading) {
	s := c.store
	defer s.gate.leave()
	defer func() {
		for _, p := range l.parts {
			p.flight.Free()
		}
	}()
	defer func() {
		if l.crew.Background() {
			s.spare.Release(1)
		}
	}()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer l.crew.OnDesert(cancel)()
	defer context.AfterFunc(s.base, func() { cancel(ErrClosed) })()

	held := time.AfterFunc(s.maxLoadTime, func() {
		for _, p := range l.parts {
			p.flight.Abandon()
			p.flight.Land(nil, ErrTimeout, false)
		}
		cancel(ErrTimeout)
	})
	defer held.Stop()

	for _, p := range l.parts {
		p.err = ErrGoexit
	}
	defer func() {
		p := recover() // of a driver or codec; a loader's is caught where it is called
		if p != nil {
			l.panicked = &PanicError{Value: p, Stack: debug.Stack()}
		}
		for _, part := range l.parts {
			if p != nil {
				part.it, part.err = nil, l.panicked
			}
			part.flight.Land(part.it, part.err, false)
		}
	}()
	c.obtain(ctx, cancel, l)
}

// obtain looks where values might be, and loads those that are nowhere.
func (c *core) obtain(ctx context.Context, cancel context.CancelCauseFunc, l *loading) {
	s := c.store
	l.known = s.stamps.Known() // before anyTag is read
	var open []*part
	for _, p := range l.parts {
		p.cells = c.cells(p.tags)
		it := s.find(p.key, p.hash)
		p.older = it != nil
		if it != nil && !p.flight.Forced && s.look(it, now()) == fresh && !(p.renew && it.due(now())) {
			p.land(it) // the flight before this one has just landed
			continue
		}
		if !p.flight.Forced && !p.renew && p.fallback.it == nil {
			if err := c.failed(ctx, l.rq, p.key); err != nil { // or has just failed
				p.it, p.err = nil, err
				p.flight.Land(nil, err, false)
				continue
			}
		}
		open = append(open, p)
	}
	if len(open) == 0 {
		return
	}
	open, anyTag, errShared := c.fromShared(ctx, l, open)
	for _, p := range open {
		p.stamps = current(p.cells)
	}
	started := now()
	if len(open) == 0 {
		return
	}
	if ctx.Err() != nil { // nobody waits any more
		for _, p := range open {
			p.it, p.err = nil, context.Cause(ctx)
		}
		return
	}
	if errShared != nil && !l.rq.set.suppressL2 {
		c.failure(ctx, l, open, &unreadError{fmt.Errorf("cachegen: %w", errShared), &l.crew})
		return
	}
	c.call(ctx, cancel, l, open)
	loaded := make([]*part, 0, len(open)) // not in place: the hard timeout looks at open
	for _, p := range open {
		if p.failed != nil {
			c.failure(ctx, l, []*part{p}, p.failed)
			continue
		}
		c.decide(p, l.rq.set, started)
		loaded = append(loaded, p)
	}
	// What has been loaded is worth keeping although its caller may be gone.
	ctx = context.WithoutCancel(ctx)
	read := c.tagResults(ctx, loaded, l.known, anyTag)
	// Under stamps that only this process knows nobody could use it.
	s.save(ctx, c, loaded, errShared == nil && read)
}

// An unreadError is that of a load which could not read the shared tier. Those of
// other loads are errors as any other.
type unreadError struct {
	error
	crew *flight.Crew
}

func (e *unreadError) Unwrap() error { return e.error }

// unread reports whether f has landed with err because the shared tier could not be
// read.
func unread(f *load, err error) bool {
	e, ok := err.(*unreadError)
	return ok && f.Of(e.crew)
}

// fromShared lands the parts that the shared tier has a fresh value for, and
// returns the others; with them [Store.anyTagKey], if it matters, and why the shared
// tier did not answer.
func (c *core) fromShared(ctx context.Context, l *loading, parts []*part) (open []*part, any anyTag, err error) {
	s := c.store
	keys := make([]string, len(parts), len(parts)+1)
	var cells []*stamp.Cell
	for i, p := range parts {
		keys[i] = p.key
		cells = append(cells, p.cells...)
	}
	if any.read = c.resultTags != nil || c.setsTags.Load(); any.read {
		keys = append(keys, s.anyTagKey())
	}
	limit := s.l2Timeout
	if s.l2Soft > 0 && !slices.ContainsFunc(parts, func(p *part) bool { return !p.fallback.ready() }) {
		limit = min(limit, s.l2Soft)
	}
	data, err := s.fetch(ctx, limit, keys, distinct(cells))
	if err != nil {
		s.warn("shared tier: read", err)
		return parts, anyTag{}, err
	}
	if any.read {
		any.value = data[len(parts)]
	}
	items, err := c.received(ctx, l.rq.set, keys[:len(parts)], data[:len(parts)])
	if err != nil {
		s.warn("shared tier: read", err)
		return parts, anyTag{}, err
	}
	for i, p := range parts {
		p.older = p.older || data[i] != nil
		it, worth := items[i], dead
		if it != nil {
			worth = s.look(it, now())
		}
		switch {
		case p.flight.Forced:
			if worth >= stale && it.graced() && (p.fallback.it == nil || !s.supersedes(p.fallback.it, it)) {
				p.fallback = fallback{it: it, last: true}
			}
		case worth == fresh && !(p.renew && it.due(now())):
			s.keepLoaded(p, it)
			p.land(it)
			continue
		case worth == stale:
			it = s.keepStale(p, it)
			if !p.fallback.ready() || it != p.fallback.it && s.supersedes(it, p.fallback.it) {
				p.fallback = fallback{it: it}
				if !p.renew { // which has been offered what it is to replace
					p.flight.Offer(it)
				}
			}
		}
		open = append(open, p)
	}
	if any.read && any.value == nil && len(open) > 0 {
		any = s.beginAnyTag(ctx)
	}
	return open, any, nil
}

// failure lands parts whose load has failed.
func (c *core) failure(ctx context.Context, l *loading, parts []*part, err error) {
	cancelled := ctx.Err() != nil
	if cancelled && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx)
	}
	set := l.rq.set
	for _, p := range parts {
		if p.entry != nil {
			set = p.entry.given.or(l.rq.set)
		}
		if g := p.fallback; c.store.standsIn(context.WithoutCancel(ctx), g) {
			g.it.backOff(set.graceBackoff)
			c.store.warn("load failed, serving the value there is", err, "cache", c.name)
			p.it, p.err = g.it, nil
			continue
		}
		p.it, p.err = nil, err
		// What was not asked has not failed; and a loader may heed its timeout before overdue
		// is done.
		failed := p.ended != 0 && !cancelled || err == ErrTimeout
		if failed && l.panicked == nil {
			if stamps, sure := c.failureStamps(l, p); sure {
				c.remember(p, set, stamps, err, cmp.Or(p.ended, now()))
			}
		}
	}
}

// backOff lets the loader alone for a while.
func (it *item) backOff(d time.Duration) { it.retryAt.Store(deadline(now(), int64(d))) }

// decide makes of what the loader has said of a part what its flight lands with.
func (c *core) decide(p *part, set settings, started int64) {
	e := p.entry
	set = e.given.or(set)
	is, value, ttl := present, p.value, set.ttl
	p.err = nil
	if len(e.given.tags) > 0 {
		c.setsTags.Store(true)
	}
	if e.notModified != nil {
		p.it = c.renewed(e.notModified, set, started, p.stamps)
		p.it.born, p.skipShared = p.flight.ID, set.skipL2Write
		p.keep = ttl > 0 && !e.skip
		return
	}
	switch {
	case p.found && (c.absent == nil || !c.absent(p.value)):
	case p.none != nil:
		is, p.err = notFound, p.none
	case p.found:
		is = absent
	case c.notFound != nil:
		is, p.err = notFound, c.notFound
	case c.absent != nil:
		is = absent
	default:
		p.it, p.err, p.drop = nil, errUnloaded, true
		return
	}
	if is != present {
		value, ttl = nil, set.missingTTL()
	}
	p.it = c.newItem(p.key, value, is, set, started, p.stamps)
	p.it.born = p.flight.ID
	p.skipShared = set.skipL2Write
	if e.skip {
		return
	}
	p.keep = ttl > 0
	p.drop = is != present && !p.keep
}

// cells returns the cells of an entry with tags: the static ones first.
func (c *core) cells(tags []Tag) []*stamp.Cell {
	cells := make([]*stamp.Cell, len(c.statics), len(c.statics)+len(tags))
	copy(cells, c.statics)
	for _, t := range tags {
		cells = append(cells, c.store.stamps.Cell(tagName(t)))
	}
	if len(tags) > 1 {
		return distinct(cells)
	}
	return cells
}

func current(cells []*stamp.Cell) []stampRef {
	refs := make([]stampRef, 0, len(cells))
	for _, cell := range cells {
		v, _, _ := cell.Current()
		refs = append(refs, stampRef{cell, v})
	}
	return refs
}

func (c *core) newItem(key string, value any, is presence, set settings, started int64, stamps []stampRef) *item {
	t := now()
	ttl, grace := set.ttl, int64(max(set.grace, 0))
	if is != present {
		ttl, grace = set.missingTTL(), 0
	}
	if c.store.l2 == nil && set.l1TTL > 0 {
		ttl = min(ttl, set.l1TTL)
	}
	fresh := deadline(t, int64(set.shortened(ttl)))
	it := &item{
		key: key, value: value, presence: is, stamps: stamps,
		freshUntil: fresh, staleUntil: deadline(fresh, grace), grace: grace,
		loadStarted: started, kept: t, lookAgain: c.lookAgain(set, t), refreshAt: never,
		size: c.size(value) + itemOverhead + len(key),
	}
	if is == present {
		it.refreshAt = set.refreshAt(t, fresh)
	}
	it.numbered()
	return it
}
