package shapes

import (
	"reflect"
	goruntime "runtime"
	"testing"
	"unsafe"
)

// heap is how many bytes a value that make returns keeps alive, on average of n.
func heap[V any](n int, make func() V) int {
	kept := several(n, make)
	var before, after goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&after)
	goruntime.KeepAlive(kept)
	kept = nil
	goruntime.GC()
	goruntime.ReadMemStats(&before)
	return int(after.HeapAlloc-before.HeapAlloc) / n
}

func several[V any](n int, make func() V) []V {
	var list []V
	for range n {
		list = append(list, make())
	}
	return list
}

func wantSize[V any](t *testing.T, name string, value *valueFuncs[V], make func() V) {
	t.Helper()
	v := make()
	estimate := int(unsafe.Sizeof(v))
	if value.Size != nil {
		estimate += value.Size(v)
	}
	measured := heap(200, make)
	if estimate < measured/2 || estimate > measured*2 {
		t.Errorf("%s: the size is %d, and %d on the heap", name, estimate, measured)
	}
}

// A size is within a factor of two of what the heap needs.
func TestSizes(t *testing.T) {
	wantSize(t, "large", containersFuncs, func() Containers { return *customers() })
	wantSize(t, "small", embeddingFuncs, order)
	wantSize(t, "a cycle", nodeFuncs, cycle)
	for _, n := range []int{1, 7, 9, 100, 1000, 5000} {
		wantSize(t, "a map", sparseByStringFuncs, func() map[string]*Sparse {
			m := map[string]*Sparse{}
			for i := range n {
				m[string(rune(1000+i))] = nil
			}
			return m
		})
	}
	random := newSource(1)
	wantRandomSize(t, "everything", everythingFuncs, random)
	wantRandomSize(t, "marshaling", marshalingFuncs, random)
	wantRandomSize(t, "foreign", foreignFuncs, random)
	wantRandomSize(t, "node", nodeFuncs, random)
	wantRandomSize(t, "page", pageItemFuncs, random)
	wantRandomSize(t, "tagged", taggedSliceFuncs, random)
	wantRandomSize(t, "shadowing", shadowingFuncs, random)
}

// wantRandomSize is wantSize for the sum of many random values.
func wantRandomSize[V any](t *testing.T, name string, value *valueFuncs[V], s *source) {
	t.Helper()
	const n = 300
	list := several(n, func() (v V) {
		s.fill(reflect.ValueOf(&v).Elem(), 0, false)
		return v
	})
	estimate := 0
	for _, v := range list {
		estimate += int(unsafe.Sizeof(v)) + value.Size(v)
	}
	copies := heap(10, func() []V {
		all := make([]V, n)
		for i := range list {
			all[i] = value.Copy(list[i])
		}
		return all
	})
	if estimate < copies/2 || estimate > copies*2 {
		t.Errorf("%s: the sizes are %d together, and %d on the heap", name, estimate, copies)
	}
}

// What two pointers share is two things in a copy, but of a recursive type, where it
// could be a cycle, it stays one. Neither is what it was in the original.
func TestPointersToOneThing(t *testing.T) {
	item := &Item{ID: 1, Tags: []string{"a"}}
	c := containersFuncs.Copy(Containers{Links: []*Item{item, item}})
	if c.Links[0] == item || c.Links[0] == c.Links[1] || !reflect.DeepEqual(c.Links[0], item) || !reflect.DeepEqual(c.Links[1], item) {
		t.Errorf("got %+v, %+v", c.Links[0], c.Links[1])
	}
	node := &Node{Name: "twice"}
	n := nodeFuncs.Copy(&Node{Next: node, ByName: map[string]*Node{"a": node}})
	if n.Next == node || n.Next != n.ByName["a"] || n.Next.Name != "twice" {
		t.Errorf("got %+v, %+v", n.Next, n.ByName["a"])
	}
}

// Values without references need no copy function, nor do those that callers share.
func TestNoCopyWithoutNeed(t *testing.T) {
	if uint16Funcs.Copy != nil || timeFuncs.Copy != nil || uint16Funcs.Size != nil || timeFuncs.Size != nil {
		t.Error("values without references are copied or measured")
	}
	if guardedFuncs.Copy != nil {
		t.Error("a shared value is copied")
	}
}
