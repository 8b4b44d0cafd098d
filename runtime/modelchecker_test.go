package runtime_test

import (
	"strings"
	"testing"
	"time"
)

// The checker is only worth what it finds.
func TestTheCheckerOfTheModelFindsWhatIsWrong(t *testing.T) {
	const second = time.Second
	old := loaded{row: 1, made: 2, batch: 2, done: 3, from: second, until: second, ttl: time.Hour, grace: time.Hour}
	deletion := change{op: "Delete", rows: []int{1}, start: 5, end: 6, from: 2 * second, till: 2 * second, byKey: true}
	late := reading{op: "Get", row: 1, start: 8, end: 9, from: 4 * second, till: 4 * second, got: 2}
	expiry := deletion
	expiry.soft = true
	graced := late
	graced.stale = true
	elsewhere := deletion
	elsewhere.process = 1
	for name, test := range map[string]struct {
		play  func(h *history)
		found string // empty: nothing is wrong
	}{
		"nothing":                 {func(h *history) {}, ""},
		"older than a deletion":   {func(h *history) { h.changes = []*change{&deletion} }, "is older than"},
		"read before it returned": {func(h *history) { c := deletion; c.end = 8; h.changes = []*change{&c} }, ""},
		"loaded after it began":   {func(h *history) { c := deletion; c.start = 1; h.changes = []*change{&c} }, ""},
		"another row's":           {func(h *history) { c := deletion; c.rows = []int{0}; h.changes = []*change{&c} }, ""},
		"expired":                 {func(h *history) { h.changes = []*change{&expiry} }, "was made stale"},
		"expired, as a grace value": {func(h *history) {
			h.changes, h.reads = []*change{&expiry}, []*reading{&graced}
		}, ""},
		"expired, beyond the grace": {func(h *history) {
			r := graced
			r.from = 2*second + time.Hour
			h.changes, h.reads = []*change{&expiry}, []*reading{&r}
		}, "the grace"},
		"beyond its TTL":           {func(h *history) { r := late; r.from = second + time.Hour; h.reads = []*reading{&r} }, "has lived"},
		"deleted elsewhere":        {func(h *history) { h.changes = []*change{&elsewhere} }, "is older than"},
		"deleted elsewhere, deaf":  {func(h *history) { h.changes, h.deaf[0] = []*change{&elsewhere}, []silence{{0, 5 * second}} }, ""},
		"deleted elsewhere, heard": {func(h *history) { h.changes, h.deaf[0] = []*change{&elsewhere}, []silence{{0, 3 * second}} }, "is older than"},
		"deleted elsewhere, deaf twice": {func(h *history) {
			c := elsewhere
			c.till = c.from + second/2
			h.changes, h.deaf[0] = []*change{&c}, []silence{{0, c.from + second/4}, {c.from + second/3, 5 * second}}
		}, ""},
		"written by another process since": {func(h *history) {
			h.changes = []*change{&deletion}
			h.filled = []passage{{process: 1, row: 1, at: 7, made: 2}}
		}, ""},
		"written by the same process since": {func(h *history) {
			h.changes = []*change{&deletion}
			h.filled = []passage{{process: 0, row: 1, at: 7, made: 2}}
		}, "is older than"},
		"a deletion that failed": {func(h *history) { c := deletion; c.err = errLost; h.changes = []*change{&c} }, "is in memory still"},
		"a deletion that failed, from the shared tier": {func(h *history) {
			c := deletion
			c.err = errLost
			h.changes = []*change{&c}
			h.fetched = []passage{{row: 1, at: 7, made: 2}}
		}, ""},
		"two loads at once": {func(h *history) {
			h.values[3] = &loaded{row: 1, made: 3, batch: 3, done: 4, asked: 1, from: second, until: 2 * second}
			h.values[2].done = 4
		}, "beside each other"},
		"nobody's value": {func(h *history) { delete(h.values, 2) }, "nobody made"},
		"nothing there, which nobody found": {func(h *history) {
			h.reads = []*reading{{op: "GetOrSet", row: 1, start: 8, end: 9, nothing: true}}
		}, "nobody found"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(2)
			first, only := old, late
			h.values[2], h.reads = &first, []*reading{&only}
			test.play(h)
			broken := strings.Join(h.check(bounds{bus: true, latency: second, trust: time.Hour, oneLoad: true}), "\n")
			if (broken == "") != (test.found == "") || !strings.Contains(broken, test.found) {
				t.Errorf("found %q, want %q", broken, test.found)
			}
		})
	}
}
