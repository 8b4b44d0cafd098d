package stamp

import (
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func anyNumber(string) uint64 { return rand.Uint64() }

func newValue() Value { return Value{rand.Uint64() | 1, rand.Uint64() | 1} }

func newRecord() Record { return Record{Value: newValue(), Until: math.MaxInt64} }

// provide gives c a stamp of this process and returns it.
func provide(table *Table, c *Cell, trustUntil int64) Value {
	table.Provide(c, trustUntil)
	v, _, _ := c.Current()
	return v
}

func TestParseInvertsBytes(t *testing.T) {
	want := Record{Value: newValue(), Until: rand.Int64()}
	if got, ok := Parse(want.Bytes()); !ok || got != want {
		t.Fatal(got, ok)
	}
	zero := []Record{{}, {Value: Value{Delete: 1}}, {Value: Value{Expire: 1}}}
	for _, b := range [][]byte{nil, {}, {1}, make([]byte, 8), want.Bytes()[:23], append(want.Bytes(), 0), zero[0].Bytes(), zero[1].Bytes(), zero[2].Bytes()} {
		if _, ok := Parse(b); ok {
			t.Errorf("%v was accepted", b)
		}
	}
}

// race R45: a half that is made anew never equals an old one, and is never the zero that
// means no stamp.
func TestAHalfIsNeverZero(t *testing.T) {
	numbers := []uint64{0, 0, 5}
	table := NewTable(func(string) uint64 { n := numbers[0]; numbers = numbers[1:]; return n })
	if half := table.Half(""); half != 5 {
		t.Fatal(half)
	}
}

// What is read from the shared tier while the stamp changes here is the older one.
func TestLearnDoesNotUndoAChange(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	old := newRecord()
	table.Learn(c, old, 1, table.Moment())
	epoch := table.Moment() // a read of the shared tier begins
	table.Change("t:x", false, true)
	if table.Learn(c, old, 2, epoch) {
		t.Error("the older stamp was accepted")
	}
	if v, trustUntil, _ := c.Current(); v.Delete == old.Delete || v.Expire != old.Expire || trustUntil != math.MinInt64 {
		t.Errorf("got %v until %d, want one changed half, to be read before it is used", v, trustUntil)
	}
}

// race R55: of two reads that are under way at once the one that is done last may be the older one: that
// there was no stamp yet is no change of the one that has been made meanwhile, nor does an older
// stamp take the place of a younger one.
func TestOfTwoReadsAtOnceTheLastIsNotBelievedIfItSaysSomethingElse(t *testing.T) {
	first := newRecord()
	for _, late := range []Record{{}, newRecord()} {
		table := NewTable(anyNumber)
		c := table.Cell("t:x")
		since := table.Moment()
		if !table.Learn(c, first, 1, since) || !table.Learn(c, first, 2, since) {
			t.Error("two that say the same")
		}
		if table.Learn(c, late, 3, since) || table.ChangedSince("t:x", table.Epoch()-1) {
			t.Error("the other one counts as a change")
		}
		if v, trustUntil, _ := c.Current(); v != first.Value || trustUntil != 2 {
			t.Error(v, trustUntil)
		}
		if !table.Learn(c, late, 4, table.Moment()) {
			t.Error("a later one does not count")
		}
	}
}

func TestLearningAnotherStampMovesTheEpoch(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	v := newRecord()
	table.Learn(c, v, 1, table.Moment())
	before := table.Epoch()
	v.Until--
	table.Learn(c, v, 2, table.Moment())
	if table.Epoch() != before {
		t.Error("the same stamp moved the epoch")
	}
	table.Learn(c, newRecord(), 3, table.Moment())
	if table.Epoch() == before || !table.ChangedSince("t:x", before) {
		t.Error("another stamp did not")
	}
}

// race R22: under a stamp that the shared tier has not, nothing is valid, and whoever makes
// one invalidates nothing by that.
func TestThatThereIsNoStampIsLearnt(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	none := func(trusted int64) {
		t.Helper()
		if v, trustUntil, ok := c.Current(); ok || v != (Value{}) || trustUntil != trusted {
			t.Errorf("%v until %d, %v", v, trustUntil, ok)
		}
	}
	none(math.MinInt64)
	table.Learn(c, Record{}, 5, table.Moment())
	none(5)
	before, known := table.Epoch(), table.Known()
	if !c.KnownSince(known) {
		t.Error("that there is none is not known")
	}
	made := newRecord()
	made.Until = math.MaxInt64
	table.Learn(c, made, 6, table.Moment())
	if table.ChangedSince("t:x", before) || c.KnownSince(known) {
		t.Error("a stamp that is made counts as a change, or as known before")
	}
	if until, ok := c.Kept(made.Value); !ok || until != made.Until {
		t.Error(until, ok)
	}
	table.Keep(c, made.Value, math.MaxInt64-1)
	table.Keep(c, newValue(), 8)
	if until, _ := c.Kept(made.Value); until != math.MaxInt64-1 {
		t.Error(until)
	}
	table.Learn(c, Record{}, 9, table.Moment()) // it was lost
	none(9)
	if !table.ChangedSince("t:x", before) {
		t.Error("what was stored under it may be believed")
	}
	if _, ok := c.Kept(made.Value); ok {
		t.Error("it is kept")
	}
	if v := provide(table, c, 1); v.Delete == 0 || !c.Provided(v) {
		t.Error("none was provided")
	} else if _, ok := c.Kept(v); ok {
		t.Error("the tier does not have it")
	}
}

// A stamp that the shared tier has forgotten because its time was over has not changed by
// that. Whether somebody has changed it before is not known.
func TestAStampWhoseTimeIsOverHasNotChanged(t *testing.T) {
	table := NewTable(anyNumber)
	c, r := table.Cell("t:x"), newRecord()
	r.Until = time.Now().Add(-time.Second).UnixNano()
	table.Learn(c, r, 5, table.Moment())
	before, known := table.Epoch(), table.Known()
	table.Learn(c, Record{}, 6, table.Moment())
	if _, _, ok := c.Current(); ok || table.ChangedSince("t:x", before) || table.Epoch() == before || c.KnownSince(known) {
		t.Error("it is known that it has changed, or that it has not")
	}
}

// A change of what is not there leaves nothing there that an entry could carry.
func TestAChangeOfNoStampMakesNone(t *testing.T) {
	for _, expire := range []bool{false, true} {
		table := NewTable(anyNumber)
		c := table.Cell("t:x")
		table.Learn(c, Record{}, 5, table.Moment())
		before := table.Epoch()
		table.Change("t:x", expire, true)
		if v, trustUntil, ok := c.Current(); ok || v != (Value{}) || trustUntil != math.MinInt64 || !table.ChangedSince("t:x", before) {
			t.Error(expire, v, trustUntil, ok)
		}
		if v := provide(table, c, 1); v.Delete == 0 || v.Expire == 0 {
			t.Error(expire, v)
		}
	}
}

// What somebody has written, and may have changed, is read again before it is used.
func TestASuspectedStampIsReadAgain(t *testing.T) {
	table := NewTable(anyNumber)
	c, r := table.Cell("t:x"), newRecord()
	table.Learn(c, r, 5, table.Moment())
	before := table.Epoch()
	table.Suspect("t:unknown")
	table.Suspect("t:x")
	if v, trustUntil, ok := c.Current(); !ok || v != r.Value || trustUntil != math.MinInt64 || table.Epoch() == before || table.ChangedSince("t:x", before) {
		t.Error(v, trustUntil, ok)
	}
	goruntime.KeepAlive(c)
}

// race R2: a tag that nobody here has heard of may be invalidated while a load
// that will turn out to have it is running.
func TestChangesOfUnknownNamesAreRemembered(t *testing.T) {
	table := NewTable(anyNumber)
	before := table.Epoch()
	table.Change("t:unknown", false, true)
	if !table.ChangedSince("t:unknown", before) {
		t.Error("the change was forgotten")
	}
	if table.ChangedSince("t:unknown", table.Epoch()) {
		t.Error("it counts for loads that began after it")
	}
}

// The table is bounded by what refers to it, not by all names ever seen.
func TestUnusedCellsAreForgotten(t *testing.T) {
	table := NewTable(anyNumber)
	kept := table.Cell("kept")
	for i := range 10000 {
		table.Cell(fmt.Sprint("tag:", i))
	}
	deadline := time.Now().Add(20 * time.Second)
	for table.Len() > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d cells are left", table.Len())
		}
		goruntime.GC()
		goruntime.Gosched()
	}
	if table.Cell("kept") != kept {
		t.Error("a cell in use was forgotten")
	}
	goruntime.KeepAlive(kept)
}

// What was announced can no longer be stored by who began before.
func TestAnAnnouncementCountsBeforeTheChange(t *testing.T) {
	table := NewTable(anyNumber)
	before := table.Epoch()
	table.Announce("t:x")
	if !table.ChangedSince("t:x", before) || table.ChangedSince("t:x", table.Epoch()) {
		t.Error("the announcement counts for the wrong loads")
	}
}

// race R2: of a stamp that was first heard of during a load, nobody here knows what
// happened to it before.
func TestKnownSinceSaysWhichStampWasFirstUsedLater(t *testing.T) {
	table := NewTable(anyNumber)
	early, late := table.Cell("t:early"), table.Cell("t:late")
	if _, _, ok := early.Current(); ok || early.KnownSince(table.Known()) {
		t.Error("a cell without a stamp is known")
	}
	table.Provide(early, 1)
	known := table.Known()
	table.Learn(late, newRecord(), 1, table.Moment())
	if !early.KnownSince(known) || late.KnownSince(known) || !late.KnownSince(table.Known()) {
		t.Error("early and late are mixed up")
	}
}

func TestTrustIsGivenProlongedAndTaken(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	table.Prolong(c, 5, table.Epoch()) // nothing to trust
	table.Doubt(c)
	v := provide(table, c, 1)
	table.Provide(c, 9) // it has one
	if !c.Provided(v) || c.Provided(newValue()) {
		t.Error("who has a stamp is mixed up")
	}
	trusted := func(until int64) {
		t.Helper()
		got, trustUntil, ok := c.Current()
		if !ok || got != v || trustUntil != until {
			t.Errorf("%v until %d, %v; want until %d", got, trustUntil, ok, until)
		}
	}
	trusted(1)
	table.Prolong(c, 5, table.Epoch())
	trusted(5)
	table.Prolong(c, 3, table.Epoch())
	trusted(5)
	table.Doubt(c)
	trusted(math.MinInt64)
	table.Prolong(c, 5, table.Epoch())
	epoch := table.Epoch()
	table.Gap(true)
	trusted(math.MinInt64)
	if table.Epoch() == epoch {
		t.Error("what was found good is not looked at anew")
	}
	table.Prolong(c, 5, epoch) // whoever could not read it began before
	trusted(math.MinInt64)
	epoch = table.Epoch()
	table.Touch()
	if table.Epoch() == epoch || table.ChangedSince("t:x", epoch) {
		t.Error("a touch is no change, and moves the epoch")
	}
}

// Without a shared tier a change makes a half of its own, which is trusted.
func TestAChangeWithoutASharedTier(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	v := provide(table, c, math.MaxInt64)
	table.Change("t:x", true, false)
	got, trustUntil, _ := c.Current()
	if got.Delete != v.Delete || got.Expire == v.Expire || trustUntil != math.MaxInt64 {
		t.Errorf("%v until %d", got, trustUntil)
	}
	goruntime.KeepAlive(c)
}

// A stamp that was provided is one of this process until the shared tier tells another.
func TestAStampOfTheSharedTierIsNotProvided(t *testing.T) {
	table := NewTable(anyNumber)
	c := table.Cell("t:x")
	mine, theirs := provide(table, c, 1), newRecord()
	table.Doubt(c)
	if !c.Provided(mine) {
		t.Error("doubt has made it another's")
	}
	table.Learn(c, theirs, 1, table.Moment())
	if c.Provided(mine) || c.Provided(theirs.Value) {
		t.Error("what was learnt is provided")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(Record{Value: Value{1, 2}, Until: 3}.Bytes())
	f.Add(Record{Value: Value{1, 2}, Until: 3, History: 4}.Bytes())
	f.Add(make([]byte, recordSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, ok := Parse(data)
		if ok != (r.Delete != 0 && r.Expire != 0) || ok && string(r.Bytes()) != string(data) {
			t.Fatalf("%x was read as %v, %v", data, r, ok)
		}
	})
}
