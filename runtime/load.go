package runtime

import (
	"bytes"
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
		return nil, ErrTimeout
	}
}

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
	valid, read := c.tagResult(context.WithoutCancel(ctx), it, f.Epoch, anyTag)
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
// valid: if one of them has changed since epoch, when the flight began, or if
// another process may have changed one since anyTag was read. read is false if the
// shared tier did not tell a stamp.
func (c *core) tagResult(ctx context.Context, it *item, epoch uint64, anyTag []byte) (valid, read bool) {
	if c.resultTags == nil {
		return true, true
	}
	tags := c.resultTags(it.value)
	if len(tags) == 0 {
		return true, true
	}
	s := c.store
	cells := c.cells(tags)[len(c.statics):]
	valid, read = true, true
	if len(untrusted(cells, now())) > 0 {
		data, err := s.fetch(ctx, []string{s.anyTagKey()}, cells)
		if err != nil {
			s.warn("shared tier: read stamps", err)
			read = false
		} else {
			valid = bytes.Equal(data[0], anyTag)
		}
	}
	it.stamps = append(it.stamps, current(cells)...)
	for _, cell := range cells { // after reading them: see ChangedSince
		if s.stamps.ChangedSince(cell.Name, epoch) {
			return false, read
		}
	}
	return valid, read
}

// save writes what a flight has loaded to the shared tier, if shared, and to
// memory, in this order, unless the key has been invalidated meanwhile.
func (s *Store) save(ctx context.Context, c *core, it *item, hash uint64, f *load, shared bool) {
	if s.l2 != nil && shared {
		if written, err := c.pack(it); err != nil {
			s.warn("encode", err, "cache", c.name)
		} else if turn, ok := s.stripes.Fill(hash, func() bool { return !f.Poisoned() }); ok {
			if err := s.fill(ctx, turn, written); err != nil {
				s.warn("shared tier: write", err)
			}
		}
	}
	s.keepLoaded(it, hash, f)
}

func (s *Store) fill(ctx context.Context, turn *generation.Turn, it drivers.Item) error {
	defer turn.End()
	s.await(ctx, turn)
	return s.setMany(ctx, []drivers.Item{it})
}

// await waits for a turn. Those before it take no longer than the limit each if
// their driver keeps to it; one that does not must not hold up the rest for ever.
func (s *Store) await(ctx context.Context, turn *generation.Turn) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.l2Timeout)
	defer cancel()
	turn.Wait(ctx)
}

// keepLoaded puts what a flight has brought into memory, unless the key has been
// invalidated meanwhile.
func (s *Store) keepLoaded(it *item, hash uint64, f *load) {
	if s.l1 == nil {
		return
	}
	if f.Forced { // readers of the shared tier may be on their way with what was there before
		s.stripes.Move(hash, nil)
	}
	s.stripes.Do(hash, func() {
		if !f.Poisoned() {
			s.l1.Set(hash, it, it.size)
		}
	})
}

// keepStale is keepLoaded for a stale item from the shared tier. If memory has the
// same one, which remembers when to try the loader again, or a younger one, it
// stays. The one to use is returned.
func (s *Store) keepStale(it *item, hash uint64, f *load) *item {
	use := it
	if s.l1 != nil {
		s.stripes.Do(hash, func() {
			if old := s.find(it.key, hash); old != nil && old.supersedes(it) {
				use = old
			} else if !f.Poisoned() {
				s.l1.Set(hash, it, it.size)
			}
		})
	}
	return use
}

// supersedes reports whether it is younger than other, or the same and knows as
// well that it has expired.
func (it *item) supersedes(other *item) bool {
	if it.loadStarted != other.loadStarted {
		return it.loadStarted > other.loadStarted
	}
	return it.expired || it.freshUntil <= other.freshUntil
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
