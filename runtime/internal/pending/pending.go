// Package pending remembers the invalidations that have not reached the shared tier,
// the other processes, or both. It only remembers: the outbox carries them out.
//
// The queue holds one item for each target, however often that is invalidated. Its
// mutex guards all of it and is never held across I/O; [Queue.Len], which every read
// of the shared tier asks, takes no lock.
package pending

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
	ExpireStamp                 // the expire half of a stamp
	// Redelete is an entry that was changed while an earlier write of it could still
	// take effect in the shared tier. It is deleted once more when none can any more.
	Redelete
)

// A Target is what has been invalidated.
type Target struct {
	Kind Kind
	Name string
}

// An Item is what is still to be done about a target.
type Item struct {
	Target
	Remote  bool  // the shared tier has to be changed
	Publish bool  // the other processes have to be told
	Expire  bool  // of a Key: its value may stay in the shared tier, as a stale one
	After   int64 // of a Redelete: when to do it, on clock.Mono
	// Order says when the change began that the item is left of. Only what began later makes
	// up for it. Zero is before all others.
	Order uint64

	seq uint64
}

// Due reports whether the item is to be carried out at t.
func (it Item) Due(t int64) bool { return t >= it.After }

// A Queue holds one item for each target. Its zero value is ready and has no limit.
type Queue struct {
	// Max is how many targets it may hold, and MaxBytes how long their names may be together;
	// zero is no limit.
	Max, MaxBytes int

	n     atomic.Int64
	mu    sync.Mutex
	seq   uint64
	items map[Target]Item
	bytes int // of the names of items
}

// Len returns how many targets there are. It does not block.
func (q *Queue) Len() int { return int(q.n.Load()) }

// Add joins items with those that are there for the same targets: what is to be done
// for either is to be done, and a target is as late as the last that came for it. If
// there would be more targets than a limit allows, it adds none and returns false.
func (q *Queue) Add(items ...Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	if q.Max > 0 || q.MaxBytes > 0 {
		more, bytes := 0, 0
		for _, it := range items {
			if _, ok := q.items[it.Target]; !ok {
				more, bytes = more+1, bytes+len(it.Name)
			}
		}
		if more > 0 && (q.Max > 0 && len(q.items)+more > q.Max || q.MaxBytes > 0 && q.bytes+bytes > q.MaxBytes) {
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
		// A delete is not weakened by an expire that comes before or after it.
		it.Expire = (it.Expire || !it.Remote) && (old.Expire || !old.Remote)
		it.Remote = it.Remote || old.Remote
		it.Publish = it.Publish || old.Publish
		it.After = max(it.After, old.After)
		it.Order = max(it.Order, old.Order)
	} else {
		q.bytes += len(it.Name)
	}
	q.seq++
	it.seq = q.seq
	q.items[it.Target] = it
}

// Replace empties the queue and adds an item that makes up for all of them. Nobody can
// ask about any of them before invalidate has returned, which must not call q.
func (q *Queue) Replace(it Item, invalidate func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	clear(q.items)
	q.bytes = 0
	q.add(it)
	invalidate()
}

// Blocks reports whether the shared tier must not be read for a target, because a
// change of it is pending there.
func (q *Queue) Blocks(t Target) bool {
	if q.Len() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[t].Remote || t.Kind == Key && q.redeletes(t)
}

// Deletes reports whether an entry is to be deleted from the shared tier, rather than
// expired.
func (q *Queue) Deletes(t Target) bool {
	if q.Len() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[t]
	return it.Remote && !it.Expire || q.redeletes(t)
}

// redeletes is called under mu.
func (q *Queue) redeletes(t Target) bool {
	return q.items[Target{Redelete, t.Name}].Remote
}

// Holds reports whether an item is still there as it was when [Queue.First] returned it.
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

// Reached says that the shared tier has been changed for items that [Queue.First]
// returned. Those that have been added to since stay as they are.
func (q *Queue) Reached(items ...Item) { q.done(items, func(it *Item) { it.Remote = false }) }

// Published says that the other processes have been told of items that [Queue.First]
// returned. Those that have been added to since stay as they are.
func (q *Queue) Published(items ...Item) { q.done(items, func(it *Item) { it.Publish = false }) }

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

// Superseded says that a change of targets has reached the shared tier, which makes up for
// what was to be done there for changes that began before it. order says when it began, and
// began when it was sent to the tier. Of a key, it makes up for a Redelete that was due then,
// too.
func (q *Queue) Superseded(order uint64, began int64, targets ...Target) {
	if q.Len() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.count()
	for _, t := range targets {
		q.superseded(t, order, began)
		if t.Kind == Key {
			q.superseded(Target{Redelete, t.Name}, order, began)
		}
	}
}

// superseded is called under mu.
func (q *Queue) superseded(t Target, order uint64, began int64) {
	if it, ok := q.items[t]; ok && it.Due(began) && it.Order <= order {
		it.Remote = false
		q.put(it)
	}
}

// put is called under mu.
func (q *Queue) put(it Item) {
	if it.Remote || it.Publish {
		q.items[it.Target] = it
	} else {
		delete(q.items, it.Target)
		q.bytes -= len(it.Name)
	}
}

func (q *Queue) count() { q.n.Store(int64(len(q.items))) }
