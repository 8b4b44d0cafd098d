package runtime_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// story tells what happened to a row, in order.
func (h *history) story(row int) string {
	type event struct {
		at   int64
		what string
	}
	var events []event
	tell := func(at int64, format string, args ...any) {
		events = append(events, event{at, fmt.Sprintf(format, args...)})
	}
	for _, c := range h.changes {
		if c.touches(row) {
			tell(c.start, "%v: %v", c, c.err)
		}
	}
	for _, l := range h.values {
		if l.row == row {
			tell(l.made, "%v, failed %v, none %v, forced %v", l, l.failed, l.none, l.forced)
		}
	}
	for _, r := range h.reads {
		if r.row == row {
			tell(r.start, "%v: got %d", r, r.got)
		}
	}
	for _, p := range h.fetched {
		if p.row == row {
			tell(p.at, "process %d fetched %d", p.process, p.made)
		}
	}
	for _, p := range h.filled {
		if p.row == row {
			tell(p.at, "process %d writes %d", p.process, p.made)
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%5d  %s\n", e.at, e.what)
	}
	return b.String()
}
