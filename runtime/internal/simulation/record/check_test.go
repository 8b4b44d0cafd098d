package record

import (
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	_ "github.com/cachegen/cachegen/runtime/internal/simulation/seeds" // flags
)

// at is a moment of which step and time go together: the step is the time in seconds.
func at(step int) Moment { return Moment{step, time.Duration(step) * time.Second} }

// The checker is only worth what it finds. In each run, process n0 loads version 1 of row 0 from
// second 1 to 2. From second 4 to 5, n0 deletes the row, after it has become version 2; n1
// hears of it at second 6. From second 8 to 9, a client in n1 gets version 1.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	type events struct {
		*Run
		n0, n1       *Process
		load         *Load
		deleted, got *Op
	}
	for name, test := range map[string]struct {
		change func(e *events)
		found  Promise // 0: nothing
	}{
		"read elsewhere after the message":  {func(*events) {}, Stale},
		"read in the same process":          {func(e *events) { e.got.Process = e.n0 }, OwnStale},
		"read when everything works again":  {func(e *events) { e.got.Final = true }, Lost},
		"read before the message":           {func(e *events) { e.deleted.Told[e.n1][0].Step = 8 }, 0},
		"read although no message came":     {func(e *events) { e.deleted.Told[e.n1][0].Heard = false }, 0},
		"read long after a message was due": {func(e *events) { e.deleted.Told[e.n1][0].Heard = false; e.got.Began.At = time.Minute }, Stale},
		"the same, and the database fails": {func(e *events) {
			e.deleted.Told[e.n1][0].Heard = false
			e.got.Began.At = time.Minute
			e.Loads = append(e.Loads, &Load{Process: e.n1, Rows: []int{0}, Began: at(8), Ended: at(9), Err: &LoadError{"it"}})
		}, 0},
		"read while it is deleted":    {func(e *events) { e.deleted.Ended = at(8) }, 0},
		"read of the new version":     {func(e *events) { e.got.Got[0] = 2; e.load.Found[0] = 2 }, 0},
		"the delete has failed":       {func(e *events) { e.deleted.Err = &runtime.InvalidationError{} }, 0},
		"it has, read in its process": {func(e *events) { e.deleted.Err = &runtime.InvalidationError{}; e.got.Process = e.n0 }, OwnStale},
		"it has, and its process dies": {func(e *events) {
			e.deleted.Err, e.n0.Dead, e.got.Final = &runtime.InvalidationError{}, true, true
		}, 0},
		"it has, and its process said so": {func(e *events) {
			e.deleted.Err, e.got.Final = &runtime.InvalidationError{}, true
			e.Ops = append(e.Ops, &Op{ID: 9, Kind: Close, Process: e.n0, Began: at(6), Ended: at(7), Err: &runtime.InvalidationError{}})
		}, 0},
		"it has, and its process was closed": {func(e *events) {
			e.deleted.Err, e.got.Final = &runtime.InvalidationError{}, true
			e.Ops = append(e.Ops, &Op{ID: 9, Kind: Close, Process: e.n0, Began: at(6), Ended: at(7)})
		}, Lost},
		"expired, then a grace value": {func(e *events) { e.deleted.Kind, e.got.Kind = Expire, GetOrSet }, 0},
		"expired, then a fresh value": {func(e *events) { e.deleted.Kind = Expire }, Stale},
		"the store was closed": {func(e *events) {
			e.deleted.Err, e.got.Process = runtime.ErrClosed, e.n0
			e.Ops = append(e.Ops, &Op{ID: 9, Kind: Close, Process: e.n0, Began: at(3), Ended: at(9)})
		}, 0},
		"the tier went back":                {func(e *events) { e.goesBack(3, 7) }, 0},
		"it went back before":               {func(e *events) { e.goesBack(2, 3) }, Stale},
		"it went back to what came after":   {func(e *events) { e.goesBack(6, 7) }, Stale},
		"it went back, and says so":         {func(e *events) { e.goesBack(3, 7); e.Tells = true }, Stale},
		"it went back, and that was mended": {func(e *events) { e.goesBack(3, 7).Mended = at(7); e.Bound = 0 }, Stale},
		"it went back, and is being mended": {func(e *events) { e.goesBack(3, 7).Mended = at(7) }, 0},
		"it went back, one could notice":    {func(e *events) { e.goesBack(3, 7).Able[e.n1] = true; e.Notice = 0 }, Stale},
		"it went back, one will notice":     {func(e *events) { e.goesBack(3, 7).Able[e.n1] = true }, 0},
		"it died, and had an outbox": {func(e *events) {
			e.deleted.Ended, e.deleted.Kept, e.n0.Dead, e.got.Final = NotYet, true, true, true
		}, Lost},
		"it died, and had none":              {func(e *events) { e.deleted.Ended, e.n0.Dead, e.got.Final = NotYet, true, true }, 0},
		"it is read before the end":          {func(e *events) { e.deleted.Ended, e.deleted.Kept = NotYet, true }, 0},
		"set at the same time":               {func(e *events) { e.set(e.n1, at(3), at(6)) }, 0},
		"set before":                         {func(e *events) { e.set(e.n1, at(2), at(3)) }, Stale},
		"read past its end":                  {func(e *events) { e.Ops = e.Ops[1:]; e.got.Began.At = 3*time.Hour + time.Minute }, PastItsEnd},
		"read within its grace":              {func(e *events) { e.Ops = e.Ops[1:]; e.got.Kind, e.got.Began.At = GetOrSet, 90*time.Minute }, 0},
		"read fresh within its grace":        {func(e *events) { e.Ops = e.Ops[1:]; e.got.Began.At = 90 * time.Minute }, PastItsEnd},
		"read of what nobody has loaded":     {func(e *events) { e.got.Got[0] = 3 }, PastItsEnd},
		"read of what is not committed":      {func(e *events) { e.got.Got[0] = e.deleted.Uncommitted() }, Uncommitted},
		"an error that no loader has made":   {func(e *events) { e.got.Got = nil; e.got.Err = runtime.ErrClosed }, Outage},
		"the error of a loader":              {func(e *events) { e.got.Got = nil; e.got.Err = &LoadError{"it"} }, 0},
		"a change that does not say it":      {func(e *events) { e.deleted.Err = runtime.ErrTimeout; e.got.Got = nil }, Outage},
		"a panic":                            {func(e *events) { e.got.Got = nil; e.got.Panic = "!" }, Panic},
		"two loads":                          {func(e *events) { e.got.Got = nil; e.second(at(1), at(2)) }, TwoLoads},
		"two loads, one after the other":     {func(e *events) { e.got.Got = nil; e.second(at(2), at(3)) }, 0},
		"two loads, the row has changed":     {func(e *events) { e.got.Got = nil; e.load.Ended = at(6); e.second(at(5), at(6)) }, 0},
		"two loads, and something is broken": {func(e *events) { e.got.Got = nil; e.second(at(1), at(2)); e.Healthy = false }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n0, n1 := &Process{Name: "n0"}, &Process{Name: "n1"}
			first := &Op{ID: 1, Kind: GetOrSet, Rows: []int{0}, Process: n0, Began: at(1), Ended: at(2)}
			e := &events{
				n0: n0, n1: n1,
				load: &Load{Process: n0, Op: first, Rows: []int{0}, Began: at(1), Ended: at(2), Found: map[int]int{0: 1}},
				deleted: &Op{
					ID: 2, Kind: Delete, Rows: []int{0}, Process: n0, Began: at(4), Ended: at(5), Needs: map[int]int{0: 2}, Wrote: map[int]int{0: 2},
					Told: map[*Process][]Telling{n1: {{ID: 1, Heard: true, Step: 6}}},
				},
				got: &Op{ID: 3, Kind: Get, Rows: []int{0}, Process: n1, Began: at(8), Ended: at(9), Got: map[int]int{0: 1}},
			}
			e.Run = &Run{
				Facts: Facts{TTL: time.Hour, Grace: time.Hour, Bound: 10 * time.Second, MaxLoadTime: time.Minute, Notice: 6 * time.Second, Healthy: true, ClocksAgree: true},
				Ops:   []*Op{e.deleted, e.got}, Loads: []*Load{e.load},
			}
			test.change(e)
			e.Check()
			var found []string
			for _, v := range e.Found {
				found = append(found, v.String())
			}
			all := strings.Join(found, "\n")
			if (all == "") != (test.found == 0) || test.found != 0 && !strings.HasPrefix(all, test.found.String()) {
				t.Errorf("found %q, want %q", all, test.found)
			}
		})
	}
}

// goesBack lets the tier go back to a copy.
func (e *Run) goesBack(copied, now int) *Return {
	b := &Return{Copied: at(copied), At: at(now), Mended: NotYet, Able: make(map[*Process]bool)}
	e.Returns = append(e.Returns, b)
	return b
}

// set adds a Set of version 1.
func (e *Run) set(p *Process, began, ended Moment) {
	e.Ops = append(e.Ops, &Op{ID: 7, Kind: Set, Rows: []int{0}, Process: p, Began: began, Ended: ended, Wrote: map[int]int{0: 1}, Needs: map[int]int{0: 1}})
}

// second adds a load in another process.
func (e *Run) second(began, ended Moment) {
	p := &Process{Name: "n2"}
	o := &Op{ID: 8, Kind: GetOrSet, Rows: []int{0}, Process: p, Began: began, Ended: ended}
	e.Loads = append(e.Loads, &Load{Process: p, Op: o, Rows: []int{0}, Began: began, Ended: ended, Found: map[int]int{0: 1}})
}
