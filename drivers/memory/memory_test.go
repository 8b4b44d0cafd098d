package memory

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	drivertest.L1(t, func(t *testing.T) drivers.L1 {
		d := New(Options{})
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	})
}

// fill sets more items than any budget here holds, and lets eviction finish.
func fill(d *Driver, n, size int) {
	for i := range n {
		d.Set(uint64(i), i, size)
	}
	d.items.CleanUp()
}

func TestMaxSizeBoundsTheSumOfSizes(t *testing.T) {
	d := New(Options{MaxSize: "1kb"})
	fill(d, 1000, 100)
	if n := d.Len(); n != 10 {
		t.Errorf("1kb holds %d items of 100 bytes, want 10", n)
	}
}

func TestMaxItemsBoundsTheCountWhateverTheSize(t *testing.T) {
	d := New(Options{MaxItems: 50})
	fill(d, 1000, 1<<40)
	if n := d.Len(); n != 50 {
		t.Errorf("%d items, want 50", n)
	}
}

func TestMaxSizeAndMaxItemsHoldTogether(t *testing.T) {
	small := New(Options{MaxSize: "1kb", MaxItems: 7})
	fill(small, 1000, 1)
	if n := small.Len(); n > 7 || n < 6 {
		t.Errorf("%d small items, want the item bound of 7 or one less", n)
	}
	large := New(Options{MaxSize: "1kb", MaxItems: 1000})
	fill(large, 1000, 512)
	if n := large.Len(); n != 2 {
		t.Errorf("%d items of half the budget, want 2", n)
	}
}

func TestABudgetBeyond32BitsIsKept(t *testing.T) {
	d := New(Options{MaxSize: "100gb"})
	fill(d, 1000, 1<<30)
	if n := d.Len(); n < 90 || n > 100 {
		t.Errorf("100gb holds %d items of 1gb", n)
	}
	d.Clear() // otherwise the policy may prefer what is there
	d.Set(1, "all", 100<<30)
	if got := d.Get(1); got != any("all") {
		t.Errorf("an item as large as the budget: %v", got)
	}
}

func TestItemAboveMaxEntrySizeIsDroppedWithTheOneItReplaces(t *testing.T) {
	d := New(Options{MaxSize: "1mb", MaxEntrySize: "100b"})
	d.Set(1, "old", 100)
	if got := d.Get(1); got != any("old") {
		t.Fatalf("an item of exactly MaxEntrySize: %v", got)
	}
	d.Set(1, "new", 101)
	if got := d.Get(1); got != nil {
		t.Errorf("after a too large Set: %v", got)
	}
}

func TestDefaultIsBounded(t *testing.T) {
	d := New(Options{})
	d.Set(1, "x", 101<<20)
	if got := d.Get(1); got != nil {
		t.Error("kept an item above the default budget")
	}
	if d.budget.weight != 100<<20 {
		t.Errorf("budget %d, want 100 MB", d.budget.weight)
	}
}

func TestUnusableOptionsAreReportedAndHarmless(t *testing.T) {
	for _, o := range []Options{
		{MaxSize: "100 potatoes"}, {MaxSize: "mb"}, {MaxSize: "-1mb"}, {MaxSize: "1.5gb"}, {MaxSize: "0"},
		{MaxSize: "9999999999tb"}, {MaxEntrySize: "huge"}, {MaxItems: -1}, {MaxSize: "1kb", MaxEntrySize: "2kb"},
	} {
		d := New(o)
		if d.Err() == nil {
			t.Errorf("%+v: accepted", o)
			continue
		}
		if !strings.HasPrefix(d.Err().Error(), "memory: Max") {
			t.Errorf("%+v: error does not name the option: %v", o, d.Err())
		}
		d.Set(1, "x", 1)
		if d.Get(1) != nil || d.Len() != 0 {
			t.Errorf("%+v: kept an item", o)
		}
		d.Delete(1)
		d.Clear()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWorksInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{MaxSize: "1kb"})
		fill(d, 10_000, 10)
		synctest.Wait() // what eviction started has ended
		d.Set(1, "x", 1)
		if d.Get(1) == nil {
			t.Error("lost the last item")
		}
	})
}

func TestGetDoesNotAllocate(t *testing.T) {
	d := New(Options{})
	d.Set(1, new(int), 8)
	if n := testing.AllocsPerRun(1000, func() { d.Get(1); d.Get(2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A tier says what it never keeps. What it keeps it has just after it was stored, however
// large, if nothing else is stored: admission does not turn it away.
func TestSetSaysWhatIsNeverKept(t *testing.T) {
	for _, test := range []struct {
		options Options
		largest int
	}{{Options{MaxSize: "1000b"}, 1000}, {Options{MaxSize: "1mb", MaxEntrySize: "100b"}, 100}, {Options{MaxItems: 10, MaxEntrySize: "100b"}, 100}} {
		d := New(test.options)
		for hash, size := range []int{1, test.largest / 2, test.largest} {
			if err := d.Set(uint64(hash), "item", size); err != nil || d.Get(uint64(hash)) == nil {
				t.Errorf("%+v: an item of %d bytes is not kept: %v", test.options, size, err)
			}
		}
		if err := d.Set(2, "item", test.largest+1); !errors.Is(err, drivers.ErrRefused) || d.Get(2) != nil {
			t.Errorf("%+v: an item that is too large: %v", test.options, err)
		}
		d.Close()
		if err := d.Set(1, "item", 1); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
