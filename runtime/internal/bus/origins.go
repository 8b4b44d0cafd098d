package bus

import (
	"maps"
	"slices"
)

const (
	// maxOrigins bounds how many other stores are remembered. There are fewer at a time, but each
	// restart of a process is another one.
	maxOrigins = 16_384
	// drift is by how much one machine's clock may be faster than another's: one part in so many.
	drift = 1000
)

// origins remember how far each of the other stores has come. They have no lock.
type origins struct {
	of      map[uint64]origin
	learned int64 // ways that were learned until then do not count
}

type origin struct {
	number uint64
	heard  int64 // when
	// way is the shortest that a message took: from the clock of its origin to the one here, and
	// so it is known up to a constant. learned is since when.
	way, learned int64
}

// note takes note of a message that arrives at t. It reports whether one that its origin has
// sent before has not arrived, unless that was sent before since: what was missed until then has
// been made up for. Of an origin that is not known, none has arrived. late is how much longer
// the message was under way than others of its origin.
func (o *origins) note(m *Message, since, t int64) (missed bool, late int64) {
	known, ok := o.of[m.Origin]
	if !ok {
		o.makeRoom()
	}
	way := t - int64(m.Sent)
	if !ok || known.learned <= o.learned || way < known.way {
		known.way, known.learned = way, t
	}
	o.of[m.Origin] = origin{max(known.number, m.Number), t, known.way, known.learned}
	if m.Last > known.number {
		// It was sent at t less Ago at the latest, because this one was sent at t at the latest.
		span := t - since
		missed = int64(m.Ago) <= span+span/drift
	}
	return missed, way - known.way
}

// learn forgets what ways messages take: clocks drift, and ways change.
func (o *origins) learn(t int64) { o.learned = t }

// makeRoom forgets those that have been silent the longest, if there is no room for another one.
func (o *origins) makeRoom() {
	if o.of == nil {
		o.of = make(map[uint64]origin)
	}
	if len(o.of) < maxOrigins {
		return
	}
	heard := make([]int64, 0, len(o.of))
	for _, known := range o.of {
		heard = append(heard, known.heard)
	}
	slices.Sort(heard)
	limit := heard[len(heard)/2]
	maps.DeleteFunc(o.of, func(_ uint64, known origin) bool { return known.heard <= limit })
}
