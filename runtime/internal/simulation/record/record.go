// Package record is what clients of many processes did and got in a run of the simulation, and
// looks in it for promises of the cache that were broken.
//
// Each row of the database has versions, which grow. So of each read it is known how old the
// answer is, and of each invalidation which versions nobody may read any more when it has
// returned. A [Run] belongs to the goroutine of the simulation.
package record

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Moment is a step of the simulation, and the time since it began. What happens in one step
// has no order.
type Moment struct {
	Step int
	At   time.Duration
}

// Never is a step that is not reached.
const Never = math.MaxInt

// NotYet is the moment of what has not happened.
var NotYet = Moment{Never, Never}

// Before reports whether m is surely before n.
func (m Moment) Before(n Moment) bool { return m.Step < n.Step }

// A Process is one of those whose clients are recorded.
type Process struct {
	Name string
	Dead bool // it has crashed
}

// A Kind is what a client does.
type Kind uint8

// The kinds. Those from Set to Transaction change rows of the database, and then the cache.
const (
	Get Kind = iota
	GetOrSet
	GetMany
	GetOrSetMany
	ForceFresh
	Set
	Delete
	DeleteMany
	DeleteByRowTag
	DeleteByGroup
	Expire
	ExpireByTag
	Clear
	Write
	Transaction
	Close
)

var kindNames = [...]string{
	Get: "Get", GetOrSet: "GetOrSet", GetMany: "GetMany", GetOrSetMany: "GetOrSetMany", ForceFresh: "GetOrSet with ForceFresh",
	Set: "Set", Delete: "Delete", DeleteMany: "DeleteMany", DeleteByRowTag: "DeleteByTag of the row", DeleteByGroup: "DeleteByTag of the group",
	Expire: "Expire", ExpireByTag: "ExpireByTag", Clear: "Clear", Write: "a write of Delete and DeleteByTag", Transaction: "a transaction",
	Close: "Close",
}

// Changes reports whether the operation changes rows.
func (k Kind) Changes() bool { return k >= Set && k <= Transaction }

// expires reports whether what it invalidates may still be a grace value.
func (k Kind) expires() bool { return k == Expire || k == ExpireByTag }

// loads reports whether it calls a loader if it has to. Only those return grace values.
func (k Kind) loads() bool { return k == GetOrSet || k == GetOrSetMany || k == ForceFresh }

// Groups is how many groups of rows there are, and Group returns the one of a row.
const Groups = 2

// Group returns the group of a row, which is a tag of its value.
func Group(row int) int { return row % Groups }

// An Op is one operation of a client: what it is, and what came of it.
type Op struct {
	ID      int
	Kind    Kind
	Machine int
	Rows    []int
	Final   bool // a read when everything works again

	Process *Process
	Began   Moment
	Ended   Moment
	Wrote   map[int]int // the new versions of the rows that it has changed
	Needs   map[int]int // by row: once it has returned, no older version is to be read
	Got     map[int]int // by row: the version that was read
	Told    map[*Process][]Telling
	Kept    bool // it is in an outbox, and committed: it is not lost with its process
	Err     error
	Panic   any
}

// A Telling is a message that says what an operation has changed, on its way to one process.
type Telling struct {
	ID    int
	Heard bool
	Step  int // when it was heard
}

// Heard notes that a process has heard a message.
func (o *Op) Heard(p *Process, id, step int) {
	for i := range o.Told[p] {
		if t := &o.Told[p][i]; t.ID == id && !t.Heard {
			t.Heard, t.Step = true, step
		}
	}
}

// Name is short.
func (o *Op) Name() string { return "c" + strconv.Itoa(o.ID) }

func (o *Op) String() string {
	if len(o.Rows) == 0 {
		return o.Name() + ": " + kindNames[o.Kind]
	}
	return fmt.Sprintf("%s: %s of %s", o.Name(), kindNames[o.Kind], RowsText(o.Rows))
}

// RowsText writes rows.
func RowsText(rows []int) string {
	s := "row"
	for _, row := range rows {
		s += " " + strconv.Itoa(row)
	}
	return s
}

// Reaches reports whether the operation invalidates a row.
func (o *Op) Reaches(row int) bool {
	switch o.Kind {
	case Clear:
		return true
	case DeleteByGroup:
		return Group(row) == Group(o.Rows[0])
	case DeleteMany:
		for _, other := range o.Rows {
			if other == row {
				return true
			}
		}
		return false
	}
	return row == o.Rows[0]
}

// Uncommitted is the version of a row that a transaction has changed and not committed.
func (o *Op) Uncommitted() int { return -1 - o.ID }

// Outcome says what came of it.
func (o *Op) Outcome() string {
	switch {
	case o.Panic != nil:
		return fmt.Sprintf("panic: %v", o.Panic)
	case o.Err != nil:
		return o.Err.Error()
	case o.Kind.Changes() || o.Kind == Close:
		return "nil"
	}
	s := ""
	for i, row := range o.Rows {
		if i > 0 {
			s += ", "
		}
		if v, ok := o.Got[row]; ok {
			s += "version " + strconv.Itoa(v)
		} else {
			s += "nothing"
		}
	}
	return s
}

// WroteText says what it has changed in the database, or nothing.
func (o *Op) WroteText() string {
	s := ""
	for _, row := range o.Rows {
		if v, ok := o.Wrote[row]; ok {
			s += fmt.Sprintf(", after row %d has become version %d", row, v)
		}
	}
	return s
}

// A Load is one call of a loader.
type Load struct {
	Process *Process
	Op      *Op // of the client that has asked for it first; nil if none has
	Rows    []int
	Began   Moment
	Ended   Moment
	Found   map[int]int // by row: the version
	Err     error
}

// A LoadError is the failure of a loader.
type LoadError struct{ Load string }

// Error names the load.
func (e *LoadError) Error() string { return "simulation: " + e.Load + " fails" }

// Facts are what the promises depend on.
type Facts struct {
	TTL, Grace  time.Duration
	Bound       time.Duration // after which no process reads what was invalidated elsewhere
	MaxLoadTime time.Duration
	Healthy     bool // nothing keeps processes from waiting for each other's loads
	ClocksAgree bool
	// Tells says that the tier tells when it has gone back. If it does not, Notice is how long a
	// process that can notice it by itself may take.
	Tells  bool
	Notice time.Duration
}

// A Return is that the tier went back to a copy of it.
type Return struct {
	Copied, At Moment
	// Able are the processes of whose counters the copy has a lower number than they know to have
	// been in the tier.
	Able map[*Process]bool
	// Mended is when the stamp of the store was replaced that was in the copy.
	Mended Moment
}

// A Run is what happened.
type Run struct {
	Facts
	Ops     []*Op // that have begun
	Loads   []*Load
	Returns []*Return
	Found   []Violation
}
