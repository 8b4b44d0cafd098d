package runtime

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
)

// call runs the loader, several times if it is to be asked for so many keys only at a
// time, and sees to it that each part has what became of it. It returns when the
// loader does, although those who wait may have been told of a timeout before.
func (c *core) call(ctx context.Context, cancel context.CancelCauseFunc, l *loading, parts []*part) {
	if l.rq.set.hard > 0 {
		timer := time.AfterFunc(l.rq.set.hard, func() {
			cancel(ErrTimeout)
			for _, p := range parts {
				c.overdue(l, p)
			}
		})
		defer timer.Stop()
	}
	chunk := len(parts)
	if l.rq.set.batchMax > 0 {
		chunk = l.rq.set.batchMax
	}
	for some := range slices.Chunk(parts, chunk) {
		if l.panicked != nil || ctx.Err() != nil && some[0] != parts[0] {
			for _, p := range some {
				if p.failed = context.Cause(ctx); l.panicked != nil {
					p.failed = l.panicked
				}
			}
			continue
		}
		c.callOnce(ctx, l, some)
	}
}

// callOnce runs the loader for parts.
func (c *core) callOnce(ctx context.Context, l *loading, parts []*part) {
	s := c.store
	e := &LoadEntry{store: s, crew: &l.crew}
	if !l.refresh {
		e.parent = entryOf(ctx)
	}
	if c.shares {
		e.copy = c.copy
	}
	if len(parts) == 1 {
		e.part = parts[0]
	}
	for _, p := range parts {
		p.entry = e
	}
	began := time.Now()
	err := c.guarded(context.WithValue(ctx, loadEntryKey{}, e), l, parts)
	e.end()
	t := now()
	for _, p := range parts {
		p.ended = t
	}
	all := err == nil && e.failure != nil
	if all {
		err = e.failure
	}
	if err != nil {
		for _, p := range parts {
			if all || !p.found && p.none == nil {
				p.failed = err
			}
		}
	}
	c.sayLoaded(l, parts, time.Since(began), err)
}

// guarded turns a panic of the loader into its error.
func (c *core) guarded(ctx context.Context, l *loading, parts []*part) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.panicked = &PanicError{Value: p, Stack: debug.Stack()}
			err = l.panicked
		}
	}()
	return l.rq.load(ctx, parts)
}

// sayLoaded tells of a loader that has returned.
func (c *core) sayLoaded(l *loading, parts []*part, took time.Duration, err error) {
	s := c.store
	hook := s.hooks.Load().Loaded
	if hook == nil && (err == nil || l.rq.set.onLoadError == nil) {
		return
	}
	keys := make([]string, len(parts))
	for i, p := range parts {
		keys[i] = p.key
	}
	background := l.crew.Background()
	if err != nil {
		emit(s, l.rq.set.onLoadError, &LoadError{Store: s.name, Cache: c.name, Keys: keys, Err: err, Background: background})
	}
	emit(s, hook, event.Load{Store: s.name, Cache: c.name, Keys: keys, Took: took, Err: err, Refresh: l.refresh, Background: background})
}

// overdue lands a part whose load goes on beyond its hard timeout.
func (c *core) overdue(l *loading, p *part) {
	s := c.store
	defer func() {
		if v := recover(); v != nil { // of a driver: nobody else is there to catch it
			s.warn("shared tier: driver panicked", fmt.Errorf("%v", v))
			p.flight.Land(nil, ErrTimeout, true)
		}
	}()
	if s.standsIn(s.base, p.fallback) {
		p.fallback.it.backOff(l.rq.set.graceBackoff)
		p.flight.Land(p.fallback.it, nil, true)
		return
	}
	// Before anyone is told, who might try again.
	failed := c.remember(p, l.rq.set, p.stamps, ErrTimeout, now())
	if !p.flight.Land(nil, ErrTimeout, true) { // the load has ended just now
		if _, err := p.flight.Result(); err == nil {
			s.failures.take(failed)
		}
	}
}
