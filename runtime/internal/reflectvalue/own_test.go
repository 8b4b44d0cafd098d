package reflectvalue

import (
	"errors"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

type guarded struct {
	mu   sync.Mutex //lint:ignore U1000 it is there so that a copy would be wrong
	text string
}

type everything struct {
	Text    string
	Parts   []string
	Bytes   []byte
	Table   map[string]any
	Pointer *string
	Twice   *string
	Any     any
	Array   [2]string
	Time    time.Time
	Addr    netip.Addr
	Number  *big.Int
	Lock    *guarded
	Func    func()
	Self    *everything
	hidden  string
	words   []uint
	inner
}

type inner struct {
	Inner string
	next  *inner
}

// part returns a part of something larger.
func part(s string) string { return ("<" + s + ">")[1 : len(s)+1] }

func newEverything() *everything {
	text := part("pointer")
	v := &everything{
		Text: part("text"), Parts: append(make([]string, 0, 100), part("a"), part("b")), Bytes: []byte("<bytes>")[1:6],
		Table: map[string]any{part("key"): []any{part("value"), 1, nil}}, Pointer: &text, Twice: &text, Any: map[int]string{1: part("any")},
		Array: [2]string{part("one"), part("two")}, Time: time.Now().Round(0), Addr: netip.MustParseAddr("fe80::1%eth0"), Number: big.NewInt(1 << 60),
		Lock: &guarded{text: part("locked")}, Func: func() {}, hidden: part("hidden"), words: []uint{1, 2, 3}[:2],
		inner: inner{Inner: part("embedded"), next: &inner{}},
	}
	v.Self = v
	return v
}

func TestOwnSharesNothing(t *testing.T) {
	in := newEverything()
	owned, err := Own(in)
	if err != nil {
		t.Fatal(err)
	}
	out := owned.(*everything)
	if out == in || out.Self != out || out.Pointer != out.Twice || out.Pointer == in.Pointer {
		t.Error("pointers lead elsewhere")
	}
	in.Func, out.Func = nil, nil
	if !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, want %+v", out, in)
	}
	at := func(s string) *byte { return unsafe.StringData(s) }
	for i, pair := range [][2]string{
		{in.Text, out.Text}, {in.Parts[0], out.Parts[0]}, {in.Array[1], out.Array[1]}, {in.hidden, out.hidden}, {in.Inner, out.Inner},
		{in.Any.(map[int]string)[1], out.Any.(map[int]string)[1]}, {*in.Pointer, *out.Pointer},
		{in.Table["key"].([]any)[0].(string), out.Table["key"].([]any)[0].(string)},
	} {
		if at(pair[0]) == at(pair[1]) {
			t.Errorf("%d: the string %q is not the copy's own", i, pair[0])
		}
	}
	if cap(out.Parts) != 2 || cap(out.Bytes) != 5 || &out.Bytes[0] == &in.Bytes[0] || &out.words[0] == &in.words[0] || cap(out.words) != 2 {
		t.Error("slices have more memory than they need, or the original's")
	}
	if &out.Number.Bits()[0] == &in.Number.Bits()[0] {
		t.Error("the number's words are not the copy's own")
	}
	// What is behind a lock is not touched, and neither is what an unexported pointer leads to.
	if out.Lock != in.Lock || out.next != in.next || !Hides(reflect.TypeFor[everything]()) || Hides(reflect.TypeFor[big.Int]()) {
		t.Error("what cannot be copied is copied")
	}
}

func TestOwnKeepsWhatThereIs(t *testing.T) {
	for _, v := range []any{nil, 1, "", "a", []string(nil), []string{}, map[string]int(nil), map[string]int{}, (*string)(nil), [0]string{}, struct{}{}, []any{nil}} {
		if got, err := Own(v); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%#v: got %#v, %v", v, got, err)
		}
	}
}

type date time.Time

// What is known to be constant is not so behind a pointer: the loader can set what the pointer
// leads to.
func TestOwnCopiesWhatPointersLeadTo(t *testing.T) {
	at, addr, prefix, location := time.Now().UTC(), netip.MustParseAddr("::1"), netip.MustParsePrefix("::1/8"), time.FixedZone("X", 1)
	day := date(at)
	in := struct {
		At       *time.Time
		Day      *date
		Addr     *netip.Addr
		Prefixes []*netip.Prefix
		Location *time.Location
	}{&at, &day, &addr, []*netip.Prefix{&prefix}, location}
	owned, err := Own(&in)
	if err != nil {
		t.Fatal(err)
	}
	out := owned.(*struct {
		At       *time.Time
		Day      *date
		Addr     *netip.Addr
		Prefixes []*netip.Prefix
		Location *time.Location
	})
	if out.At == in.At || out.Day == in.Day || out.Addr == in.Addr || out.Prefixes[0] == in.Prefixes[0] {
		t.Error("a pointer of the copy leads to what the original's leads to")
	}
	if !out.At.Equal(at) || *out.Addr != addr || *out.Prefixes[0] != prefix || out.Location != location {
		t.Errorf("got %+v", out)
	}
}

// What memory keeps is what another process reads from the shared tier, which has no monotonic
// reading: without it, == and the text of a time would depend on the tier.
func TestOwnLeavesOutTheMonotonicReading(t *testing.T) {
	type dated struct {
		At     time.Time
		Day    date
		hidden time.Time
		Many   map[string][]time.Time
		Any    any
	}
	now := time.Now()
	owned, err := Own(dated{now, date(now), now, map[string][]time.Time{"a": {now}}, now})
	if err != nil {
		t.Fatal(err)
	}
	v := owned.(dated)
	for i, got := range []time.Time{v.At, time.Time(v.Day), v.hidden, v.Many["a"][0], v.Any.(time.Time)} {
		if got != now.Round(0) {
			t.Errorf("%d: got %v, want %v", i, got, now.Round(0))
		}
	}
	if Hides(reflect.TypeFor[dated]()) {
		t.Error("a time that is not exported counts as something that is not copied")
	}
}

type chain struct{ Next *chain }

// What is nested without an end does not fill the stack, whatever walks over it.
func TestWithoutAnEnd(t *testing.T) {
	var long *chain
	for range 1_000_000 {
		long = &chain{long}
	}
	var nested any
	for range 1_000_000 {
		nested = []any{nested}
	}
	for _, v := range []any{long, nested} {
		if _, err := Own(v); !errors.Is(err, ErrDepth) {
			t.Errorf("%T: %v", v, err)
		}
		if !TooDeep(v, MaxDepth) {
			t.Errorf("%T is not too deep", v)
		}
		if n := SizeAny(reflect.TypeOf(v), v); n < MaxDepth*8 {
			t.Errorf("%T has %d bytes", v, n)
		}
	}
	var fits *chain
	for range MaxDepth {
		fits = &chain{fits}
	}
	if _, err := Own(fits); err != nil || TooDeep(fits, MaxDepth) {
		t.Error(err)
	}
	ring := &chain{}
	ring.Next = ring
	list := []any{nil}
	list[0] = list
	table := map[string]any{}
	table["self"] = table
	for _, v := range []any{ring, list, table} {
		if owned, err := Own(v); err != nil || !TooDeep(owned, MaxDepth) || SizeAny(reflect.TypeOf(v), v) > 1000 {
			t.Errorf("%T: %v", v, err)
		}
		_ = CopyAny(v)
	}
	if TooDeep(map[string]any{"a": []any{1, strings.Repeat("x", 10)}}, 1) || !TooDeep(map[string]any{"a": []any{[]any{}}}, 1) || TooDeep(nil, 0) {
		t.Error("the levels are not counted")
	}
}

// Large keys and values lie outside of a map's slots, of which there are more than entries.
func TestMapSizeOfLargeValues(t *testing.T) {
	if n := MapSize(1, 8, 4096); n < 4096 || n > 2*4096 {
		t.Errorf("a map of one large value has %d bytes", n)
	}
}
