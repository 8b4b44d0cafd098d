// Package recovery remembers the invalidations that have not reached everyone: the
// shared tier, the other processes, or both. It only remembers; carrying them out
// again is its user's business.
package recovery

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// A Kind says what a target is.
type Kind uint8

// The kinds.
const (
	Key         Kind = iota + 1 // an entry
	DeleteStamp                 // the delete half of a stamp
	ExpireStamp                 // the expire half
)

// A Target is what has been invalidated.
type Target struct {
	Kind Kind
	Name string
}

// An Item is what is still to be done about a target.
type Item struct {
	Target
	Shared bool // the shared tier has to be changed
	Age    bool // if it is a key: its value may stay, as a stale one
	Tell   bool // the other processes have to be told
	// Late, if it is a key, is when it has to go once more, because until then
	// something may land in the shared tier that was on its way before. Zero is never.
	Late int64

	seq uint64
}

// Due reports whether there is anything to be done about it at t.
func (it Item) Due(t int64) bool { return it.Shared || it.Tell || it.Last(t) }

// Last reports whether, at t, nothing can land any more that it waits for.
func (it Item) Last(t int64) bool { return it.Late != 0 && t >= it.Late }

// A Queue holds one item for each target. Its zero value is ready and has no limit.
type Queue struct {
	// Max is how many targets it may hold; zero is no limit.
	Max int

	n     atomic.Int64
	mu    sync.Mutex
	seq   uint64
	items map[Target]Item
}

// Len returns how many targets there are. It does not block.
func (q *Queue) Len() int { return int(q.n.Load()) }

// Add joins items with those that are there for the same targets: what is to be done
// for either is to be done, and a target is as late as the last that came for it.
// If there are more targets than the limit allows, it adds none and returns false.
func (q *Queue) Add(items ...Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	if q.Max > 0 && len(q.items)+len(items) > q.Max {
		room := q.Max - len(q.items)
		for _, it := range items {
			if _, ok := q.items[it.Target]; !ok {
				room--
			}
		}
		if room < 0 {
			return false
		}
	}
	for _, it := range items {
		q.add(it)
	}
	return true
}

func (q *Queue) add(it Item) {
	if q.items == nil {
		q.items = make(map[Target]Item)
	}
	if old, ok := q.items[it.Target]; ok {
		it.Age = (it.Age || !it.Shared) && (old.Age || !old.Shared)
		it.Shared = it.Shared || old.Shared
		it.Tell = it.Tell || old.Tell
		it.Late = max(it.Late, old.Late)
	}
	q.seq++
	it.seq = q.seq
	q.items[it.Target] = it
}

// Replace empties the queue and adds an item that makes up for all of them. Nobody asks
// about any of them before inMemory has been called, which must not call q.
func (q *Queue) Replace(it Item, inMemory func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	clear(q.items)
	q.add(it)
	inMemory()
}

// Blocks reports whether the shared tier must not be asked for a target.
func (q *Queue) Blocks(t Target) bool {
	if q.Len() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[t]
	return it.Shared || it.Late != 0
}

// Drops reports whether a target is a key whose value in the shared tier has to go.
func (q *Queue) Drops(t Target) bool {
	if q.Len() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[t]
	return it.Shared && !it.Age || it.Late != 0
}

// Holds reports whether it is still there as it was when [Queue.First] returned it.
func (q *Queue) Holds(it Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[it.Target].seq == it.seq
}

// First returns up to n items in the order in which they came.
func (q *Queue) First(n int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Item, 0, len(q.items))
	for _, it := range q.items {
		all = append(all, it)
	}
	slices.SortFunc(all, func(a, b Item) int { return cmp.Compare(a.seq, b.seq) })
	return all[:min(n, len(all))]
}

// Reached says that, from a time on, the shared tier has been changed for items that
// [Queue.First] returned. Those that have been added to since stay as they are.
func (q *Queue) Reached(from int64, items ...Item) {
	q.done(items, func(it *Item) {
		it.Shared = false
		if it.Last(from) {
			it.Late = 0
		}
	})
}

// Told says that the other processes have been told of items that [Queue.First]
// returned. Those that have been added to since stay as they are.
func (q *Queue) Told(items ...Item) { q.done(items, func(it *Item) { it.Tell = false }) }

func (q *Queue) done(items []Item, mark func(*Item)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	for _, it := range items {
		if now, ok := q.items[it.Target]; ok && now.seq == it.seq {
			mark(&now)
			q.put(now)
		}
	}
}

// Overtaken says that a later change of targets has reached the shared tier, which
// makes up for what was to be done there at once.
func (q *Queue) Overtaken(targets ...Target) {
	if q.Len() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	for _, t := range targets {
		if it, ok := q.items[t]; ok {
			it.Shared = false
			q.put(it)
		}
	}
}

// put is called under mu.
func (q *Queue) put(it Item) {
	if it.Shared || it.Tell || it.Late != 0 {
		q.items[it.Target] = it
	} else {
		delete(q.items, it.Target)
	}
}

func (q *Queue) count() { q.n.Store(int64(len(q.items))) }
