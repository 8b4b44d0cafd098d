package runtime_test

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// bounds are what the configuration of a round promises beyond one process.
type bounds struct {
	bus     bool
	latency time.Duration // of a message, at most
	trust   time.Duration // after which a process that hears nothing has looked again
	oneLoad bool          // no caller goes past another's load
	// standsIn says that the source may fail: then a value that a process is not
	// sure of, because it hears nothing, stands in.
	standsIn bool
	l1TTL    time.Duration // of a store without a shared tier
}

// check returns what in the history breaks a promise: a value that is
// older than an invalidation, one beyond its deadline, two loads of a key at once.
// It tells the story of the row that the first of them is about.
func (h *history) check(b bounds) (broken []string) {
	about := -1
	report := func(row int, format string, args ...any) {
		broken = append(broken, fmt.Sprintf(format, args...))
		if about < 0 {
			about = row
		}
	}
	for _, r := range h.reads {
		if r.nothing {
			if why := h.unexplained(b, r); why != "" {
				report(r.row, "%s", why)
			}
			continue
		}
		l := h.values[r.got]
		switch {
		case l == nil:
			report(r.row, "%v: a value that nobody made", r)
		case l.row != r.row:
			report(r.row, "%v: the value of row %d", r, l.row)
		default:
			if why := h.wrong(b, r, l); why != "" {
				report(r.row, "%s", why)
			}
		}
	}
	if len(h.deaf) == 1 {
		h.pulledTwice(report)
	}
	if b.oneLoad {
		h.loadedTwice(b, report)
	}
	if about >= 0 {
		broken = append(broken, h.story(about))
	}
	return broken
}

// unexplained says why a caller should not have been told that there is nothing: no
// load that found nothing is recent enough.
func (h *history) unexplained(b bounds, r *reading) (why string) {
	why = fmt.Sprintf("%v: told that there is nothing, which nobody found", r)
	for _, l := range h.values {
		if l.none && l.row == r.row && l.made < r.end {
			if why = h.wrong(b, r, l); why == "" {
				return ""
			}
		}
	}
	return why
}

// wrong says why a caller should not have got a value, or that a load failed.
func (h *history) wrong(b bounds, r *reading, l *loaded) string {
	for _, c := range h.changes {
		if c.void || !c.touches(r.row) || !c.before(r) || !l.before(c) || c.byResult && (l.failed || l.none) {
			continue
		}
		if c.err != nil {
			graced := c.soft && r.stale && l.grace > 0
			if c.process == r.process && !c.private && !graced && !h.fromShared(r, l, c) {
				return fmt.Sprintf("%v: %v is in memory still after %v, although that failed", r, l, c)
			}
			continue
		}
		if c.process != r.process && (c.private || r.from <= h.horizon(b, r, c)) || c.byKey && h.refilled(l, c) {
			continue
		}
		if c.private && h.overlapped(c) {
			continue
		}
		switch {
		case !c.soft:
			return fmt.Sprintf("%v: %v is older than %v", r, l, c)
		case !r.stale || l.grace <= 0:
			return fmt.Sprintf("%v: %v was made stale by %v", r, l, c)
		case c.byKey && c.process == r.process && r.from >= add(c.till, l.grace):
			return fmt.Sprintf("%v: the grace of %v has ended since %v", r, l, c)
		}
	}
	limit := l.ttl
	if b.l1TTL > 0 && !l.failed {
		limit = min(limit, b.l1TTL)
	}
	if r.stale {
		limit = add(limit, l.grace)
	}
	if r.from < add(l.until, limit) {
		return ""
	}
	return fmt.Sprintf("%v: %v has lived for more than %v", r, l, limit)
}

// touches reports whether c invalidates row.
func (c *change) touches(row int) bool { return slices.Contains(c.rows, row) }

// before reports whether c had returned when the caller of r came.
func (c *change) before(r *reading) bool { return c.end < r.start }

// before reports whether c has to do away with l. A value that is being set
// meanwhile may be the later one of the two.
func (l *loaded) before(c *change) bool {
	if l.set {
		return l.done < c.start
	}
	return l.made < c.start
}

// horizon returns when the process of r has to know of another's change.
func (h *history) horizon(b bounds, r *reading, c *change) time.Duration {
	latest := add(c.till, b.latency)
	known := add(latest, b.trust)
	if !b.bus && c.byKey || b.standsIn && r.stale || h.lookedInVain(r.process, c) {
		known = never // nobody tells it, or nobody answers when it asks
	}
	missed := !b.bus
	var heard time.Duration // when it had heard again after each silence that may have kept c from it
	for _, s := range h.deaf[r.process] {
		switch {
		case s.from > latest || s.till < c.from:
			continue
		case s.till < c.till:
			heard = max(heard, latest)
		default: // it hears again, and has dropped everything
			heard = max(heard, s.till)
		}
		missed = true
	}
	if !missed {
		return latest
	}
	if heard > 0 {
		known = min(known, heard)
	}
	return max(known, latest)
}

// lookedInVain reports whether a process could not ask the shared tier since c:
// it serves what it has then.
func (h *history) lookedInVain(process int, c *change) bool {
	for _, at := range h.failing[process] {
		if at > c.start {
			return true
		}
	}
	return false
}

// refilled reports whether another process than that of c wrote l to the shared
// tier after c had begun: only a lease could keep it from that.
func (h *history) refilled(l *loaded, c *change) bool {
	for _, p := range h.filled {
		if p.carries(l) && p.process != c.process && p.at > c.start {
			return true
		}
	}
	return false
}

// fromShared reports whether the process of r got l from the shared tier since c.
func (h *history) fromShared(r *reading, l *loaded, c *change) bool {
	for _, p := range h.fetched {
		if p.carries(l) && p.process == r.process && p.at > c.start {
			return true
		}
	}
	return false
}

// overlapped reports whether another change was under way during c.
func (h *history) overlapped(c *change) bool {
	for _, other := range h.changes {
		if other != c && other.start < c.end && other.end > c.start {
			return true
		}
	}
	return false
}

// failures returns what the failure of a batch was to those of rows that it was to
// bring.
func (h *history) failures(batch int64, rows []int) (failed []*loaded) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.values {
		if l.batch == batch && slices.Contains(rows, l.row) {
			failed = append(failed, l)
		}
	}
	return failed
}

// pulledTwice finds values that two callers of one process have both pulled.
func (h *history) pulledTwice(report func(row int, format string, args ...any)) {
	first := map[[2]int64]*reading{}
	for _, r := range h.reads {
		if !r.pulled {
			continue
		}
		at := [2]int64{int64(r.process), r.got}
		if other := first[at]; other != nil && other.start < r.end && r.start < other.end {
			report(r.row, "%v and %v: one value was pulled twice", other, r)
		}
		first[at] = r
	}
}

// loadedTwice finds loads of one row that ran beside each other in one process with
// nothing in between that frees the key.
func (h *history) loadedTwice(b bounds, report func(row int, format string, args ...any)) {
	freed := func(a, z *loaded) bool {
		for _, c := range h.changes {
			if !c.touches(z.row) || c.start > z.made {
				continue
			}
			if c.err != nil { // it is carried out, and told, some time later
				return true
			}
			if c.end > min(a.asked, z.asked) || c.process != a.process && add(c.till, 2*b.latency) >= min(a.askedAt, z.askedAt) {
				return true
			}
		}
		for _, s := range h.deaf[a.process] {
			if s.till >= min(a.askedAt, z.askedAt) && s.till <= z.from {
				return true
			}
		}
		return false
	}
	for _, a := range h.values {
		for _, z := range h.values {
			if a.row == z.row && a.process == z.process && !a.set && !z.set && a.made < z.made && z.made < a.done && !z.forced && !freed(a, z) {
				report(a.row, "%v and %v ran beside each other", a, z)
			}
		}
	}
}

// add adds durations of which any may be for ever.
func add(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
