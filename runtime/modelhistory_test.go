package runtime_test

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// A history is what happened in one round of the concurrent model: who changed
// what, what was loaded and what was read. Its order is that of a counter which
// every event moves. A value says at which count its row was read from the source,
// so that a history tells for each read which changes its value is older than.
type history struct {
	mu      sync.Mutex
	began   time.Time
	now     int64
	values  map[int64]*loaded // by the count at which they were made
	changes []*change
	reads   []*reading
	fetched []passage   // values that a process got from the shared tier
	filled  []passage   // values that a process wrote to the shared tier
	deaf    [][]silence // of each process, when it did not hear the bus
	failing [][]int64   // of each process, when a read of the shared tier failed
}

// A loaded is one answer of the source, or one value that was set.
type loaded struct {
	row, process int
	made, done   int64 // done is the largest number until the loader or Set returns
	batch        int64 // the first count of those that were loaded together
	asked        int64 // when the caller came whose loader it is
	askedAt      time.Duration
	from, until  time.Duration
	ttl, grace   time.Duration // ttl of an error: how long it is remembered
	set          bool          // by a caller, not by a load
	none         bool          // there is no such row
	failed       bool
	forced       bool
}

// A change is one invalidation, of whatever kind.
type change struct {
	op         string
	process    int
	rows       []int
	start, end int64
	from, till time.Duration
	err        error
	byKey      bool // reaches other processes key by key, not by a stamp
	soft       bool // values may still stand in for a loader
	byResult   bool // by a tag that only a value tells
	private    bool // other processes are not told
	void       bool // promises nothing
}

// A reading is one answer that a caller got for one row.
type reading struct {
	op           string
	process, row int
	start, end   int64
	from, till   time.Duration
	stale        bool  // may be a grace value
	got          int64 // the value's count
	nothing      bool  // that there is no such row, without saying since when
	pulled       bool
}

// A passage is an entry on its way between a process and the shared tier.
type passage struct {
	process, row int
	at           int64
	made         int64         // the value's count; an entry that says that there is nothing has none,
	from         time.Duration // but tells when its load began
}

func (p *passage) carries(l *loaded) bool {
	return p.row == l.row && (p.made == l.made || p.made == 0 && l.none && p.from == l.from)
}

// A silence is a time in which a process may miss messages.
type silence struct{ from, till time.Duration }

const never = math.MaxInt64

func newHistory(processes int) *history {
	return &history{
		began: time.Now(), values: map[int64]*loaded{},
		deaf: make([][]silence, processes), failing: make([][]int64, processes),
	}
}

// moment counts an event.
func (h *history) moment() (int64, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	return h.now, time.Since(h.began)
}

func (h *history) begin(l loaded) *loaded {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	l.made, l.done = h.now, never
	l.from, l.until = time.Since(h.began), never
	if l.batch == 0 {
		l.batch = l.made
	}
	h.values[l.made] = &l
	return &l
}

func (h *history) end(l *loaded) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	l.done, l.until = h.now, time.Since(h.began)
}

func (h *history) changed(c change) *change {
	c.start, c.from = h.moment()
	c.end, c.till = never, never
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, &c)
	return &c
}

func (h *history) ended(c *change, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	c.end, c.till, c.err = h.now, time.Since(h.began), err
}

// promisesNothing ends a change after which any value may be read.
func (h *history) promisesNothing(c *change) {
	h.ended(c, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	c.void = true
}

func (h *history) read(r reading) {
	r.end, r.till = h.moment()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = append(h.reads, &r)
}

func (h *history) passed(to *[]passage, p passage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	p.at = h.now
	*to = append(*to, p)
}

func (r *reading) String() string {
	return fmt.Sprintf("%s of row %d in process %d from %d to %d (%v to %v)", r.op, r.row, r.process, r.start, r.end, r.from, r.till)
}

func (c *change) String() string {
	return fmt.Sprintf("%s in process %d from %d to %d (%v to %v)", c.op, c.process, c.start, c.end, c.from, c.till)
}

func (l *loaded) String() string {
	kind := "what was loaded"
	if l.set {
		kind = "what was set"
	}
	return fmt.Sprintf("%s of row %d in process %d from %d to %d (%v to %v, ttl %v, grace %v)", kind, l.row, l.process, l.made, l.done, l.from, l.until, l.ttl, l.grace)
}
