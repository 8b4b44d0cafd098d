package drivertest

import (
	"maps"
	"math"
	"sync"
	"testing"

	"github.com/cachegen/cachegen/drivers"
)

// L1 tests a memory tier, with all capabilities that it has. The tier must have room for a
// hundred items of one byte.
func L1(t *testing.T, open func(t *testing.T) drivers.L1) {
	t.Run("AbsentIsNil", func(t *testing.T) {
		if got := open(t).Get(1); got != nil {
			t.Errorf("got %v from an empty tier", got)
		}
	})
	t.Run("SetGetDelete", func(t *testing.T) { l1SetGetDelete(t, open(t)) })
	t.Run("KeepsTheItemItself", func(t *testing.T) {
		l1 := open(t)
		item := new(int)
		l1.Set(7, item, 1)
		if got := l1.Get(7); got != any(item) {
			t.Errorf("got %v, want the same pointer", got)
		}
	})
	t.Run("ExtremeHashes", func(t *testing.T) {
		l1 := open(t)
		for _, hash := range []uint64{0, 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
			l1.Set(hash, hash, 1)
			if got := l1.Get(hash); got != any(hash) {
				t.Errorf("hash %d: got %v", hash, got)
			}
		}
	})
	t.Run("ClearRemovesEverything", func(t *testing.T) { l1Clear(t, open(t)) })
	t.Run("UnwantedItemTakesTheOldOneAlong", func(t *testing.T) {
		l1 := open(t)
		l1.Set(1, "old", 1)
		l1.Set(1, "new", math.MaxInt)
		if got := l1.Get(1); got == any("old") {
			t.Error("the replaced item is still there")
		}
	})
	t.Run("OwnWritesAreSeen", func(t *testing.T) { l1OwnWrites(t, open(t)) })
	t.Run("InstancesAreIsolated", func(t *testing.T) {
		a, b := open(t), open(t)
		a.Set(1, "a", 1)
		if got := b.Get(1); got != nil {
			t.Errorf("another instance has %v", got)
		}
		b.Clear()
		if got := a.Get(1); got != any("a") {
			t.Errorf("after another instance's Clear: %v", got)
		}
	})
	if _, ok := drivers.RangerOf(open(t)); ok {
		t.Run("RangeListsWhatIsThere", func(t *testing.T) { l1Range(t, open(t)) })
	}
	t.Run("CloseTwice", func(t *testing.T) { l1Close(t, open(t)) })
	t.Run("NothingSurvivesCloseDuringSets", func(t *testing.T) { l1CloseDuringSets(t, open(t)) })
}

func l1SetGetDelete(t *testing.T, l1 drivers.L1) {
	l1.Delete(1)
	l1.Set(1, "one", 1)
	l1.Set(2, "two", 1)
	l1.Set(1, "uno", 1)
	if got := l1.Get(1); got != any("uno") {
		t.Errorf("after the second Set: %v", got)
	}
	eventually(t, "Len counts 2", func() bool { return l1.Len() == 2 })
	l1.Delete(1)
	if got := l1.Get(1); got != nil {
		t.Errorf("after Delete: %v", got)
	}
	if got := l1.Get(2); got != any("two") {
		t.Errorf("Delete of another hash: %v", got)
	}
}

func l1Clear(t *testing.T, l1 drivers.L1) {
	const n = 100
	for i := range uint64(n) {
		l1.Set(i, i, 1)
	}
	l1.Clear()
	for i := range uint64(n) {
		if got := l1.Get(i); got != nil {
			t.Fatalf("item %d after Clear: %v", i, got)
		}
	}
	eventually(t, "Len is 0 after Clear", func() bool { return l1.Len() == 0 })
	l1.Set(1, "again", 1)
	if got := l1.Get(1); got != any("again") {
		t.Errorf("Set after Clear: %v", got)
	}
}

func l1Range(t *testing.T, l1 drivers.L1) {
	ranger := mustHave(drivers.RangerOf(l1))
	for hash := range uint64(5) {
		l1.Set(hash, hash, 1)
	}
	l1.Set(1, "one", 1)
	l1.Delete(2)
	found := make(map[any]int)
	ranger.Range(func(item any) bool {
		found[item]++
		l1.Len() // f may use the tier
		return true
	})
	if want := map[any]int{uint64(0): 1, "one": 1, uint64(3): 1, uint64(4): 1}; !maps.Equal(found, want) {
		t.Errorf("items and how often each was listed: %v, want %v", found, want)
	}
	calls := 0
	ranger.Range(func(any) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("%d calls, want none after f has returned false", calls)
	}
}

// l1OwnWrites: eviction may remove an item, but never bring back an earlier one.
func l1OwnWrites(t *testing.T, l1 drivers.L1) {
	const writers, rounds = 8, 2000
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			for i := range rounds {
				hash := w<<32 | uint64(i%64)
				l1.Set(hash, i, 1)
				if got := l1.Get(hash); got != nil && got != any(i) {
					t.Errorf("after Set %d: %v", i, got)
					return
				}
				l1.Get(uint64(i % 64))
				if i%3 == 0 {
					l1.Delete(hash)
					if got := l1.Get(hash); got != nil {
						t.Errorf("after Delete: %v", got)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func l1Close(t *testing.T, l1 drivers.L1) {
	l1.Set(1, "one", 1)
	must(t, "Close", l1.Close())
	if got := l1.Get(1); got != nil {
		t.Errorf("Get after Close: %v", got)
	}
	l1.Set(2, "two", 1)
	if got := l1.Get(2); got != nil {
		t.Errorf("Set after Close was kept: %v", got)
	}
	l1.Delete(2)
	l1.Clear()
	must(t, "second Close", l1.Close())
}

func l1CloseDuringSets(t *testing.T, l1 drivers.L1) {
	const n = 1000
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			for i := range uint64(n) {
				l1.Set(w*n+i, i, 1)
			}
		})
	}
	must(t, "Close", l1.Close())
	wg.Wait()
	for i := range uint64(4 * n) {
		if got := l1.Get(i); got != nil {
			t.Fatalf("item %d outlived Close: %v", i, got)
		}
	}
}
