package shapes

import (
	"bytes"
	"reflect"
	goruntime "runtime"
	"slices"
	"testing"

	"github.com/cachegen/cachegen/generated_test/shapes/other"
	"github.com/cachegen/cachegen/runtime/wire"
)

// allocatedBy returns how many bytes f allocates.
func allocatedBy(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// many is an array of n values that are all the same bytes.
func many(n int, value ...byte) []byte {
	head := []byte{0xdd, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(head, bytes.Repeat(value, n)...)
}

// What grows while bytes are decoded is paid for by the bytes: one of them is not a whole
// struct, behind a pointer, in a slice or in a map.
func TestABytePaysForAFewWords(t *testing.T) {
	const n = 100_000
	field := func(name string, value []byte) []byte {
		return slices.Concat([]byte{0x81, 0xa0 | byte(len(name))}, []byte(name), value)
	}
	entries := []byte{0xdf, 0, 0, 0x80, 0}
	for i := range 0x8000 {
		entries = append(entries, 0xa2, byte(i>>8), byte(i), 0x80)
	}
	for name, test := range map[string]struct {
		data []byte
		read func([]byte) error
	}{
		"structs in a slice":        {many(n, 0x80), reader(taggedSliceFuncs)},
		"structs in a field":        {field("Children", many(n, 0x80)), reader(nodeFuncs)},
		"structs behind pointers":   {field("Other", field("Nodes", many(n, 0x80))), reader(nodeFuncs)},
		"structs in a map":          {field("ByName", entries), reader(nodeFuncs)},
		"by the default codec":      {many(n, 0x80), readAny[[]Everything]},
		"by it, behind pointers":    {many(n, 0x80), readAny[[]*Everything]},
		"by it, in a map":           {entries, readAny[map[string]Everything]},
		"by it, in arrays":          {many(1000, 0x90), readAny[[][1 << 20]int]},
		"by it, an array from none": {[]byte{0x90}, readAny[[1 << 20]int]},
	} {
		var err error
		// Making room for what grows takes more than what there is in the end.
		if n := allocatedBy(func() { err = test.read(test.data) }); n > 200*uint64(len(test.data))+16<<10 {
			t.Errorf("%s: %d bytes allocated for %d, error %v", name, n, len(test.data), err)
		}
	}
}

func readAny[V any](data []byte) error {
	return wire.Read(reflect.TypeFor[V](), data, func(d *wire.Decoder) { d.Reflect(new(V)) })
}

// hollow is large, and little of it is written.
type hollow struct {
	ID    int             `msgpack:",omitempty"`
	Table map[string]bool `msgpack:",omitempty"`
	Inner *hollow         `msgpack:",omitempty"`
	Lines [100]struct {
		Text string `msgpack:",omitempty"`
		Any  any    `msgpack:",omitempty"`
	}
	hidden [1000]int //lint:ignore U1000 it makes the type large, and is not written
}

// What was written is read, also if it is large and next to nothing of it is written: the
// budget of a reader is never too small for it.
func TestWhatIsWrittenIsWithinTheBudget(t *testing.T) {
	zero := func(n int, read func([]byte) error, write func() ([]byte, error)) {
		t.Helper()
		data, err := write()
		if err != nil {
			t.Fatal(err)
		}
		if err := read(data); err != nil {
			t.Errorf("%d elements in %d bytes: %v", n, len(data), err)
		}
	}
	for _, n := range []int{0, 1, 10, 3000} {
		zero(n, reader(taggedSliceFuncs), func() ([]byte, error) { return wire.Marshal(make([]Tagged, n), taggedSliceFuncs.Encode) })
		node := &Node{Children: make([]Node, n), ByName: map[string]*Node{}, Other: &Mutual{Nodes: make([]*Node, n)}}
		for i := range node.Other.Nodes {
			node.Other.Nodes[i] = &Node{}
			node.ByName[string(rune(i))] = node.Other.Nodes[i]
		}
		zero(n, reader(nodeFuncs), func() ([]byte, error) { return wire.Marshal(node, nodeFuncs.Encode) })
		containers := Containers{}
		fillSlices(reflect.ValueOf(&containers).Elem(), n)
		zero(n, reader(containersFuncs), func() ([]byte, error) { return wire.Marshal(containers, containersFuncs.Encode) })

		zero(n, readAny[[]hollow], write(make([]hollow, n)))
		zero(n, readAny[[]*hollow], write(slices.Repeat([]*hollow{{Table: map[string]bool{}, Inner: &hollow{}}}, n)))
		zero(n, readAny[[]map[string]any], write(slices.Repeat([]map[string]any{{"": map[string]any{}}}, n)))
		zero(n, readAny[any], write[any](slices.Repeat([]any{[]any{map[string]any{"": "x"}}}, n)))
		zero(n, readAny[[]map[int8]hollow], write(slices.Repeat([]map[int8]hollow{{1: {}}}, n)))
		zero(n, readAny[[]Everything], write(make([]Everything, n)))
		zero(n, readAny[[][]string], write(make([][]string, n)))
		zero(n, readAny[[]**[]string], write(slices.Repeat([]**[]string{new(*[]string)}, n)))
		zero(n, readAny[[]*other.Odd], write(slices.Repeat([]*other.Odd{{}}, n)))
		zero(n, readAny[[]Embedding], write(make([]Embedding, n)))
	}
}

func write[V any](v V) func() ([]byte, error) {
	return func() ([]byte, error) { return wire.MarshalAny(reflect.TypeFor[V](), &v) }
}

// fillSlices gives the slices of a struct n zero elements, and its maps an entry.
func fillSlices(v reflect.Value, n int) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), n, n))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
			f.SetMapIndex(reflect.Zero(f.Type().Key()), reflect.Zero(f.Type().Elem()))
		}
	}
}
