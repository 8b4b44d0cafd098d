package background

import (
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// take takes places for a function until there is none.
func take(w *Work, function string) (places []*Place) {
	for {
		p := w.Place(function)
		if !p.TryAcquire() {
			return places
		}
		places = append(places, p)
	}
}

func TestPlacesAreBoundedAndGivenBack(t *testing.T) {
	w := New(2)
	defer w.Cancel()
	for range 2 {
		a, b := w.Place("a"), w.Place("b")
		for _, place := range []*Place{a, a, b} {
			if !place.TryAcquire() {
				t.Fatal("no place")
			}
		}
		if w.Place("c").TryAcquire() {
			t.Fatal("a third place")
		}
		a.Release()
		a.Release()
		if a.Leave() || a.TryAcquire() {
			t.Fatal("it goes on after it has returned")
		}
		if c := w.Place("c"); !c.TryAcquire() {
			t.Fatal("the place was not given back")
		} else {
			c.Release()
		}
		b.Release()
	}
	if w.free != 2 || len(w.functions) != 0 {
		t.Errorf("%d free, %v", w.free, w.functions)
	}
}

func TestWithoutPlacesNothingRuns(t *testing.T) {
	w := New(0)
	defer w.Cancel()
	if w.Place("a").TryAcquire() {
		t.Fatal("it runs")
	}
}

// However many places a function could use, others find free ones.
func TestAFunctionHoldsNoMorePlacesThanItLeavesToOthers(t *testing.T) {
	for places, wanted := range map[int][]int{256: {128, 64, 32, 16, 8, 4, 2, 1}, 10: {5, 2, 1, 1, 1}, 3: {1, 1, 1}, 2: {1, 1}, 1: {1}} {
		w := New(places)
		for i, n := range wanted {
			if got := len(take(w, fmt.Sprint("function ", i))); got != n {
				t.Errorf("of %d places function %d got %d, want %d", places, i, got, n)
			}
		}
		w.Cancel()
	}
}

// What has been left behind takes no place from anyone, and too much of it none from its own
// function, until some has returned.
func TestWhatIsLeftBehindIsBounded(t *testing.T) {
	w := New(8)
	defer w.Cancel()
	mine := take(w, "a")
	for i, p := range mine {
		if last := p.Leave(); last != (i == w.MaxLeft()-1) {
			t.Errorf("place %d: %v", i, last)
		}
		if p.Leave() {
			t.Error("left twice")
		}
	}
	if use, tooMuch := mine[0].Use(); use != (Use{Left: w.MaxLeft()}) || !tooMuch || w.free != 8 {
		t.Errorf("%+v, %v, %d free", use, tooMuch, w.free)
	}
	if foreground := w.Place("b"); foreground.Leave() {
		t.Error("one load without a place is too much")
	} else if use, tooMuch := foreground.Use(); use != (Use{Left: 1}) || tooMuch {
		t.Errorf("%+v, %v", use, tooMuch)
	}
	if w.Place("a").TryAcquire() || mine[0].TryAcquire() {
		t.Error("the function still gets a place")
	}
	if n := len(take(w, "b")); n != 4 {
		t.Errorf("another function gets %d places", n)
	}
	mine[0].Release()
	if !w.Place("a").TryAcquire() {
		t.Error("the function gets no place although one has returned")
	}
}

func TestManyTakeAndGiveBack(t *testing.T) {
	w := New(5)
	defer w.Cancel()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				p := w.Place(fmt.Sprint(i % 3))
				if p.TryAcquire() && n%2 == 0 {
					p.Leave()
				}
				p.Release()
			}
		})
	}
	all.Wait()
	if w.free != 5 || len(w.functions) != 0 {
		t.Errorf("%d free, %v", w.free, w.functions)
	}
}
