package history

import (
	"errors"
	"strings"
	"testing"
	"time"

	_ "github.com/cachegen/cachegen/runtime/internal/simulation/seeds" // flags
)

// at is a moment of which count and time go together: the count is the time in seconds.
func at(count int64) Moment { return Moment{count, time.Duration(count) * time.Second} }

// The checker is only worth what it finds. In each history, row 1 is loaded from second 2
// to 3 and may be cached for an hour, then be a grace value for another. A Delete runs from
// second 5 to 6; a Get from 8 to 9 returns what was loaded.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	type events struct {
		loaded  Version
		deleted Invalidation
		got     Read
		*History
	}
	for name, test := range map[string]struct {
		deleted bool // the Delete has happened
		change  func(e *events)
		found   string // empty: nothing is wrong
	}{
		"nothing happened":             {false, func(*events) {}, ""},
		"read after a delete":          {true, func(*events) {}, "is older than"},
		"read before the delete ended": {true, func(e *events) { e.deleted.End = at(8) }, ""},
		"loaded after the delete began": {true, func(e *events) {
			e.deleted.Start = at(1)
		}, ""},
		"another row deleted": {true, func(e *events) { e.deleted.Rows = []int{0} }, ""},
		"expired":             {true, func(e *events) { e.deleted.Expires = true }, "was made stale"},
		"expired, then a grace value": {true, func(e *events) {
			e.deleted.Expires, e.got.Grace = true, true
		}, ""},
		"expired, then a grace value after its end": {true, func(e *events) {
			e.deleted.Expires, e.got.Grace = true, true
			e.got.Start.At = 6*time.Second + time.Hour
		}, "the grace"},
		"read after its TTL": {false, func(e *events) { e.got.Start.At = 3*time.Second + time.Hour }, "past its end"},
		"deleted by another": {true, func(e *events) { e.deleted.Process = 1 }, "is older than"},
		"deleted by another, disconnected": {true, func(e *events) {
			e.deleted.Process = 1
			e.disconnected[0] = []Span{{at(0), at(9)}}
		}, ""},
		"deleted by another, connected again": {true, func(e *events) {
			e.deleted.Process = 1
			e.disconnected[0] = []Span{{at(0), Moment{7, 7*time.Second - 1}}}
		}, "is older than"},
		"deleted by another, disconnected twice": {true, func(e *events) {
			e.deleted.Process = 1
			e.disconnected[0] = []Span{{at(0), Moment{5, 5*time.Second + 1}}, {Moment{5, 5*time.Second + 2}, at(9)}}
		}, ""},
		"deleted, written by another process since": {true, func(e *events) {
			e.tierWrites = []Transfer{{Process: 1, Row: 1, when: at(7), Version: 2}}
		}, ""},
		"deleted, written by the same process since": {true, func(e *events) {
			e.tierWrites = []Transfer{{Process: 0, Row: 1, when: at(7), Version: 2}}
		}, "is older than"},
		"a delete failed": {true, func(e *events) {
			e.deleted.err = errors.New("no connection")
		}, "is still in memory"},
		"a delete failed, then read from the shared tier": {true, func(e *events) {
			e.deleted.err = errors.New("no connection")
			e.tierReads = []Transfer{{Row: 1, when: at(7), Version: 2}}
		}, ""},
		"two loads at once": {false, func(e *events) {
			e.loaded.End = at(4)
			e.versions[3] = &Version{Span: Span{at(3), at(4)}, Row: 1, Batch: 3, Caller: at(1)}
		}, "at once"},
		"a version that nobody loaded": {false, func(e *events) { delete(e.versions, 2) }, "nobody loaded"},
		"another row's version":        {false, func(e *events) { e.loaded.Row = 0 }, "got row 0"},
		"no row, which no load found": {false, func(e *events) {
			e.got.NotFound = true
		}, "no load found"},
		"pulled twice": {false, func(e *events) {
			e.disconnected = e.disconnected[:1]
			e.got.Pulled = true
			again := e.got
			e.reads = append(e.reads, &again)
		}, "pulled twice"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &events{
				loaded:  Version{Span: Span{at(2), at(3)}, Row: 1, Batch: 2, TTL: time.Hour, Grace: time.Hour},
				deleted: Invalidation{Span: Span{at(5), at(6)}, Op: "Delete", Rows: []int{1}, ByKey: true},
				got:     Read{Span: Span{at(8), at(9)}, Op: "Get", Row: 1, Version: 2},
				History: New(2),
			}
			e.versions[2], e.reads = &e.loaded, []*Read{&e.got}
			if test.deleted {
				e.invalidations = []*Invalidation{&e.deleted}
			}
			test.change(e)
			var found []string
			for _, v := range e.Check(Promises{Bus: true, BusLatency: time.Second, Trust: time.Hour, OneLoad: true}) {
				found = append(found, v.What)
			}
			all := strings.Join(found, "\n")
			if (all == "") != (test.found == "") || !strings.Contains(all, test.found) {
				t.Errorf("found %q, want %q", all, test.found)
			}
		})
	}
}

// What fails has to be readable: what happened to the row, in order.
func TestATimelineTellsWhatHappenedToARow(t *testing.T) {
	h := New(1)
	h.versions[2] = &Version{Span: Span{at(2), at(3)}, Row: 1, Batch: 2, Set: true, TTL: Never}
	h.versions[4] = &Version{Span: Span{at(4), at(5)}, Row: 0, Batch: 4}
	h.invalidations = []*Invalidation{{Span: Span{at(1), Moment{Never, Never}}, Op: "Delete", Rows: []int{1}}}
	h.reads = []*Read{{Span: Span{at(8), at(9)}, Op: "Get", Row: 1, Version: 2}}
	h.tierReads = []Transfer{{when: at(7), Row: 1, Version: 2}}
	h.tierWrites = []Transfer{{when: at(3), Row: 1, Version: 2}}
	h.disconnected[0] = []Span{{at(0), at(6)}}
	const want = `row 1:
    1           1s  Delete in process 0 from 1 (1s) on, not ended: <nil>
    2           2s  version 2 of row 1, set in process 0 from 2 to 3 (2s to 3s), TTL for ever, grace 0s, forced false
    3           3s  process 0 writes version 2 to the shared tier
    6           6s  process 0 is connected to the bus; it was not from 0 to 6 (0s to 6s)
    7           7s  process 0 reads version 2 from the shared tier
    8           8s  Get of row 1 in process 0 from 8 to 9 (8s to 9s): got version 2
`
	if got := h.Timeline(1); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
