package recovery

import (
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key(name string) Item { return Item{Target: Target{Key, name}, Shared: true, Tell: true} }

func names(items []Item) (names []string) {
	for _, it := range items {
		names = append(names, it.Name)
	}
	return names
}

func TestATargetIsThereOnceAndAsLateAsItsLastChange(t *testing.T) {
	var q Queue
	q.Add(key("a"), key("b"))
	q.Add(key("a"))
	if got := names(q.First(9)); !slices.Equal(got, []string{"b", "a"}) || q.Len() != 2 {
		t.Fatal(got, q.Len())
	}
	if got := names(q.First(1)); !slices.Equal(got, []string{"b"}) {
		t.Fatal(got)
	}
}

// race R29: what is to be deleted stays so, whatever else happens to it.
func TestADeleteIsNotWeakenedByAnExpire(t *testing.T) {
	for _, ages := range [][]bool{{true, false}, {false, true}, {false, false}, {true, true}} {
		var q Queue
		for _, age := range ages {
			it := key("a")
			it.Age = age
			q.Add(it)
		}
		if got := q.First(1)[0].Age; got != (ages[0] && ages[1]) {
			t.Errorf("%v: %v", ages, got)
		}
	}
	var q Queue
	aged := key("a")
	aged.Age = true
	q.Add(aged)
	q.Add(Item{Target: aged.Target, Tell: true})
	if !q.First(1)[0].Age {
		t.Error("an expiry became a deletion because somebody has to be told")
	}
}

func TestWhatWasAddedMeanwhileStays(t *testing.T) {
	var q Queue
	q.Add(key("a"), key("b"))
	first := q.First(9)
	q.Add(key("a"))
	q.Reached(0, first...)
	q.Told(first...)
	if got := names(q.First(9)); !slices.Equal(got, []string{"a"}) {
		t.Fatal(got)
	}
	if q.Holds(first[0]) || q.Holds(first[1]) {
		t.Error("an item is held that is done with, or has been added to")
	}
	if !q.Blocks(Target{Key, "a"}) || q.Blocks(Target{Key, "b"}) || q.Blocks(Target{DeleteStamp, "a"}) {
		t.Error("the wrong targets block")
	}
}

func TestALaterChangeMakesUpForTheSharedTierOnly(t *testing.T) {
	var q Queue
	q.Add(key("a"), Item{Target: Target{Key, "b"}, Shared: true})
	q.Overtaken(Target{Key, "a"}, Target{Key, "b"}, Target{Key, "c"})
	got := q.First(9)
	if len(got) != 1 || got[0].Name != "a" || got[0].Shared || !got[0].Tell {
		t.Fatal(got)
	}
	if q.Blocks(Target{Key, "a"}) {
		t.Error("it still blocks")
	}
}

func TestTheLimit(t *testing.T) {
	q := Queue{Max: 2}
	for range 2 {
		if !q.Add(key("a"), key("b")) {
			t.Fatal("targets that fit, or that are there, were refused")
		}
	}
	if q.Add(key("b"), key("c")) || q.Len() != 2 {
		t.Fatal("one too many was taken")
	}
	called := false
	q.Replace(Item{Target: Target{DeleteStamp, "s"}, Shared: true}, func() { called = true })
	if !called {
		t.Error("memory does not know of it")
	}
	if got := q.First(9); len(got) != 1 || got[0].Kind != DeleteStamp || q.Len() != 1 {
		t.Fatal(got)
	}
}

func TestDropsTellsWhoseValueHasToGo(t *testing.T) {
	var q Queue
	if q.Drops(Target{Key, "a"}) || q.Blocks(Target{Key, "a"}) {
		t.Error("an empty queue")
	}
	q.Overtaken(Target{Key, "a"})
	aged := key("aged")
	aged.Age = true
	q.Add(key("a"), aged, Item{Target: Target{Key, "told"}, Tell: true})
	if !q.Drops(Target{Key, "a"}) || q.Drops(Target{Key, "aged"}) || q.Drops(Target{Key, "told"}) {
		t.Error("the wrong ones drop")
	}
}
