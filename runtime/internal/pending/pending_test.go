package pending

import (
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key(name string) Item { return Item{Target: Target{Key, name}, Remote: true, Publish: true} }

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
			it.Expire = age
			q.Add(it)
		}
		if got := q.First(1)[0].Expire; got != (ages[0] && ages[1]) {
			t.Errorf("%v: %v", ages, got)
		}
	}
	var q Queue
	aged := key("a")
	aged.Expire = true
	q.Add(aged)
	q.Add(Item{Target: aged.Target, Publish: true})
	if !q.First(1)[0].Expire {
		t.Error("an expiry became a deletion because the others have to be told")
	}
}

func TestWhatWasAddedMeanwhileStays(t *testing.T) {
	var q Queue
	q.Add(key("a"), key("b"))
	first := q.First(9)
	q.Add(key("a"))
	q.Reached(first...)
	q.Published(first...)
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

func TestALaterChangeSupersedesWhatIsPendingInTheSharedTierOnly(t *testing.T) {
	var q Queue
	q.Add(key("a"), Item{Target: Target{Key, "b"}, Remote: true})
	q.Superseded(0, 0, Target{Key, "a"}, Target{Key, "b"}, Target{Key, "c"})
	got := q.First(9)
	if len(got) != 1 || got[0].Name != "a" || got[0].Remote || !got[0].Publish {
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
	q.Replace(Item{Target: Target{DeleteStamp, "s"}, Remote: true}, func() { called = true })
	if !called {
		t.Error("memory does not know of it")
	}
	if got := q.First(9); len(got) != 1 || got[0].Kind != DeleteStamp || q.Len() != 1 {
		t.Fatal(got)
	}
}

func TestDeletesSaysWhoseValueIsToGo(t *testing.T) {
	var q Queue
	if q.Deletes(Target{Key, "a"}) || q.Blocks(Target{Key, "a"}) {
		t.Error("an empty queue")
	}
	q.Superseded(0, 0, Target{Key, "a"})
	aged := key("aged")
	aged.Expire = true
	q.Add(key("a"), aged, Item{Target: Target{Key, "told"}, Publish: true})
	if !q.Deletes(Target{Key, "a"}) || q.Deletes(Target{Key, "aged"}) || q.Deletes(Target{Key, "told"}) {
		t.Error("the wrong ones are to be deleted")
	}
}

// An earlier write of the entry may take effect until a time. Nothing that happens
// before makes up for the delete at that time.
func TestARedeleteStaysUntilItsTime(t *testing.T) {
	var q Queue
	a := Target{Key, "a"}
	q.Add(key("a"), Item{Target: Target{Redelete, "a"}, Remote: true, After: 100})
	q.Superseded(0, 0, a)
	q.Published(q.First(1)...)
	items := q.First(9)
	if len(items) != 1 || items[0].Kind != Redelete || items[0].Due(99) || !items[0].Due(100) {
		t.Fatal(items)
	}
	if !q.Blocks(a) || !q.Deletes(a) || q.Blocks(Target{DeleteStamp, "a"}) {
		t.Fatal("the entry is read, or expired, before it has been deleted again")
	}
	q.Add(Item{Target: Target{Redelete, "a"}, Remote: true, After: 50})
	if it := q.First(1)[0]; it.After != 100 {
		t.Fatal("an earlier time replaces a later one", it)
	}
	q.Reached(q.First(1)...)
	if q.Len() != 0 {
		t.Fatal(q.First(1))
	}
}

func TestAChangeSupersedesARedeleteThatWasDue(t *testing.T) {
	var q Queue
	key, redelete := Target{Key, "a"}, Target{Redelete, "a"}
	q.Add(Item{Target: redelete, Remote: true, Publish: true, After: 10})
	q.Superseded(0, 9, key)
	if !q.Blocks(key) {
		t.Error("what was in doubt may come after the change")
	}
	q.Superseded(0, 10, key)
	if it := q.First(1); q.Blocks(key) || len(it) != 1 || it[0].Remote || !it[0].Publish {
		t.Errorf("%+v", it)
	}
}

// race R56: a change that takes long makes up for what began before it, not for what began
// meanwhile and is pending when it ends.
func TestAChangeDoesNotMakeUpForOneThatBeganLater(t *testing.T) {
	target := Target{Key, "a"}
	var q Queue
	q.Add(Item{Target: target, Remote: true, Order: 2})
	q.Add(Item{Target: target, Remote: true, Order: 1})
	if q.Superseded(1, 0, target); !q.Blocks(target) {
		t.Error("an older change made up for a younger one")
	}
	if q.Superseded(2, 0, target); q.Blocks(target) {
		t.Error("a change does not make up for itself")
	}
}

// Names may be long: what the queue holds has a bound in bytes, too.
func TestTheLimitOfBytes(t *testing.T) {
	q := Queue{MaxBytes: 10}
	if !q.Add(key("aaaa"), key("bbbb")) || q.Add(key("cccc")) || !q.Add(key("aaaa")) || !q.Add(key("cc")) {
		t.Error("the names of what is added are not counted")
	}
	items := q.First(9)
	q.Reached(items...)
	if q.Add(key("dd")) {
		t.Error("what is still to be published does not count")
	}
	q.Published(q.First(9)...)
	if q.Len() != 0 || !q.Add(key("0123456789")) {
		t.Error("what is done counts")
	}
	q.Replace(key("all"), func() {})
	if !q.Add(key("1234567")) || q.Add(key("1")) {
		t.Error("what was replaced counts")
	}
}
