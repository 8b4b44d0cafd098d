package stamp

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"
)

func TestParseInvertsBytes(t *testing.T) {
	half := Half()
	if got, ok := Parse(Bytes(half)); !ok || got != half {
		t.Fatal(got, ok)
	}
	for _, b := range [][]byte{nil, {}, {1}, make([]byte, 8), make([]byte, 9)} {
		if _, ok := Parse(b); ok {
			t.Errorf("%v was accepted", b)
		}
	}
}

func TestAStampIsNeverMadeTwice(t *testing.T) {
	seen := map[uint64]bool{}
	for range 10000 {
		v := New()
		if seen[v.Delete] || seen[v.Expire] || v.Delete == 0 || v.Expire == 0 {
			t.Fatal("a half came again")
		}
		seen[v.Delete], seen[v.Expire] = true, true
	}
}

// What is read from the shared tier while the stamp changes here is the older one.
func TestLearnDoesNotUndoAChange(t *testing.T) {
	table := NewTable()
	c := table.Cell("t:x")
	old := New()
	table.Learn(c, old, 1, table.Epoch())
	epoch := table.Epoch() // a read of the shared tier begins
	table.Change("t:x", false, true)
	if table.Learn(c, old, 2, epoch) {
		t.Error("the older stamp was accepted")
	}
	if v, trustUntil, _ := c.Current(); v.Delete == old.Delete || v.Expire != old.Expire || trustUntil != math.MinInt64 {
		t.Errorf("got %v until %d, want one changed half, to be read before it is used", v, trustUntil)
	}
}

func TestLearningAnotherStampMovesTheEpoch(t *testing.T) {
	table := NewTable()
	c := table.Cell("t:x")
	v := New()
	table.Learn(c, v, 1, table.Epoch())
	before := table.Epoch()
	table.Learn(c, v, 2, before)
	if table.Epoch() != before {
		t.Error("the same stamp moved the epoch")
	}
	table.Learn(c, New(), 3, before)
	if table.Epoch() == before || !table.ChangedSince("t:x", before) {
		t.Error("another stamp did not")
	}
}

// race R2: a tag that nobody here has heard of may be invalidated while a load
// that will turn out to have it is running.
func TestChangesOfUnknownNamesAreRemembered(t *testing.T) {
	table := NewTable()
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
	table := NewTable()
	kept := table.Cell("kept")
	for i := range 10000 {
		table.Cell(fmt.Sprint("tag:", i))
	}
	deadline := time.Now().Add(20 * time.Second)
	for table.Len() > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d cells are left", table.Len())
		}
		runtime.GC()
		runtime.Gosched()
	}
	if table.Cell("kept") != kept {
		t.Error("a cell in use was forgotten")
	}
	runtime.KeepAlive(kept)
}
