package recovery

import "testing"

// What may still land has to go once more, however often it has gone before.
func TestALateItemIsDoneOnlyWhenNothingCanLand(t *testing.T) {
	var q Queue
	late := Item{Target: Target{Key, "a"}, Late: 100}
	q.Add(key("a"), late)
	it := q.First(1)[0]
	if !it.Due(50) || it.Last(99) || !it.Last(100) {
		t.Fatal(it)
	}
	q.Told(it)
	q.Reached(99, it)
	q.Overtaken(it.Target)
	if it = q.First(1)[0]; it.Due(99) || !it.Due(100) || !q.Blocks(it.Target) || !q.Drops(it.Target) {
		t.Fatal(it)
	}
	q.Reached(100, it)
	if q.Len() != 0 {
		t.Fatal(q.First(1))
	}
}
