package owner

import "testing"

type slices struct{ inner any }

func TestTheLastStoreReleases(t *testing.T) {
	a, b := new(int), new(int)
	Take(a)
	Take(a)
	Take(b)
	for i, test := range []struct {
		driver any
		last   bool
	}{{a, false}, {b, true}, {a, true}, {a, true}, {nil, true}} {
		if got := Release(test.driver); got != test.last {
			t.Errorf("release %d: %v", i, got)
		}
	}
	if len(counts) != 0 {
		t.Error(counts)
	}
}

func TestWhatCannotBeComparedIsNotCounted(t *testing.T) {
	for _, driver := range []any{nil, []int{1}, slices{[]int{1}}} {
		Take(driver)
		Take(driver)
		if !Release(driver) {
			t.Errorf("%v is counted", driver)
		}
	}
}
