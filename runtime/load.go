package runtime

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A request is one call that may load.
type request struct {
	key        string // full key
	hash       uint64
	set        settings
	tags       []Tag // known before the load
	load       func(context.Context) (any, error)
	forceFresh bool
}

type load = flight.Flight[*item]

// getOrSet returns a fresh item, or a stale one within its grace, or loads.
func (c *core) getOrSet(ctx context.Context, rq *request) (*item, error) {
	s := c.store
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	if rq.forceFresh {
		s.stripes.Move(rq.hash, nil) // what is being loaded now is older than what this call asks for
		s.flights.Poison(rq.key)
	}
	for {
		var grace *item
		if !rq.forceFresh {
			t := now()
			it, verdict := s.recall(ctx, rq.key, rq.hash, t)
			switch {
			case verdict == fresh:
				return it, nil
			case verdict == stale && t < it.retryAt.Load():
				return it, nil
			case verdict == stale && rq.set.soft == 0:
				c.refresh(ctx, rq, it)
				return it, nil
			case verdict == stale:
				grace = it
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		came := s.stamps.Epoch() // before the flight is found
		f, leader, joined := s.flights.Join(rq.key, false, s.stamps.Epoch)
		if !joined {
			if it, err := c.standBy(ctx, f, rq, grace); it != nil || err != nil {
				return it, err
			}
			continue
		}
		if leader {
			s.gate.again()
			go c.fly(ctx, f, rq, grace)
		}
		it, err := c.wait(ctx, f, rq, grace)
		var panicked *PanicError
		if leader && errors.As(err, &panicked) {
			panic(panicked)
		}
		if err == nil && came > f.Epoch && s.changedSince(it, f.Epoch) {
			continue // invalidated after its load had begun and before this caller came
		}
		return it, err
	}
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
	go func() {
		defer s.spare.Release(1)
		c.fly(ctx, f, rq, grace)
	}()
}

// wait waits for a flight that the caller has joined.
func (c *core) wait(ctx context.Context, f *load, rq *request, grace *item) (*item, error) {
	defer f.Leave()
	var soft <-chan time.Time
	if grace != nil {
		timer := time.NewTimer(rq.set.soft)
		defer timer.Stop()
		soft = timer.C
	}
	offered := f.Offered()
	for {
		select {
		case <-f.Done():
			it, err := f.Result()
			if err != nil && grace != nil && c.store.look(grace, now()) == stale {
				return grace, nil
			}
			return it, err
		case <-offered:
			offered = nil
			if grace != nil {
				continue
			}
			grace = f.Fallback()
			timer := time.NewTimer(rq.set.soft)
			defer timer.Stop()
			soft = timer.C
		case <-soft:
			f.Detach()
			return grace, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// standBy waits until a load that was given up has returned, so that the next one
// of its key does not run beside it. It returns nothing when that is so.
func (c *core) standBy(ctx context.Context, f *load, rq *request, grace *item) (*item, error) {
	limit := rq.set.hard
	if grace != nil {
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
		if grace != nil {
			return grace, nil
		}
		return nil, ErrTimeout
	}
}

// fly runs a flight from beginning to end. The load gets the values of the
// leader's context, and is cancelled by its own limits, by everyone's leaving,
// and by the end of the store's closing, but not with the leader.
func (c *core) fly(ctx context.Context, f *load, rq *request, grace *item) {
	s := c.store
	defer s.gate.leave()
	defer f.Free()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer f.OnDesert(cancel)()
	defer context.AfterFunc(s.base, func() { cancel(ErrClosed) })()

	held := time.AfterFunc(s.maxLoadTime, func() {
		// Whoever loads the key next must not be overwritten by this load.
		s.stripes.Move(rq.hash, nil)
		f.Free()
		f.Land(nil, ErrTimeout, false)
		cancel(ErrTimeout)
	})
	defer held.Stop()

	it, err := (*item)(nil), ErrGoexit
	defer func() {
		if p := recover(); p != nil { // of a driver or codec; a loader's is caught where it is called
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
		f.Land(it, err, false)
	}()
	it, err = c.obtain(ctx, cancel, f, rq, grace)
}

// obtain looks where the value might be, and loads it if it is nowhere.
func (c *core) obtain(ctx context.Context, cancel context.CancelCauseFunc, f *load, rq *request, grace *item) (*item, error) {
	s := c.store
	mark := s.stripes.Mark(rq.hash) // before anything is read
	cells := c.cells(rq.tags)
	key := rq.key
	if rq.forceFresh {
		key = ""
	} else if it := s.find(rq.key, rq.hash); it != nil && s.look(it, now()) == fresh {
		return it, nil // the flight before this one has just landed
	}
	data, err := s.fetch(ctx, key, cells)
	if err != nil {
		s.warn("shared tier: read", err)
	}
	if it := c.received(ctx, rq.key, data); it != nil {
		switch s.look(it, now()) {
		case fresh:
			s.keep(it, rq.hash, mark)
			return it, nil
		case stale:
			if grace == nil || grace.staleUntil < it.staleUntil {
				grace = it
				s.keep(it, rq.hash, mark)
				f.Offer(it)
			}
		}
	}
	stamps := current(cells)
	started := now()

	value, err := c.call(ctx, cancel, f, rq, grace)
	if err != nil {
		if t := now(); grace != nil && s.look(grace, t) == stale {
			grace.retryAt.Store(deadline(t, int64(rq.set.graceBackoff)))
			s.warn("load failed, serving the grace value", err, "cache", c.name)
			return grace, nil
		}
		return nil, err
	}
	it := c.newItem(rq.key, value, rq.set, started, stamps)
	if c.tagResult(ctx, it, f.Epoch) && rq.set.ttl > 0 {
		c.store.save(ctx, c, it, rq.hash, mark)
	}
	return it, nil
}

// call runs the loader. It returns when the loader does, although those who wait
// may have been told of a timeout before.
func (c *core) call(ctx context.Context, cancel context.CancelCauseFunc, f *load, rq *request, grace *item) (value any, err error) {
	if rq.set.hard > 0 {
		timer := time.AfterFunc(rq.set.hard, func() {
			if t := now(); grace != nil && c.store.look(grace, t) == stale {
				grace.retryAt.Store(deadline(t, int64(rq.set.graceBackoff)))
				f.Land(grace, nil, true)
			} else {
				f.Land(nil, ErrTimeout, true)
			}
			cancel(ErrTimeout)
		})
		defer timer.Stop()
	}
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
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
	fresh := deadline(t, int64(set.ttl))
	it := &item{
		key: key, value: value, stamps: stamps,
		freshUntil: fresh, staleUntil: deadline(fresh, int64(set.grace)),
		loadStarted: started, kept: t,
		size: c.size(value) + itemOverhead + len(key),
	}
	it.numbered()
	return it
}

// tagResult adds the stamps of the tags that only the value tells. They are read
// after the load, so if one of them has changed since epoch, when the flight
// began, the value may be older than the change: it must not be stored.
func (c *core) tagResult(ctx context.Context, it *item, epoch uint64) bool {
	if c.resultTags == nil {
		return true
	}
	tags := c.resultTags(it.value)
	if len(tags) == 0 {
		return true
	}
	cells := c.cells(tags)[len(c.statics):]
	if _, err := c.store.fetch(ctx, "", cells); err != nil {
		c.store.warn("shared tier: read stamps", err)
	}
	it.stamps = append(it.stamps, current(cells)...)
	for _, cell := range cells { // after reading them: see ChangedSince
		if c.store.stamps.ChangedSince(cell.Name, epoch) {
			return false
		}
	}
	return true
}

// save writes a loaded item to the shared tier and to memory, in this order,
// unless the key has been invalidated since mark.
func (s *Store) save(ctx context.Context, c *core, it *item, hash uint64, mark generation.Mark) {
	if s.l2 != nil {
		if written, err := c.pack(it); err != nil {
			s.warn("encode", err, "cache", c.name)
		} else if end, ok := s.stripes.Fill(hash, mark); ok {
			// What has been loaded is worth keeping although its caller may be gone.
			err := s.setMany(context.WithoutCancel(ctx), []drivers.Item{written})
			end()
			if err != nil {
				s.warn("shared tier: write", err)
			}
		}
	}
	s.keep(it, hash, mark)
}

// keep puts an item into memory, unless the key has been invalidated since mark.
func (s *Store) keep(it *item, hash uint64, mark generation.Mark) {
	if s.l1 != nil {
		s.stripes.If(hash, mark, func() { s.l1.Set(hash, it, it.size) })
	}
}

// pack returns what the shared tier keeps of it.
func (c *core) pack(it *item) (drivers.Item, error) {
	value, err := c.encode(it.value)
	if err != nil {
		return drivers.Item{}, err
	}
	h := it.header(c.fingerprint)
	return drivers.Item{Key: it.key, Value: entry.Append(nil, &h, value), TTL: lifetime(it.staleUntil)}, nil
}

// lifetime returns how long something may be kept until a time; zero is for ever.
func lifetime(until int64) time.Duration {
	if until == int64(Forever) {
		return 0
	}
	return max(time.Duration(until-now()), 1)
}
