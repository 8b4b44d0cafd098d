package wire_test

import (
	"fmt"
	"reflect"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/wire"
)

// zoned returns the bytes of a list of n times, the i-th of which says that it is in the
// location with the name of i.
func zoned(t *testing.T, n int, name func(i int) string) []byte {
	t.Helper()
	data, err := wire.Write(reflect.TypeFor[[]time.Time](), func(e *wire.Encoder) {
		e.Slice(n, false)
		for i := range n {
			e.Array(4)
			e.Time(time.Unix(1_700_000_000, 0).UTC())
			e.String(name(i))
			e.String("CET")
			e.Int(3600)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What decoding makes besides the value's own parts is bounded, too: here the locations of
// times, which take kilobytes each and are named in a few bytes.
func TestLocationsAreMadeOnce(t *testing.T) {
	if _, err := time.LoadLocation("Europe/Paris"); err != nil {
		t.Fatal(err)
	}
	read := func(data []byte) (times []time.Time, allocated uint64) {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		if err := (wire.Codec{}).Unmarshal(data, &times); err != nil {
			t.Fatal(err)
		}
		goruntime.ReadMemStats(&after)
		return times, after.TotalAlloc - before.TotalAlloc
	}
	for i := range 50 { // more names that there are none of than are remembered
		read(zoned(t, 50, func(j int) string { return fmt.Sprintf("No/Where%d", 50*i+j) }))
	}
	const n = 20_000
	for what, name := range map[string]func(int) string{
		"one location":               func(int) string { return "Europe/Paris" },
		"names that are not known":   func(i int) string { return fmt.Sprintf("Not/%d", i) },
		"many spellings of one name": func(i int) string { return "Europe/" + strings.Repeat("./", 1+i%30) + "Paris" },
	} {
		data := zoned(t, n, name)
		times, allocated := read(data)
		if allocated > uint64(50*len(data)) {
			t.Errorf("%s: %d bytes make %d", what, len(data), allocated)
		}
		zone, offset := times[n-1].Zone()
		if zone != "CET" || offset != 3600 {
			t.Errorf("%s: %v", what, times[n-1])
		}
		if what == "one location" && times[n-1].Location().String() != "Europe/Paris" {
			t.Errorf("%v", times[n-1].Location())
		}
	}
}
