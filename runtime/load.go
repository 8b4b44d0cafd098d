package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/generation"
)

// A request is what a call that may load says besides its keys.
type request struct {
	set        settings
	forceFresh bool
	many       bool // the caller does without the keys that a loader does not return
	load       loader
}

// A want is one key that a call asks for.
type want struct {
	key  string // full key
	hash uint64
	tags []Tag // known before the load
	n    int   // its place among the keys of the call
}

type load = flight.Flight[*item]

// A search is a want on its way through a call. It ends with an item, with an
// error, or with both if the loader has just said that there is nothing.
type search struct {
	want
	tier     event.Tier      // that has answered; none if it was a loader
	mark     generation.Mark // of the key's stripe
	epoch    uint64          // and of the stamps, before the search began
	fallback fallback
	flight   *load
	joined   bool     // the caller waits for the flight, rather than for its end
	own      *loading // the caller leads the flight
	past     *load    // has taken too long, and is to be gone past

	ended bool
	it    *item
	err   error
}

// untouched reports whether nothing has been invalidated since the search began by
// which it would be. Once the search has a flight, what is invalidated later
// reaches those who join that.
func (s *Store) untouched(q *search, it *item) bool {
	return s.stripes.Mark(q.hash) == q.mark && !s.changedSince(it, q.epoch)
}

func (q *search) end(it *item, err error) { q.it, q.err, q.ended = it, err, true }

// endWith ends a search with an item of memory.
func (q *search) endWith(it *item) {
	q.end(it, nil)
	q.tier = event.L1
}

// tierOf returns the tier that an item which a flight brought comes from: none if it
// has just been loaded.
func (q *search) tierOf(it *item) event.Tier {
	switch {
	case it == nil || it.born == q.flight.ID:
		return 0
	case it.fetched && it != q.fallback.it:
		return event.L2
	}
	return event.L1
}

// A fallback is an item that can stand in for a load.
type fallback struct {
	it *item
	// last says that it stands in only when the load has failed, not when it is slow.
	last bool
	// doubtful says that it may have been invalidated.
	doubtful bool
}

// ready reports whether there is one that stands in for a load that is slow.
func (g fallback) ready() bool { return g.it != nil && !g.last }

// standsIn reports whether it can be served now.
func (s *Store) standsIn(ctx context.Context, g fallback) bool {
	return g.it != nil && s.judge(ctx, g.it) >= suspect
}

var (
	// errPast says that a caller has waited long enough for another's load.
	errPast = errors.New("waited too long for another caller's load")
	// errUnloaded says that a loader of many keys has not returned this one.
	errUnloaded = errors.New("not among the keys that the loader returned")
)

// getOrSet returns a fresh item, or a stale one within its grace, or loads.
func (c *core) getOrSet(ctx context.Context, rq *request, w want) (*item, error) {
	s := c.store
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	if !rq.forceFresh {
		it, t := s.find(w.key, w.hash), now()
		if it != nil && s.look(it, t) == fresh && t < it.dueAt() {
			if s.hooks.Load().Hit != nil {
				c.sayHit(it, event.L1, false)
			}
			return it, nil
		}
	}
	q := search{want: w}
	c.bring(ctx, rq, []*search{&q})
	c.say(&q)
	return q.it, q.err
}

// say tells how a search has ended.
func (c *core) say(q *search) {
	switch {
	case q.tier == 0:
		c.sayMiss(q.key)
	case c.store.hooks.Load().Hit != nil:
		c.sayHit(q.it, q.tier, now() >= q.it.freshUntil || q.it.expired)
	}
}

// getOrSetMany is getOrSet for several keys.
func (c *core) getOrSetMany(ctx context.Context, rq *request, wants []want) ([]*search, error) {
	if !c.store.gate.enter() {
		return nil, ErrClosed
	}
	defer c.store.gate.leave()
	searches := make([]*search, len(wants))
	for i, w := range wants {
		searches[i] = &search{want: w}
	}
	c.bring(ctx, rq, searches)
	for _, q := range searches {
		c.say(q)
	}
	return searches, nil
}

// bring ends searches. Several of them share one look at the shared tier and one
// load, for those that nobody else loads.
func (c *core) bring(ctx context.Context, rq *request, open []*search) {
	if ctx == nil { // here, and not in a goroutine that nobody could recover from
		panic("cachegen: nil context")
	}
	for {
		for _, q := range open {
			q.epoch, q.mark = c.store.stamps.Epoch(), c.store.stripes.Mark(q.hash)
		}
		if rq.forceFresh {
			c.insure(ctx, open)
		} else {
			c.recall(ctx, rq, open)
			open = stillOpen(open)
		}
		if len(open) == 0 {
			return
		}
		if err := ctx.Err(); err != nil {
			for _, q := range open {
				q.end(nil, err)
			}
			return
		}
		came := c.store.stamps.Epoch() // before the flights are found
		c.board(ctx, rq, open)
		open = stillOpen(open)
		c.await(ctx, rq, open, came)
		open = stillOpen(open)
	}
}

func stillOpen(searches []*search) (open []*search) {
	for _, q := range searches {
		if !q.ended {
			open = append(open, q)
		}
	}
	return open
}

// recall ends the searches that memory has an answer to, and finds fallbacks for
// the others. What should be loaded anew all the same is, behind the caller's back.
func (c *core) recall(ctx context.Context, rq *request, open []*search) {
	s := c.store
	items := make([]*item, len(open))
	for i, q := range open {
		items[i] = s.find(q.key, q.hash)
	}
	var behind []*search
	for i, verdict := range s.judgeAll(ctx, items) {
		q, it := open[i], items[i]
		q.fallback = fallback{}
		switch {
		case verdict == fresh:
			q.endWith(it)
			if it.due(now()) {
				behind = append(behind, q)
			}
		case verdict >= suspect && now() < it.retryAt.Load():
			q.endWith(it)
		case verdict == suspect:
			q.fallback = fallback{it: it, last: true, doubtful: true}
		case verdict == stale && rq.set.soft == 0:
			q.endWith(it)
			behind = append(behind, q)
		case verdict == stale:
			q.fallback = fallback{it: it}
		default:
			if err := c.failed(ctx, rq, q.key); err != nil {
				q.end(nil, err)
			}
		}
	}
	c.refresh(ctx, rq, behind)
}

// insure finds what stands in if a load fails that was asked for although there is a
// value. It is for that and for nothing else, and only for those who want a grace.
func (c *core) insure(ctx context.Context, open []*search) {
	s := c.store
	items := make([]*item, len(open))
	for i, q := range open {
		items[i] = s.find(q.key, q.hash)
	}
	for i, verdict := range s.judgeAll(ctx, items) {
		open[i].fallback = fallback{}
		if verdict >= suspect && items[i].graced() {
			open[i].fallback = fallback{it: items[i], last: true, doubtful: verdict == suspect}
		}
	}
}

// board finds a flight for each search. The caller leads those that are not under
// way, in one load. A search for what the caller is loading ends.
func (c *core) board(ctx context.Context, rq *request, open []*search) {
	s := c.store
	own := &loading{rq: rq}
	for _, q := range open {
		var leader bool
		past := q.past
		q.flight, q.own, q.past, q.joined = nil, nil, nil, true
		if rq.forceFresh { // what is being loaded now is older than what this call asks for
			q.flight, leader = s.flights.Replace(q.key, &own.crew, s.stamps.Epoch), true
		} else if past != nil {
			q.flight, leader = s.flights.Past(past, &own.crew, s.stamps.Epoch)
		}
		if q.flight == nil {
			q.flight, leader, q.joined = s.flights.Join(q.key, false, &own.crew, s.stamps.Epoch)
		}
		if !leader && within(ctx, q.flight) {
			if q.joined {
				q.flight.Leave()
			}
			c.endWithin(ctx, q)
			continue
		}
		if leader {
			q.own = own
			p := &part{want: q.want, flight: q.flight}
			if g := q.fallback; g.it != nil && s.untouched(q, g.it) { // it is for those who join, too
				p.fallback = g
			}
			own.parts = append(own.parts, p)
		}
	}
	if len(own.parts) > 0 {
		s.gate.again()
		go c.fly(ctx, own)
	}
}

// endWithin ends a search whose flight waits for the caller.
func (c *core) endWithin(ctx context.Context, q *search) {
	g := q.fallback
	select {
	case <-q.flight.Offered():
		if g.it == nil {
			g.it, _ = q.flight.Fallback()
		}
	default:
	}
	if c.store.standsIn(ctx, g) {
		q.endWith(g.it)
		return
	}
	q.end(nil, ErrRecursive)
}

// await ends searches with what their flights land with. Those that it leaves open
// have to look again.
func (c *core) await(ctx context.Context, rq *request, open []*search, came uint64) {
	since := time.Now()
	if len(open) > 1 { // first those that have to wait
		open = slices.Clone(open)
		slices.SortStableFunc(open, func(a, b *search) int { return a.patience() - b.patience() })
	}
	var panicked *PanicError
	var behind []*search
	for _, q := range open {
		f := q.flight
		if !q.joined {
			if panicked == nil {
				c.standBy(ctx, q, rq, since)
			}
			continue
		}
		if panicked != nil {
			f.Leave()
			continue
		}
		it, err := c.wait(ctx, q, rq, came, since)
		// Only what the flight landed with is a PanicError; until it has landed,
		// own.panicked is the flight's.
		if p, ok := err.(*PanicError); ok && q.own != nil && p == q.own.panicked {
			panicked = p
			continue
		}
		switch {
		case q.own != nil:
		case err == errPast:
			q.past = f
			continue
		case err == errUnloaded && !rq.many:
			continue // this caller's own loader may know of it; batches that find nothing share that
		case err != nil && it == nil && rq.set.suppressL2 && unread(f, err):
			continue // this caller would not have failed for that
		case err != nil && it == nil && f.Forced:
			continue // somebody else wanted it loaded; to this caller a cached value will do
		case came > f.Epoch && c.outdated(it, q.tags, f.Epoch):
			continue // invalidated after its load had begun and before this caller came
		case it != nil && it.born == f.ID && it.kept <= since.UnixNano() && now() >= it.freshUntil:
			continue // loaded before this caller came, and over: storing it took that long
		}
		q.end(it, err)
		q.tier = q.tierOf(it)
		standsIn := f.Forced && q.tier != 0 // a load of it has just failed, as for one that is not fresh
		if t := now(); err == nil && it.due(t) && !standsIn && c.store.look(it, t) == fresh {
			behind = append(behind, q)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
	c.refresh(ctx, rq, behind)
}

// patience orders searches: the sooner one can go on without its flight, the later
// it is asked about it.
func (q *search) patience() int {
	switch {
	case !q.joined:
		return 2
	case q.fallback.ready():
		return 1
	}
	return 0
}

// outdated reports whether what a flight ended with may have been invalidated
// after epoch.
func (c *core) outdated(it *item, tags []Tag, epoch uint64) bool {
	if it != nil {
		return c.store.changedSince(it, epoch)
	}
	for _, cell := range c.cells(tags) {
		if c.store.stamps.ChangedSince(cell.Name, epoch) {
			return true
		}
	}
	return false
}

// refresh loads behind the caller's back what searches have ended with, unless
// someone does already or there is too much of that going on.
func (c *core) refresh(ctx context.Context, rq *request, behind []*search) {
	s := c.store
	if len(behind) == 0 || !s.spare.TryAcquire(1) {
		return
	}
	own := &loading{rq: rq, refresh: true}
	for _, q := range behind {
		if f, leader, _ := s.flights.Join(q.key, true, &own.crew, s.stamps.Epoch); leader {
			p := &part{want: q.want, flight: f, renew: true}
			if s.untouched(q, q.it) {
				f.Offer(q.it) // to those that would find it in the shared tier, were there no flight
				p.fallback = fallback{it: q.it}
			}
			own.parts = append(own.parts, p)
		}
	}
	if len(own.parts) == 0 {
		s.spare.Release(1)
		return
	}
	s.gate.again()
	go c.fly(ctx, own)
}

// detach lets a load go on in the background, unless there is too much of that
// going on. Then it is cancelled when the last of those who wait has left.
func (c *core) detach(f *load) { f.Detach(func() bool { return c.store.spare.TryAcquire(1) }) }
