package reflectvalue

import (
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type node struct {
	Name     string
	Next     *node
	Children []*node
	ByName   map[string]*node
	Any      any
	At       time.Time
	Grid     [2][]int
	hidden   *int
}

func sample() *node {
	n := 5
	leaf := &node{Name: "leaf", At: time.Now(), hidden: &n}
	root := &node{
		Name: "root", Next: leaf, Children: []*node{leaf, nil}, ByName: map[string]*node{"leaf": leaf},
		Any: []any{1, "x", map[string]any{"k": []int{1}}}, Grid: [2][]int{{1}, nil},
	}
	leaf.Next = root // a cycle
	return root
}

func TestCopyIsEqualAndApart(t *testing.T) {
	in := sample()
	out := Copy(in)
	if !reflect.DeepEqual(in, out) {
		t.Fatalf("got %+v, want %+v", out, in)
	}
	if out.Next.Next != out || out.Children[0] != out.Next || out.ByName["leaf"] != out.Next {
		t.Error("pointers to one thing point to several")
	}
	out.Next.Name, out.Grid[0][0], out.ByName["new"] = "changed", 9, nil
	out.Any.([]any)[2].(map[string]any)["k"].([]int)[0] = 9
	if !reflect.DeepEqual(sample().Grid, in.Grid) || in.Next.Name != "leaf" || len(in.ByName) != 1 ||
		in.Any.([]any)[2].(map[string]any)["k"].([]int)[0] != 1 {
		t.Errorf("a change of the copy is visible in the original: %+v", in)
	}
	if in.Next.hidden != out.Next.hidden {
		t.Error("an unexported field was not kept")
	}
}

func TestCopyKeepsNilAndEmptyApart(t *testing.T) {
	type holder struct {
		S []int
		M map[string]int
		P *int
		A any
	}
	for _, in := range []holder{{}, {S: []int{}, M: map[string]int{}}} {
		if out := Copy(in); !reflect.DeepEqual(in, out) || (out.S == nil) != (in.S == nil) || (out.M == nil) != (in.M == nil) {
			t.Errorf("got %#v, want %#v", out, in)
		}
	}
}

func TestShares(t *testing.T) {
	type plain struct {
		N int
		S string
		T time.Time
		A [3]bool
	}
	for _, c := range []struct {
		typ  reflect.Type
		want bool
	}{
		{reflect.TypeFor[int](), false},
		{reflect.TypeFor[plain](), false},
		{reflect.TypeFor[[0]*int](), false},
		{reflect.TypeFor[*plain](), true},
		{reflect.TypeFor[[]byte](), true},
		{reflect.TypeFor[any](), true},
		{reflect.TypeFor[struct{ P plain }](), false},
		{reflect.TypeFor[struct{ M map[int]int }](), true},
	} {
		if got := Shares(c.typ); got != c.want {
			t.Errorf("Shares(%v) = %v", c.typ, got)
		}
	}
}

func TestSizeGrowsWithWhatIsKeptAlive(t *testing.T) {
	small, large := Size(&node{Name: "x"}), Size(&node{Name: string(make([]byte, 10000))})
	if large-small != 9999 {
		t.Errorf("10000 bytes of text instead of 1 count as %d", large-small)
	}
	if n := Size(make([]int64, 100)); n < 800 || n > 900 {
		t.Errorf("100 words count as %d bytes", n)
	}
	if n := Size(sample()); n <= 0 {
		t.Errorf("a cycle counts as %d", n)
	}
	if n := Size[any](nil); n <= 0 {
		t.Errorf("nil counts as %d", n)
	}
}

type (
	one     struct{ A, B int }
	renamed struct{ A, B int }
	tagged  struct {
		A int `msgpack:"a"`
		B int
	}
	retyped struct {
		A int
		B string
	}
	hidden struct {
		A, B int
		c    int
	}
	recursive struct{ Next *recursive }
)

func TestFingerprintTellsShapesApart(t *testing.T) {
	of := func(t reflect.Type) uint64 { return Fingerprint(t) }
	same := of(reflect.TypeFor[one]())
	for _, typ := range []reflect.Type{reflect.TypeFor[renamed](), reflect.TypeFor[hidden]()} {
		if of(typ) != same {
			t.Errorf("%v differs from the same shape", typ)
		}
	}
	seen := map[uint64]reflect.Type{}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[one](), reflect.TypeFor[tagged](), reflect.TypeFor[retyped](), reflect.TypeFor[*one](), reflect.TypeFor[[]one](),
		reflect.TypeFor[map[string]one](), reflect.TypeFor[map[int]one](), reflect.TypeFor[[2]one](), reflect.TypeFor[recursive](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[struct{ T time.Duration }](),
	} {
		if other, ok := seen[of(typ)]; ok {
			t.Errorf("%v and %v have one fingerprint", typ, other)
		}
		seen[of(typ)] = typ
	}
	_ = hidden{}.c
}

// The number is written to shared tiers, so it must not change by itself.
func TestFingerprintIsStable(t *testing.T) {
	if got := Fingerprint(reflect.TypeFor[one]()); got != 0xbbb1d5c449fa138a {
		t.Errorf("got %#x", got)
	}
}

type (
	a0 struct{ A1, B1 *a1 }
	a1 struct{ A2, B2 *a2 }
	a2 struct{ A3, B3 *a3 }
	a3 struct{ A4, B4 *a4 }
	a4 struct{ A5, B5 *a5 }
	a5 struct{ A6, B6 *a6 }
	a6 struct{ A7, B7 *a7 }
	a7 struct{ A0, B0 *a0 }
)

// Types that refer to each other have more ways through them than anyone can follow: each
// is described once. The text grows with the number of types, not with that of the ways.
func TestFingerprintLooksAtEachTypeOnce(t *testing.T) {
	if n := len(description(reflect.TypeFor[a0]())); n > 400 {
		t.Errorf("8 types with two pointers each are described in %d bytes", n)
	}
}
