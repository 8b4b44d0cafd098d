// Package history records what callers of a cache did and got, and finds in it what breaks
// a promise of the cache.
//
// The source of a simulation answers each question with a version of its own. So a history
// knows for each read how old it is, and which invalidations it must not be older than.
// [History.Check] says what is wrong, and [History.Timeline] what happened to a row.
//
// The package knows nothing of how a run is made, and nothing of the cache but what it
// promises.
package history

import (
	"sync"
	"time"
)

// A History is what happened in one run: what was loaded, invalidated and read, when, and
// by which process. Its order is that of a count that every event moves.
//
// Any number of goroutines may record at once; the mutex guards all fields. What it returns
// may be used by the goroutine that got it. Check and Timeline are for when the run has
// ended.
type History struct {
	began         time.Time
	mu            sync.Mutex
	count         int64
	versions      map[int64]*Version
	invalidations []*Invalidation
	reads         []*Read
	tierReads     []Transfer
	tierWrites    []Transfer
	disconnected  [][]Span   // of each process, when it may have missed messages
	failedReads   [][]Moment // of each process, when a read of the shared tier failed
}

// New returns an empty history of processes that are numbered from 0. It begins now.
func New(processes int) *History {
	return &History{
		began: time.Now(), versions: make(map[int64]*Version),
		disconnected: make([][]Span, processes), failedReads: make([][]Moment, processes),
	}
}

// At returns how long after the beginning of the history t is.
func (h *History) At(t time.Time) time.Duration { return t.Sub(h.began) }

// Tick counts an event of which nothing but the moment is recorded.
func (h *History) Tick() Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tick()
}

// tick needs the lock.
func (h *History) tick() Moment {
	h.count++
	return Moment{h.count, time.Since(h.began)}
}

// BeginVersion records that a load or a Set begins. The version that it returns has its
// number, and its batch.
func (h *History) BeginVersion(v Version) *Version {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.Span = Span{h.tick(), Moment{Never, Never}}
	if v.Batch == 0 {
		v.Batch = v.Number()
	}
	h.versions[v.Number()] = &v
	return &v
}

// EndVersion records that the load or the Set has ended.
func (h *History) EndVersion(v *Version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.End = h.tick()
}

// LoadFailed records that a load has failed, which may be remembered for ttl.
func (h *History) LoadFailed(v *Version, ttl time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.failed, v.TTL, v.Grace = true, ttl, 0
}

// LoadFoundNothing records that a load has found no row, which may be remembered for ttl.
func (h *History) LoadFoundNothing(v *Version, ttl time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.notFound, v.TTL, v.Grace = true, ttl, 0
}

// OfBatch returns the versions of a load that are about one of rows.
func (h *History) OfBatch(batch int64, rows []int) (found []*Version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range rows {
		for _, v := range h.versions {
			if v.Batch == batch && v.Row == row {
				found = append(found, v)
			}
		}
	}
	return found
}

// BeginInvalidation records that an invalidation begins.
func (h *History) BeginInvalidation(i Invalidation) *Invalidation {
	h.mu.Lock()
	defer h.mu.Unlock()
	i.Span = Span{h.tick(), Moment{Never, Never}}
	h.invalidations = append(h.invalidations, &i)
	return &i
}

// EndInvalidation records what an invalidation returned. One that failed still promises that
// memory has dropped what it is about, and, where there is one process, that nobody reads it.
func (h *History) EndInvalidation(i *Invalidation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i.End, i.err = h.tick(), err
}

// EndUncertain ends an invalidation after which any version may be read.
func (h *History) EndUncertain(i *Invalidation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i.End, i.uncertain = h.tick(), true
}

// EndRead records what a caller got who came at r.Start.
func (h *History) EndRead(r Read) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.End = h.tick()
	h.reads = append(h.reads, &r)
}

// Reads returns how many reads were recorded.
func (h *History) Reads() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.reads)
}

// TierRead records that a process has read an entry from the shared tier.
func (h *History) TierRead(t Transfer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.when = h.tick()
	h.tierReads = append(h.tierReads, t)
}

// TierWrite records that a process is about to write an entry to the shared tier.
func (h *History) TierWrite(t Transfer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.when = h.tick()
	h.tierWrites = append(h.tierWrites, t)
}

// TierReadFailed records that a process could not read the shared tier.
func (h *History) TierReadFailed(process int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failedReads[process] = append(h.failedReads[process], h.tick())
}

// Reconnected records that a process, which may have missed messages since then, misses
// none any more.
func (h *History) Reconnected(process int, since Moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disconnected[process] = append(h.disconnected[process], Span{since, h.tick()})
}
