package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// fly runs a flight from beginning to end. The load gets the values of the
// leader's context, and is cancelled by its own limits, by everyone's leaving,
// and by the end of the store's closing, but not with the leader.
func (c *core) fly(ctx context.Context, f *load, rq *request, g fallback) {
	s := c.store
	defer s.gate.leave()
	defer f.Free()
	defer func() {
		if f.Background() {
			s.spare.Release(1)
		}
	}()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer f.OnDesert(cancel)()
	defer context.AfterFunc(s.base, func() { cancel(ErrClosed) })()

	held := time.AfterFunc(s.maxLoadTime, func() {
		f.Abandon()
		f.Land(nil, ErrTimeout, false)
		cancel(ErrTimeout)
	})
	defer held.Stop()

	it, err := (*item)(nil), ErrGoexit
	defer func() {
		if p := recover(); p != nil { // of a driver or codec; a loader's is caught where it is called
			rq.panicked = &PanicError{Value: p, Stack: debug.Stack()}
			err = rq.panicked
		}
		f.Land(it, err, false)
	}()
	it, err = c.obtain(ctx, cancel, f, rq, g)
}

// obtain looks where the value might be, and loads it if it is nowhere.
func (c *core) obtain(ctx context.Context, cancel context.CancelCauseFunc, f *load, rq *request, g fallback) (*item, error) {
	s := c.store
	known0 := s.stamps.Known() // before anyTag is read
	cells := c.cells(rq.tags)
	if !f.Forced {
		if it := s.find(rq.key, rq.hash); it != nil && s.look(it, now()) == fresh {
			return it, nil // the flight before this one has just landed
		}
	}
	data, err := s.fetch(ctx, []string{rq.key, s.anyTagKey()}[:c.reads()], cells)
	known := err == nil
	var anyTag []byte
	if err != nil {
		s.warn("shared tier: read", err)
		data = make([][]byte, 2)
	}
	if c.resultTags != nil {
		anyTag = data[1]
	}
	if it := c.received(ctx, rq.key, data[0]); it != nil && !f.Forced {
		switch s.look(it, now()) {
		case fresh:
			s.keepLoaded(it, rq.hash, f)
			return it, nil
		case stale:
			it = s.keepStale(it, rq.hash, f)
			if g.it == nil || g.last || it != g.it && it.supersedes(g.it) {
				g = fallback{it, false}
				f.Offer(it)
			}
		}
	}
	stamps := current(cells)
	started := now()
	if ctx.Err() != nil { // nobody waits any more
		return nil, context.Cause(ctx)
	}

	value, err := c.call(ctx, cancel, f, rq, g)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = context.Cause(ctx)
		}
		if s.standsIn(context.WithoutCancel(ctx), g) {
			g.it.backOff(rq.set.graceBackoff)
			s.warn("load failed, serving the grace value", err, "cache", c.name)
			return g.it, nil
		}
		return nil, err
	}
	it := c.newItem(rq.key, value, rq.set, started, stamps)
	// What has been loaded is worth keeping although its caller may be gone.
	valid, read := c.tagResult(context.WithoutCancel(ctx), it, f.Epoch, known0, anyTag)
	if valid && rq.set.ttl > 0 {
		// Under stamps that only this process knows nobody could use it.
		s.save(context.WithoutCancel(ctx), c, it, rq.hash, f, known && read)
	}
	return it, nil
}

// backOff lets the loader alone for a while.
func (it *item) backOff(d time.Duration) { it.retryAt.Store(deadline(now(), int64(d))) }

// call runs the loader. It returns when the loader does, although those who wait
// may have been told of a timeout before.
func (c *core) call(ctx context.Context, cancel context.CancelCauseFunc, f *load, rq *request, g fallback) (value any, err error) {
	if rq.set.hard > 0 {
		timer := time.AfterFunc(rq.set.hard, func() {
			cancel(ErrTimeout)
			defer func() {
				if p := recover(); p != nil { // of a driver: nobody else is there to catch it
					c.store.warn("shared tier: driver panicked", fmt.Errorf("%v", p))
					f.Land(nil, ErrTimeout, true)
				}
			}()
			if c.store.standsIn(c.store.base, g) {
				g.it.backOff(rq.set.graceBackoff)
				f.Land(g.it, nil, true)
			} else {
				f.Land(nil, ErrTimeout, true)
			}
		})
		defer timer.Stop()
	}
	defer func() {
		if p := recover(); p != nil {
			rq.panicked = &PanicError{Value: p, Stack: debug.Stack()}
			err = rq.panicked
		}
	}()
	return rq.load(ctx)
}

// received makes an item of what the shared tier had, or nil.
func (c *core) received(ctx context.Context, key string, data []byte) *item {
	if data == nil {
		return nil
	}
	it, err := c.unpack(ctx, key, data)
	if err != nil {
		c.store.warn("shared tier: entry is unreadable", err, "cache", c.name)
		return nil
	}
	return it
}

// cells returns the cells of an entry with tags: the static ones first.
func (c *core) cells(tags []Tag) []*stamp.Cell {
	cells := make([]*stamp.Cell, len(c.statics), len(c.statics)+len(tags))
	copy(cells, c.statics)
	for _, t := range tags {
		cells = append(cells, c.store.stamps.Cell(tagName(t)))
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

func (c *core) newItem(key string, value any, set settings, started int64, stamps []stampRef) *item {
	t := now()
	fresh, grace := deadline(t, int64(set.ttl)), int64(max(set.grace, 0))
	it := &item{
		key: key, value: value, stamps: stamps,
		freshUntil: fresh, staleUntil: deadline(fresh, grace), grace: grace,
		loadStarted: started, kept: t,
		size: c.size(value) + itemOverhead + len(key),
	}
	it.numbered()
	return it
}

// reads returns how many keys a flight reads: the entry's and, if the result tells
// of tags, the one that changes with them.
func (c *core) reads() int {
	if c.resultTags == nil {
		return 1
	}
	return 2
}

// tagResult adds the stamps of the tags that only the value tells. They are read
// after the load, so the value may be older than they are, and then it is not
// valid: if one of them has changed since epoch, when the flight began, or, of one
// that was not known here then (see known), if another process may have changed it
// since anyTag was read. read is false if the shared tier did not tell a stamp.
func (c *core) tagResult(ctx context.Context, it *item, epoch, known uint64, anyTag []byte) (valid, read bool) {
	if c.resultTags == nil {
		return true, true
	}
	tags := c.resultTags(it.value)
	if len(tags) == 0 {
		return true, true
	}
	s := c.store
	cells := c.cells(tags)[len(c.statics):]
	valid = true
	_, err := s.fetch(ctx, nil, cells)
	unknown := func(cell *stamp.Cell) bool { return !cell.KnownSince(known) }
	if s.l2 != nil && err == nil && slices.ContainsFunc(cells, unknown) {
		var data [][]byte
		if data, err = s.getMany(ctx, []string{s.anyTagKey()}); err == nil { // after the stamps: see restampShared
			valid = bytes.Equal(data[0], anyTag)
		}
	}
	if err != nil {
		s.warn("shared tier: read stamps", err)
	}
	it.stamps = append(it.stamps, current(cells)...)
	for _, cell := range cells { // after reading them: see ChangedSince
		if s.stamps.ChangedSince(cell.Name, epoch) {
			valid = false
		}
	}
	return valid, err == nil
}
