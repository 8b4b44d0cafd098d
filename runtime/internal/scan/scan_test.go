package scan

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func TestOneValueAndNothingElse(t *testing.T) {
	for _, test := range []struct {
		data string
		want error
	}{
		{"\x01", nil}, {"\x92\x01\xa1a", nil}, {"\x81\xa1a\xc0", nil}, {"", ErrShort}, {"\x92\x01", ErrShort}, {"\xdd\xff\xff\xff\xff\x01", ErrShort},
		{"\xc6\xff\xff\xff\xff", ErrShort}, {"\x01\x01", ErrTrailing}, {string(bytes.Repeat([]byte{0x91}, MaxDepth+1)) + "\x01", ErrDepth},
	} {
		if err := Single([]byte(test.data)); !errors.Is(err, test.want) {
			t.Errorf("%.20q: %v, want %v", test.data, err, test.want)
		}
	}
}

func TestAPaddingIsWhatAValueNeeds(t *testing.T) {
	for _, n := range []int{1, 100, 5000} {
		for _, memory := range []int{0, smallest, smallest + 1, 1 << 20} {
			data := bytes.Repeat([]byte{1}, n)
			padded := Pad(data, memory)
			if Budget(len(padded)) < memory || !Padded(padded, n) || len(padded) > n && Budget(len(padded)-1) >= memory {
				t.Errorf("%d bytes that need %d are padded to %d", n, memory, len(padded))
			}
		}
	}
	if Padded([]byte{1, 2}, 1) || !Padded([]byte{1}, 1) {
		t.Error("what is no padding is one")
	}
}

type (
	base  struct{ Big [100]int }
	outer struct {
		*base
		Renamed []base `msgpack:"r"`
		Old     []base `msgpack:",alias:Older"`
		Gone    []base `msgpack:"-"`
		Any     any
		hidden  []base
	}
	tuple struct {
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        []base
	}
	self struct{ *self }
)

// What a field takes is found by the names under which msgpack reads it.
func TestMemoryOfFields(t *testing.T) {
	list := make([]struct{}, 1000)
	for i := range list {
		list[i] = struct{}{}
	}
	const large = 1000 * 800
	for _, test := range []struct {
		v     any
		t     reflect.Type
		large bool
	}{
		{map[string]any{"r": list}, reflect.TypeFor[outer](), true},
		{map[string]any{"Renamed": list}, reflect.TypeFor[outer](), false},
		{map[string]any{"Old": list}, reflect.TypeFor[outer](), true},
		{map[string]any{"Older": list}, reflect.TypeFor[outer](), true},
		{map[string]any{"Gone": list}, reflect.TypeFor[outer](), false},
		{map[string]any{"hidden": list}, reflect.TypeFor[outer](), false},
		{map[string]any{"Any": map[string]any{"r": list}}, reflect.TypeFor[outer](), false},
		{[]any{1, list}, reflect.TypeFor[tuple](), true},
		{[]any{list, 1}, reflect.TypeFor[tuple](), false},
		{list, reflect.TypeFor[[]*base](), true},
		{list, reflect.TypeFor[[]time.Time](), false},
		{map[string]any{"self": list}, reflect.TypeFor[self](), false},
		{map[string]any{"a": list}, reflect.TypeFor[map[string][]base](), true},
		{map[string]any{"a": nil}, reflect.TypeFor[map[string][]base](), false},
	} {
		data, err := msgpack.Marshal(test.v)
		if err != nil {
			t.Fatal(err)
		}
		if n := Memory(test.t, data); n >= large != test.large {
			t.Errorf("%.60v as %v: %d bytes", test.v, test.t, n)
		}
	}
	_ = outer{hidden: nil}
	_ = tuple{}._msgpack
}

func TestWhichTypesAreDense(t *testing.T) {
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[int](): true, reflect.TypeFor[[]string](): true, reflect.TypeFor[[][]int](): true, reflect.TypeFor[[]base](): true,
		reflect.TypeFor[*struct{ A, B string }](): true, reflect.TypeFor[[]struct {
			A [100]int `msgpack:",omitempty"`
		}](): false,
		reflect.TypeFor[any](): false, reflect.TypeFor[map[string]int](): false, reflect.TypeFor[outer](): false, reflect.TypeFor[[]struct{ hidden [99]int }](): false,
	} {
		if Dense(typ) != want {
			t.Errorf("%v: %v", typ, !want)
		}
	}
}

// What a writer is told of before he looks closely is never less than what he would find.
func TestAtMostIsABound(t *testing.T) {
	type inner struct {
		A   *[40]int
		M   map[string]*inner
		S   []inner
		B   *base
		Any any
		Big [9]string
	}
	random := rand.New(rand.NewPCG(1, 2))
	var value func(depth int) inner
	value = func(depth int) (v inner) {
		if depth == 0 {
			return v
		}
		if random.IntN(2) == 0 {
			v.A = new([40]int)
		}
		if random.IntN(2) == 0 {
			v.B = new(base)
		}
		for i := range random.IntN(4) {
			if v.M == nil {
				v.M = make(map[string]*inner)
			}
			next := value(depth - 1)
			v.M[strconv.Itoa(i)] = &next
		}
		for range random.IntN(4) {
			v.S = append(v.S, value(depth-1))
		}
		v.Any = []any{nil, 1, "a", []any{2, map[string]any{"a": 1, "b": []any{}}}, map[string]any{}}[random.IntN(5)]
		return v
	}
	for range 2000 {
		v := value(random.IntN(4))
		data, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []reflect.Type{reflect.TypeFor[inner](), reflect.TypeFor[*inner](), reflect.TypeFor[any]()} {
			if most, memory := AtMost(typ, data), Memory(typ, data); most < memory {
				t.Fatalf("%v: at most %d, and it is %d: %+v", typ, most, memory, v)
			}
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte("\x81\xa1r\x93\x80\x80\x80"))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Skip(data, 0); err == nil && len(data) > 0 {
			for _, typ := range []reflect.Type{reflect.TypeFor[outer](), reflect.TypeFor[tuple](), reflect.TypeFor[any](), reflect.TypeFor[map[string][]*base]()} {
				if Memory(typ, data) < 0 {
					t.Error(typ)
				}
			}
		}
	})
}
