package history

import (
	"fmt"
	"math"
	"time"
)

// A Moment is a count of events, and the time since the run began.
type Moment struct {
	Count int64
	At    time.Duration
}

func (m Moment) before(n Moment) bool { return m.Count < n.Count }

// Never is a time that does not come, and a count that is not reached.
const Never = math.MaxInt64

// Later returns the time d after at, of which each may be for ever.
func Later(at, d time.Duration) time.Duration {
	if d > 0 && at > Never-d {
		return Never
	}
	return at + d
}

// A Span is when something began and ended. The history fills it in.
type Span struct{ Start, End Moment }

// overlaps reports whether s and t were under way at once.
func (s Span) overlaps(t Span) bool { return s.Start.before(t.End) && t.Start.before(s.End) }

// A Version is one answer of the source, or one value that was set. Its span is that of
// the load or of the Set.
type Version struct {
	Span
	Row, Process int
	Batch        int64         // the number of the first version of the same load; 0: this one
	Caller       Moment        // when the caller came whose loader it is
	TTL, Grace   time.Duration // how long it may be cached, and be a grace value after that
	Set          bool          // by Set, not by a load
	Forced       bool
	failed       bool // the load failed; TTL is how long that may be remembered
	notFound     bool // the load found no row
}

// Number identifies a version: it is the count at which the source was asked for it.
func (v *Version) Number() int64 { return v.Start.Count }

// An Invalidation is one operation after which older versions must not be read.
type Invalidation struct {
	Span
	Op          string
	Process     int
	Rows        []int
	ByKey       bool // it reaches other processes key by key, not by a stamp
	ByResultTag bool // it reaches only what has a value
	Expires     bool // older versions may still be grace values
	Local       bool // other processes are not told
	err         error
	uncertain   bool // it is not known whether it has happened: it promises nothing
}

// A Read is one answer that a caller got for one row.
type Read struct {
	Span
	Op           string
	Process, Row int
	Version      int64 // also that of a load that failed, or that found nothing
	NotFound     bool  // that there is no row, without saying which load has found that
	Grace        bool  // it may be a grace value
	Pulled       bool
}

// A Transfer is an entry that a process read from the shared tier, or wrote to it.
type Transfer struct {
	Process, Row int
	Version      int64         // 0 of an entry that says that there is no row,
	LoadedAt     time.Duration // which is known by when its load began
	when         Moment
}

// carries reports whether v is what was transferred.
func (t *Transfer) carries(v *Version) bool {
	return t.Row == v.Row && (t.Version == v.Number() || t.Version == 0 && v.notFound && t.LoadedAt == v.Start.At)
}

func (s Span) String() string {
	if s.End.Count == Never {
		return fmt.Sprintf("from %d (%v) on, not ended", s.Start.Count, s.Start.At)
	}
	return fmt.Sprintf("from %d to %d (%v to %v)", s.Start.Count, s.End.Count, s.Start.At, s.End.At)
}

func (r *Read) String() string {
	return fmt.Sprintf("%s of row %d in process %d %v", r.Op, r.Row, r.Process, r.Span)
}

func (i *Invalidation) String() string {
	return fmt.Sprintf("%s in process %d %v", i.Op, i.Process, i.Span)
}

func (v *Version) String() string {
	how := "loaded"
	switch {
	case v.Set:
		how = "set"
	case v.failed:
		how = "the failure of a load"
	case v.notFound:
		how = "no row"
	}
	return fmt.Sprintf("version %d of row %d, %s in process %d %v, TTL %v, grace %v", v.Number(), v.Row, how, v.Process, v.Span, period(v.TTL), period(v.Grace))
}

// period writes a duration that may be for ever.
func period(d time.Duration) string {
	if d == Never {
		return "for ever"
	}
	return d.String()
}
