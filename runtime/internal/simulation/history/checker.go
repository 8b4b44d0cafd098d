package history

import (
	"fmt"
	"slices"
	"time"
)

// Promises are what a store promises in the configuration of a run.
type Promises struct {
	// Bus says that stores tell each other of invalidations, and BusLatency how long a
	// message takes at most, with what the receiver does.
	Bus        bool
	BusLatency time.Duration
	// Trust is after how long a process that is disconnected has asked the shared tier
	// again.
	Trust time.Duration
	// OneLoad says that no caller loads beside another's load of the same key.
	OneLoad bool
	// SourceFails says that loads may fail. Then a process that is or was disconnected may
	// return as a grace value what it cannot confirm.
	SourceFails bool
	// MemoryTTL bounds the age of what is in memory, where there is no shared tier; 0 if
	// nothing does.
	MemoryTTL time.Duration
}

// A Violation is a promise that was broken to a caller who asked for a row. The row is
// NoRow if it is about none.
type Violation struct {
	Row  int
	What string
}

// NoRow is the row of a violation that is about no row.
const NoRow = -1

// A checker finds in a history what breaks a promise: a row that is older than an
// invalidation, or than its deadlines; one that nobody loaded; two loads of a row at
// once; a value that was pulled twice.
type checker struct {
	*History
	Promises
	violations []Violation
}

// Check returns what in the history breaks one of p. The run has ended.
func (h *History) Check(p Promises) []Violation {
	c := &checker{History: h, Promises: p}
	for _, r := range c.reads {
		if why := c.checkRead(r); why != "" {
			c.report(r.Row, "%s", why)
		}
	}
	if len(c.disconnected) == 1 {
		c.checkPulls()
	}
	if c.OneLoad {
		c.checkLoads()
	}
	return c.violations
}

func (c *checker) report(row int, format string, args ...any) {
	c.violations = append(c.violations, Violation{row, fmt.Sprintf(format, args...)})
}

// checkRead says why a caller should not have got what it got, if so.
func (c *checker) checkRead(r *Read) string {
	if r.NotFound {
		return c.checkNotFound(r)
	}
	v := c.versions[r.Version]
	switch {
	case v == nil:
		return fmt.Sprintf("%v: got version %d, which nobody loaded", r, r.Version)
	case v.Row != r.Row:
		return fmt.Sprintf("%v: got row %d", r, v.Row)
	}
	return c.checkVersion(r, v)
}

// checkNotFound says why a caller should not have been told that there is no row: no load
// that found none is recent enough.
func (c *checker) checkNotFound(r *Read) string {
	why := fmt.Sprintf("%v: got that there is no row, which no load found", r)
	for _, v := range c.versions {
		if v.notFound && v.Row == r.Row && v.Start.before(r.End) {
			if why = c.checkVersion(r, v); why == "" {
				return ""
			}
		}
	}
	return why
}

// checkVersion says why a caller should not have got a version.
func (c *checker) checkVersion(r *Read, v *Version) string {
	for _, i := range c.invalidations {
		if why := c.checkInvalidation(r, v, i); why != "" {
			return why
		}
	}
	limit := v.TTL
	if c.MemoryTTL > 0 && !v.failed {
		limit = min(limit, c.MemoryTTL)
	}
	if r.Grace {
		limit = Later(limit, v.Grace)
	}
	if r.Start.At >= Later(v.End.At, limit) {
		return fmt.Sprintf("%v: %v is past its end, after %v", r, v, limit)
	}
	return ""
}

// checkInvalidation says why i should have kept a caller from getting v.
func (c *checker) checkInvalidation(r *Read, v *Version, i *Invalidation) string {
	if !i.reaches(v) || !i.End.before(r.Start) {
		return ""
	}
	if i.err != nil && len(c.disconnected) > 1 { // a process that is alone reads around what is queued
		graced := i.Expires && r.Grace && v.Grace > 0
		if i.Process == r.Process && !i.Local && !graced && !c.readFromTierSince(r, v, i) {
			return fmt.Sprintf("%v: %v is still in memory after %v, although that failed", r, v, i)
		}
		return ""
	}
	if i.Process != r.Process && (i.Local || r.Start.At <= c.knownBy(r, i)) {
		return ""
	}
	if i.ByKey && c.writtenByAnother(v, i) || i.Local && c.overlapped(i) {
		return ""
	}
	switch {
	case !i.Expires:
		return fmt.Sprintf("%v: %v is older than %v", r, v, i)
	case !r.Grace || v.Grace <= 0:
		return fmt.Sprintf("%v: %v was made stale by %v", r, v, i)
	case i.ByKey && i.Process == r.Process && r.Start.At >= Later(i.End.At, v.Grace):
		return fmt.Sprintf("%v: the grace of %v has ended since %v", r, v, i)
	}
	return ""
}

// touches reports whether i invalidates row.
func (i *Invalidation) touches(row int) bool { return slices.Contains(i.Rows, row) }

// reaches reports whether v must not be read when i has ended. What is being set meanwhile
// may be the later one of the two.
func (i *Invalidation) reaches(v *Version) bool {
	older := v.Start.before(i.Start)
	if v.Set {
		older = v.End.before(i.Start)
	}
	withoutValue := v.failed || v.notFound
	return older && i.touches(v.Row) && !i.uncertain && !(i.ByResultTag && withoutValue)
}

// overlapped reports whether another invalidation was under way during i.
func (c *checker) overlapped(i *Invalidation) bool {
	return slices.ContainsFunc(c.invalidations, func(other *Invalidation) bool { return other != i && other.overlaps(i.Span) })
}
