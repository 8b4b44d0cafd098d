package shapes

import (
	"bytes"
	"math"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/cachegen/cachegen/runtime/wire"
)

// cycle is a node that holds itself in every way.
func cycle() *Node {
	n := &Node{Name: "root"}
	n.Next = &Node{Name: "next", Next: n}
	n.Back = &n.Next
	n.ByName = map[string]*Node{"root": n}
	n.Tree = Tree{"a": nil}
	n.Tree["a"] = n.Tree
	n.Children = make([]Node, 1)
	n.Children[0].Children = n.Children
	n.Other = &Mutual{Nodes: []*Node{n}}
	n.Other.Pages.Items = []*Mutual{n.Other}
	return n
}

// A cycle stays a cycle when it is copied, is measured once, and is not encoded.
func TestCycles(t *testing.T) {
	in := cycle()
	out := nodeFuncs.Copy(in)
	if out == in || out.Next.Next != out || out.ByName["root"] != out || out.Other.Nodes[0] != out || out.Other.Pages.Items[0] != out.Other {
		t.Errorf("the copy is %+v", out)
	}
	if &out.Children[0] == &in.Children[0] || &out.Children[0].Children[0] != &out.Children[0] {
		t.Error("the slice that holds itself is not copied as one")
	}
	if reflect.ValueOf(out.Tree["a"]).Pointer() != reflect.ValueOf(out.Tree).Pointer() {
		t.Error("the map that holds itself is not copied as one")
	}
	if n := nodeFuncs.Size(in); n < 400 || n > 4000 {
		t.Errorf("its size is %d", n)
	}
	if _, err := wire.Marshal(in, nodeFuncs.Encode); err == nil || !strings.Contains(err.Error(), "cycle") {
		t.Errorf("encoding it: %v", err)
	}
	list := List{nil}
	list[0] = list
	if again := listFuncs.Copy(list); &again[0] != &again[0][0] || &again[0] == &list[0] || listFuncs.Size(list) != listFuncs.Size(again) {
		t.Errorf("the list is copied as %p, %p", again, again[0])
	}
}

func TestDepth(t *testing.T) {
	chain := func(n int) *Node { // of values in each other: the last node holds a tree
		var node *Node
		for range n - 1 {
			node = &Node{Next: node}
		}
		return node
	}
	data, err := wire.Marshal(chain(wire.MaxDepth), nodeFuncs.Encode)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal(data, nodeFuncs.Decode); err != nil {
		t.Error(err)
	}
	if _, err := wire.Marshal(chain(wire.MaxDepth+1), nodeFuncs.Encode); err == nil {
		t.Error("a value that is nested too deep is encoded")
	}
}

// nested is n arrays of one element in each other, without an end.
func nested(n int) []byte { return bytes.Repeat([]byte{0x91}, n) }

// Bytes that begin a million of nested values are an error, wherever they are read:
// the stack does not grow with them.
func TestHostileDepth(t *testing.T) {
	const million = 1 << 20
	field := func(name string) []byte {
		data, _ := msgpack.Marshal(name)
		return append([]byte{0x81}, data...)
	}
	for name, data := range map[string][]byte{
		"in lists":         nested(million),
		"in an old field":  append(field("Gone"), nested(million)...),
		"in maps":          bytes.Repeat(append(field("Tree"), 0x81, 0xa0), million),
		"in own methods":   append(field("Blob"), nested(million)...),
		"in msgpack's own": append(field("Odd"), nested(million)...),
		"in fields":        bytes.Repeat(field("Next"), million),
	} {
		for _, subject := range subjects {
			if err := subject.read(data); err == nil {
				t.Errorf("%s: %s is read", name, subject.name)
			}
		}
	}
}

// Lengths that are not there cost no memory.
func TestHostileLengths(t *testing.T) {
	many := []byte{0xdd, 0x7f, 0xff, 0xff, 0xff}
	manyKeys := []byte{0xdf, 0x7f, 0xff, 0xff, 0xff}
	long := []byte{0xc6, 0x7f, 0xff, 0xff, 0xff}
	ext := []byte{0xc9, 0x7f, 0xff, 0xff, 0xff, 0xff}
	for _, subject := range subjects {
		for _, head := range [][]byte{many, manyKeys, long, ext} {
			for _, field := range []string{"", "Names", "ByName", "Raw", "S", "At", "Items", "JSON", "Blob", "Money", "Odd", "Gone"} {
				data := head
				if field != "" {
					name, _ := msgpack.Marshal(field)
					data = append(append([]byte{0x81}, name...), head...)
				}
				var before, after goruntime.MemStats
				goruntime.ReadMemStats(&before)
				err := subject.read(data)
				goruntime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 || err == nil {
					t.Errorf("%s, %q, %x: %d bytes allocated, error %v", subject.name, field, head, n, err)
				}
			}
		}
	}
}

// Nor do they if each of many nested values says so, as one of them alone might.
func TestHostileNestedLengths(t *testing.T) {
	const tail = 1 << 20
	head := func(code byte) []byte { return []byte{code, 0, 0x10, 0, 0} } // a million, or as many as there are bytes
	next, _ := msgpack.Marshal("Next")
	children, _ := msgpack.Marshal("Children")
	empty, _ := msgpack.Marshal("")
	for name, test := range map[string]struct {
		level  []byte
		levels int
		read   func([]byte) error
	}{
		"lists":  {head(0xdd), 300, reader(listFuncs)},
		"trees":  {slices.Concat(head(0xdf), empty), 300, reader(treeFuncs)},
		"slices": {slices.Concat([]byte{0x81}, children, head(0xdd)), 300, reader(nodeFuncs)},
		"fields": {slices.Concat([]byte{0xdf, 0, 0x08, 0, 0}, next), 5000, reader(nodeFuncs)},
	} {
		data := slices.Concat(bytes.Repeat(test.level, test.levels), bytes.Repeat([]byte{0xc1}, 2*tail))
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		start := time.Now()
		err := test.read(data)
		took := time.Since(start)
		goruntime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 20*uint64(len(data)) || err == nil {
			t.Errorf("%s: %d bytes allocated for %d, error %v", name, n, len(data), err)
		}
		if took > 5*time.Second { // a loop for what each level says it has would take minutes
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func reader[V any](value *valueFuncs[V]) func([]byte) error {
	return func(data []byte) error {
		_, err := wire.Unmarshal(data, value.Decode)
		return err
	}
}

// A wrong element ends a long slice: the others are not made.
func TestAnErrorEndsASlice(t *testing.T) {
	data := append([]byte{0xdd, 0, 0x10, 0, 0}, bytes.Repeat([]byte{0xc3}, 1<<20)...) // a million of true
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	_, err := wire.Unmarshal(data, taggedSliceFuncs.Decode)
	goruntime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 10*uint64(len(data)) || err == nil {
		t.Errorf("%d bytes allocated for %d, error %v", n, len(data), err)
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	for field, values := range map[string][]any{
		"I8": {128, -129, uint64(math.MaxUint64), nil, "1", 1.5}, "I64": {uint64(math.MaxInt64) + 1}, "I16": {1 << 15}, "I32": {int64(1) << 31},
		"U8": {256, -1}, "U16": {1 << 16, -1}, "U32": {int64(1) << 32, -1}, "U64": {-1, int64(math.MinInt64)}, "U": {-1},
		"B": {1, nil}, "S": {nil, 1}, "Level": {1 << 15}, "Hash": {"123", "12345", nil},
	} {
		for _, value := range values {
			data, err := msgpack.Marshal(map[string]any{field: value})
			if err != nil {
				t.Fatal(err)
			}
			if v, err := wire.Unmarshal(data, everythingFuncs.Decode); err == nil {
				t.Errorf("%s: %v is read as %+v", field, value, v)
			}
		}
	}
}

func TestNotANumberAsAKey(t *testing.T) {
	in := Containers{ByFloat: map[float64]Digit{math.NaN(): 1, 2: 3}}
	in.ByFloat[math.NaN()] = 4
	data, err := wire.Marshal(in, containersFuncs.Encode)
	if err != nil {
		t.Fatal(err)
	}
	out, err := wire.Unmarshal(data, containersFuncs.Decode)
	if err != nil || len(out.ByFloat) != 3 || len(containersFuncs.Copy(in).ByFloat) != 3 {
		t.Errorf("got %v, %v", out.ByFloat, err)
	}
}

func TestOmitted(t *testing.T) {
	encoded := func(v Tagged) (fields map[string]any) {
		data, err := wire.Marshal([]Tagged{v}, taggedSliceFuncs.Encode)
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]any
		if err := msgpack.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	for _, field := range []string{"z", "None", "Map", "p", "At", "On", "Text"} {
		if _, ok := encoded(Tagged{})[field]; ok {
			t.Errorf("%s is written although it is zero", field)
		}
	}
	fields := encoded(Tagged{None: []int{}, Map: map[string]int{}, Ptr: &Item{}})
	for _, field := range []string{"None", "Map", "p"} {
		if _, ok := fields[field]; !ok {
			t.Errorf("%s is left out although it is not nil", field)
		}
	}
}

func TestAnAliasIsRead(t *testing.T) {
	data, err := msgpack.Marshal([]map[string]any{{"oldtext": "a", "Gone": []int{1}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.Unmarshal(data, taggedSliceFuncs.Decode)
	if err != nil || got[0].Text != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
}
