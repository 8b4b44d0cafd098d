package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// What bounds a round: a single reader waits for it. And how many are under way at a time:
// the more callers wait for their turn, the more go together.
const (
	roundRecords = 512     // entries and stamps
	roundBytes   = 1 << 20 // about, of entries
	roundsAtOnce = 4
	// restItems bounds how many of memory's items are remembered to fill rounds with.
	restItems = 1 << 16
)

// rounds compare unconfirmed items with what the shared tier holds, many in one round trip.
// Callers who ask at the same time share rounds, and a round that has room left takes other
// unconfirmed items of memory along: after a gap, they are likely to be asked for next.
type rounds struct {
	mu      sync.Mutex
	running int
	waiting []*round               // in order; only the last one has room
	asked   map[*entry.Item]*round // items in a round that has not ended
	rest    []uint64               // hashes of other items that memory had, the hottest first
	restOf  uint64                 // the generation in which rest was collected
}

// A round is one round trip.
type round struct {
	items []*entry.Item
	cells map[*stamp.Cell]struct{} // of the items' stamps
	bytes int
	done  chan struct{} // closed when it has ended
}

func newRound() *round {
	return &round{cells: make(map[*stamp.Cell]struct{}), done: make(chan struct{})}
}

// add adds an item, if there is room for it.
func (r *round) add(it *entry.Item) bool {
	cells := 0
	for _, ref := range it.Stamps {
		if _, ok := r.cells[ref.Cell]; !ok {
			cells++
		}
	}
	records := len(r.items) + 1 + len(r.cells) + cells
	if len(r.items) > 0 && (records > roundRecords || r.bytes+it.Size > roundBytes) {
		return false
	}
	for _, ref := range it.Stamps {
		r.cells[ref.Cell] = struct{}{}
	}
	r.items = append(r.items, it)
	r.bytes += it.Size
	return true
}

// ConfirmAll is [Memory.CheckAll] for items that a caller wants to serve: those about which
// messages may have been missed are compared with what the shared tier holds first. What is
// the same there is confirmed.
func (m *Memory) ConfirmAll(ctx context.Context, items []*entry.Item) []Verdict {
	began := clock.Mono()
	if m.Driver != nil && m.remote.Exists() {
		t := clock.Now()
		var open []*entry.Item
		for _, it := range items {
			if it != nil && m.confirmable(it, t) {
				open = append(open, it)
			}
		}
		if len(open) > 0 {
			m.confirm(ctx, open)
		}
	}
	return m.checkAll(ctx, began, items)
}

// confirmable reports whether it is worth to compare an item with what the shared tier
// holds: it would be served then.
func (m *Memory) confirmable(it *entry.Item, t int64) bool {
	if m.heard(it, t) || !it.Comparable() {
		return false
	}
	v := m.CheckLocal(it, t)
	return (v == Unconfirmed || v == Unverified) && (t < it.RecheckAt || t >= it.FreshUntil)
}

// confirm waits until items were compared with the shared tier, for as long as one operation
// may take.
func (m *Memory) confirm(ctx context.Context, items []*entry.Item) {
	ctx, cancel := context.WithTimeout(ctx, m.remote.Timeout)
	defer cancel()
	for _, r := range m.askFor(items) {
		select {
		case <-r.done:
		case <-ctx.Done():
			return
		}
	}
}

// askFor puts items into rounds, and returns these, each once.
func (m *Memory) askFor(items []*entry.Item) (all []*round) {
	c := &m.rounds
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = make(map[*entry.Item]*round)
	}
	seen := make(map[*round]bool)
	for _, it := range items {
		r := c.asked[it]
		if r == nil {
			r = c.gather(it)
		}
		if !seen[r] {
			seen[r] = true
			all = append(all, r)
		}
	}
	m.startRounds()
	return all
}

// gather is called under mu. It adds an item to the last round that waits.
func (c *rounds) gather(it *entry.Item) *round {
	if n := len(c.waiting); n == 0 || !c.waiting[n-1].add(it) {
		c.waiting = append(c.waiting, newRound())
		c.waiting[n].add(it)
	}
	r := c.waiting[len(c.waiting)-1]
	c.asked[it] = r
	return r
}

// startRounds is called under mu, inside the work of a caller or of a round.
func (m *Memory) startRounds() {
	c := &m.rounds
	for c.running < roundsAtOnce && len(c.waiting) > 0 {
		r := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.running++
		m.takeAlong(r)
		m.remote.Work.EnterAgain()
		go m.run(r)
	}
}

// takeAlong is called under mu. It fills a round with items that nobody has asked for yet.
func (m *Memory) takeAlong(r *round) {
	c, t := &m.rounds, clock.Now()
	if c.restOf != m.stamps.Generation() {
		c.rest = nil
	}
	for len(c.rest) > 0 {
		it, _ := m.Driver.Get(c.rest[0]).(*entry.Item)
		if it != nil && c.asked[it] == nil && m.confirmable(it, t) {
			if !r.add(it) {
				return
			}
			c.asked[it] = r
		}
		c.rest = c.rest[1:]
	}
	c.rest = nil
}

// run carries out a round.
func (m *Memory) run(r *round) {
	defer m.remote.Work.Leave()
	defer m.end(r)
	defer func() {
		if p := recover(); p != nil { // of a driver
			m.remote.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
		}
	}()
	m.compare(m.remote.Work.Context, r)
}

// end lets those go on who wait for a round, and begins the next.
func (m *Memory) end(r *round) {
	c := &m.rounds
	c.mu.Lock()
	for _, it := range r.items {
		delete(c.asked, it)
	}
	close(r.done)
	c.running--
	m.startRounds()
	generation := m.stamps.Generation()
	collect := c.restOf != generation
	c.restOf = generation
	c.mu.Unlock()
	if collect {
		rest := m.unconfirmed(generation)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.restOf == generation {
			c.rest = rest
		}
	}
}

// unconfirmed returns the hashes of items in memory that are of an earlier generation, the
// hottest first, if the driver can list them.
func (m *Memory) unconfirmed(generation uint64) (hashes []uint64) {
	ranger, ok := drivers.RangerOf(m.Driver)
	if !ok {
		return nil
	}
	ranger.Range(func(item any) bool {
		if it, _ := item.(*entry.Item); it != nil && it.Generation() != generation && it.Comparable() {
			hashes = append(hashes, m.Hash(it.Key))
		}
		return len(hashes) < restItems
	})
	return hashes
}

// compare confirms those items of a round that the shared tier holds. It reads their stamps,
// too, unless they are trusted.
func (m *Memory) compare(ctx context.Context, r *round) {
	generation, at := m.stamps.Generation(), clock.Now() // before the read: what changes after it is heard of
	keys := make([]string, len(r.items))
	var cells []*stamp.Cell
	for i, it := range r.items {
		keys[i] = it.Key
		for _, ref := range it.Stamps {
			cells = append(cells, ref.Cell)
		}
	}
	keys = entry.Distinct(keys) // an item and the one that has replaced it may be asked for at once
	values, err := m.remote.Reread(ctx, m.remote.Timeout, keys, entry.Distinct(cells))
	if err != nil {
		return
	}
	held := make(map[string][]byte, len(keys))
	for i, key := range keys {
		held[key] = values[i]
	}
	for _, it := range r.items {
		if it.IsPacked(held[it.Key]) {
			it.Confirm(generation, at)
		}
	}
}
