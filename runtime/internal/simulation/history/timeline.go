package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Timeline says what happened to a row, in order: the count, the virtual time, the event.
func (h *History) Timeline(row int) string {
	type event struct {
		when Moment
		what string
	}
	var events []event
	add := func(when Moment, format string, args ...any) {
		events = append(events, event{when, fmt.Sprintf(format, args...)})
	}
	for _, i := range h.invalidations {
		if i.touches(row) {
			add(i.Start, "%v: %v", i, i.err)
		}
	}
	for _, v := range h.versions {
		if v.Row == row {
			add(v.Start, "%v, forced %v", v, v.Forced)
		}
	}
	for _, r := range h.reads {
		if r.Row == row {
			add(r.Start, "%v: got version %d", r, r.Version)
		}
	}
	for _, t := range h.tierReads {
		if t.Row == row {
			add(t.when, "process %d reads version %d from the shared tier", t.Process, t.Version)
		}
	}
	for _, t := range h.tierWrites {
		if t.Row == row {
			add(t.when, "process %d writes version %d to the shared tier", t.Process, t.Version)
		}
	}
	for process, spans := range h.disconnected {
		for _, s := range spans {
			add(s.End, "process %d is connected to the bus; it was not %v", process, s)
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.when.Count, b.when.Count) })
	var b strings.Builder
	fmt.Fprintf(&b, "row %d:\n", row)
	for _, e := range events {
		fmt.Fprintf(&b, "%5d %12v  %s\n", e.when.Count, e.when.At, e.what)
	}
	return b.String()
}
