package runtime_test

import (
	"bytes"
	"errors"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

type link struct {
	Name string
	Next *link
	Any  any
}

// allocatedBy returns how many bytes f allocates.
func allocatedBy(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func readBy[V any](data []byte) error {
	var v V
	return runtime.MsgPack().Unmarshal(data, &v)
}

// What lies in the shared tier may have been written by anyone. Lengths that are not there
// cost no memory, and values in each other without an end do not fill the stack: running out
// of either ends the process.
func TestHostileBytesEndNoProcess(t *testing.T) {
	const million = 1 << 20
	for _, head := range [][]byte{
		{0xdd, 0xee, 0x6b, 0x28, 0x00}, {0xdf, 0xee, 0x6b, 0x28, 0x00}, {0xc6, 0xee, 0x6b, 0x28, 0x00}, {0xdb, 0xee, 0x6b, 0x28, 0x00},
		{0xc9, 0xee, 0x6b, 0x28, 0x00, 0xff}, {0xdc, 0xff, 0xff}, {0xde, 0xff, 0xff},
	} {
		for _, data := range [][]byte{
			head, append(bytes.Clone(head), make([]byte, 94)...), append([]byte{0x91}, head...), append([]byte("\x81\xa3Any"), head...),
			append([]byte("\x81\xa4Name"), head...), append([]byte("\x81\xa4Gone"), head...),
			bytes.Repeat(head, 100_000), bytes.Repeat([]byte{0x91}, million), bytes.Repeat([]byte{0x81, 0xa0}, million),
			bytes.Repeat([]byte("\x81\xa4Next"), million), bytes.Repeat([]byte("\x81\xa3Any"), million),
		} {
			for name, read := range map[string]func([]byte) error{
				"[]int": readBy[[]int], "[]string": readBy[[]string], "[]any": readBy[[]any], "any": readBy[any], "[]byte": readBy[[]byte],
				"string": readBy[string], "map[string]string": readBy[map[string]string], "map[string]any": readBy[map[string]any],
				"map[int][]int": readBy[map[int][]int], "link": readBy[link], "*link": readBy[*link], "[]link": readBy[[]link], "[4]int": readBy[[4]int],
				"time.Time": readBy[time.Time],
			} {
				var err error
				if n := allocatedBy(func() { err = read(data) }); n > 2*uint64(len(data))+100<<10 || err == nil {
					t.Errorf("%s from %.20x, %d bytes: %d bytes allocated, error %v", name, data, len(data), n, err)
				}
			}
		}
	}
}

// A value that holds itself, or is nested without an end, is not written: it would fill the
// stack.
func TestValuesWithoutAnEndAreNotWritten(t *testing.T) {
	ring := &link{Name: "ring"}
	ring.Next = ring
	list := []any{nil}
	list[0] = list
	table := map[string]any{}
	table["self"] = table
	var chain *link
	for range 3_000_000 {
		chain = &link{Next: chain}
	}
	for name, v := range map[string]any{"ring": ring, "list": &list, "map": table, "chain": chain, "through an interface": &link{Any: ring}} {
		if _, err := runtime.MsgPack().Marshal(v); err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	data, err := runtime.MsgPack().Marshal(&link{Name: "a", Next: &link{Name: "b", Any: []any{int8(1)}}})
	var out link
	if err := errors.Join(err, runtime.MsgPack().Unmarshal(data, &out)); err != nil || out.Next.Name != "b" {
		t.Errorf("got %+v, %v", out, err)
	}
}
