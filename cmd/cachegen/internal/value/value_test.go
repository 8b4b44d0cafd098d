package value

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const prelude = `package p

import (
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"
	"unsafe"
)

var (
	_ big.Int
	_ net.IP
	_ netip.Addr
	_ url.URL
	_ sync.Mutex
	_ time.Time
	_ unsafe.Pointer
)
`

// load type-checks declarations; V is the value type under test.
func load(t *testing.T, declarations string) (*types.Package, types.Type) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", prelude+declarations, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: std}
	pkg, err := config.Check("example.com/p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg, pkg.Scope().Lookup("v").Type()
}

var std = importer.ForCompiler(token.NewFileSet(), "source", nil)

func namable(types.Type) bool { return true }

func messages(t *testing.T, declarations string) []string {
	t.Helper()
	pkg, v := load(t, declarations)
	var list []string
	for _, p := range Check(v, types.RelativeTo(pkg)) {
		list = append(list, p.Message)
	}
	return list
}

func TestSurvives(t *testing.T) {
	for _, declarations := range []string{
		`var v int`,
		`var v []byte`,
		`var v *string`,
		`var v struct{}`,
		`var v time.Time`,
		`var v *time.Duration`,
		`var v map[string][]*map[int8]float64`,
		`var v [4]bool`,
		`type User struct { ID int; Name string; secret chan int ` + "`msgpack:\"-\"`" + `; _ int }; var v *User`,
		`type User struct { mu sync.Mutex ` + "`msgpack:\"-\"`" + `; _ [0]func() }; var v *User`,
		`type User struct { C chan int ` + "`msgpack:\"-\"`" + `; ID int }; var v User`,
		`type Node struct { Next *Node; Children []Node; ByName map[string]Node }; var v Node`,
		`type List[T any] struct { Head T; Tail *List[T] }; var v List[string]`,
		`type base struct { ID int }; type User struct { base; Name string }; var v User`,
		`type User struct { Born time.Time; IP net.IP; Addr netip.Addr; N *big.Int }; var v User`,
		`type User struct { Home url.URL }; var v *User`,
		`type User struct { Homes []url.URL; ByName map[string]*url.URL }; var v User`,
		`type Key struct { A, B int }; var v map[Key]string`,
		`type Level int
			func (Level) MarshalText() ([]byte, error) { return nil, nil }
			func (*Level) UnmarshalText([]byte) error { return nil }
			var v map[Level]Level`,
		`type Any struct { x any }
			func (Any) MarshalMsgpack() ([]byte, error) { return nil, nil }
			func (*Any) UnmarshalMsgpack([]byte) error { return nil }
			var v []Any`,
		`type Level int
			func (Level) MarshalText() ([]byte, error) { return nil, nil }
			func (*Level) UnmarshalBinary([]byte) error { return nil }
			var v map[Level]*Level`,
		`type Event struct { time.Time; Name string }; var v Event`,
		`type Date time.Time; func (Date) MarshalText() ([]byte, error) { return nil, nil }; var v map[string]Date`,
		`type Event struct { *big.Int; At []big.Float; Name string }; var v Event`,
		`type Odd struct { N int }
			func (Odd) MarshalText() string { return "" }
			var v Odd`,
	} {
		if got := messages(t, declarations); len(got) > 0 {
			t.Errorf("%s\nunexpected: %q", declarations, got)
		}
	}
}

func TestDoesNotSurvive(t *testing.T) {
	for _, test := range []struct {
		declarations string
		want         []string
	}{
		{`type User struct { ID int; Notify chan int }; var v *User`,
			[]string{"*User.Notify: chan int cannot be encoded"}},
		{`type User struct { F func() }; var v []*User`,
			[]string{"[]*User.F: func() cannot be encoded"}},
		{`type Inner struct { C complex128 }; type User struct { In map[string][]Inner }; var v User`,
			[]string{"User.In[][].C: complex128 cannot be encoded"}},
		{`type User struct { P unsafe.Pointer; U uintptr }; var v User`,
			[]string{"User.P: unsafe.Pointer cannot be encoded", "User.U: uintptr cannot be encoded"}},
		{`var v any`,
			[]string{"any: any reads back as maps, slices and the smallest numbers that fit, not as the type that was stored"}},
		{`var v map[string]any`,
			[]string{"map[string]any: any reads back as maps, slices and the smallest numbers that fit, not as the type that was stored"}},
		{`type Shape interface { Area() float64 }; type User struct { S Shape }; var v User`,
			[]string{"User.S: interface Shape cannot be decoded"}},
		{`type User struct { Err error }; var v User`,
			[]string{"User.Err: an error reads back as its text only"}},
		{`type User struct { id int }; var v *User`,
			[]string{"*User: User has no exported field, so nothing of it is encoded"}},
		{`type User struct { ID int; name, mail string }; type Team struct { Lead *User; name string }; var v []Team`,
			[]string{"[]Team.Lead.name: an unexported field is not encoded", "[]Team.Lead.mail: an unexported field is not encoded",
				"[]Team.name: an unexported field is not encoded"}},
		{`type base struct { ID int; at int }; type User struct { base; Name string }; var v User`,
			[]string{"User.base.at: an unexported field is not encoded"}},
		{`type User struct { ID int; mu sync.Mutex }; var v *User`,
			[]string{"*User.mu: an unexported field is not encoded"}},
		{`type User struct { Dial *net.Resolver }; var v *User`,
			// Its field Dial, a function, is not worth another line.
			[]string{"*User.Dial: net.Resolver has unexported fields, such as lookupGroup, which are not encoded"}},
		{`type User struct { ID int; Mu sync.Mutex }; var v *User`,
			[]string{"*User.Mu: sync.Mutex has no exported field, so nothing of it is encoded"}},
		{`type User struct { sync.Mutex; ID int }; var v *User`,
			[]string{"*User.Mutex: sync.Mutex has no exported field, so nothing of it is encoded"}},
		{`type base struct { ID int }; type User struct { *base; Name string }; var v User`,
			[]string{"User.base: embedded *base is not exported and cannot be decoded"}},
		{`type number int; type User struct { number; Name string }; var v User`,
			[]string{"User.number: embedded number is not exported and cannot be decoded"}},
		{`type Level struct { n int }
			func (Level) MarshalText() ([]byte, error) { return nil, nil }
			type User struct { L Level }; var v User`,
			[]string{"User.L: Level has MarshalText but no UnmarshalText"}},
		{`type Level struct { n int }
			func (*Level) UnmarshalBinary([]byte) error { return nil }
			type User struct { L *Level }; var v User`,
			[]string{"User.L: Level has UnmarshalBinary but no MarshalBinary"}},
		{`type Level int
			func (Level) MarshalMsgpack() ([]byte, error) { return nil, nil }
			var v Level`,
			[]string{"Level: Level has MarshalMsgpack but no UnmarshalMsgpack"}},
		{`type Inner struct { n int }
			func (Inner) MarshalMsgpack() ([]byte, error) { return nil, nil }
			func (*Inner) UnmarshalMsgpack([]byte) error { return nil }
			type Event struct { Inner; Name string }; var v Event`,
			[]string{"Event: Event encodes only an embedded field, whose MarshalMsgpack it inherits"}},
		{`type Event struct { time.Time; name string }; var v Event`,
			[]string{"Event.name: an unexported field is not encoded"}},
		{`type Price struct { n *big.Int }
			func (Price) MarshalBinary() ([]byte, error) { return nil, nil }
			func (*Price) UnmarshalBinary([]byte) error { return nil }
			var v map[Price]int`,
			[]string{"map[Price]int: Price refers to other memory, so that in a map's key it does not compare equal after decoding"}},
		{`var v map[url.URL]int`,
			[]string{"map[net/url.URL]int: a net/url.URL in a map's key does not compare equal after decoding"}},
		{`type Level struct { n int }
			func (Level) MarshalText() ([]byte, error) { return nil, nil }
			func (*Level) UnmarshalText([]byte) error { return nil }
			type User struct { L []Level }; var v User`,
			[]string{"User.L[]: Level is stored as the text that its MarshalText makes, which may lose a part of it"}},
		{`var v map[*int]string`,
			[]string{"map[*int]string: a pointer in a map's key does not compare equal after decoding"}},
		{`type Key struct { At time.Time }; type User struct { Born time.Time; M map[Key]int }; var v User`,
			[]string{"User.M[key].At: a time.Time in a map's key does not compare equal after decoding"}},
		{`type Node struct { Next *Node; C chan int }; var v *Node`,
			[]string{"*Node.C: chan int cannot be encoded"}},
		{`type User struct { N int ` + "`msgpack:\",intern\"`" + ` }; var v User`,
			[]string{"User.N: the tag option intern is for strings, not for int"}},
	} {
		if got := messages(t, test.declarations); !slices.Equal(got, test.want) {
			t.Errorf("%s\ngot  %q\nwant %q", test.declarations, got, test.want)
		}
	}
}

// A problem inside a value names the field's declaration, so that it can be shown.
func TestField(t *testing.T) {
	pkg, v := load(t, "type User struct {\n\tID int\n\tNotify chan int\n}\nvar v *User")
	problems := Check(v, types.RelativeTo(pkg))
	if len(problems) != 1 || !problems[0].Field.IsValid() || !strings.Contains(problems[0].Hint, "msgpack:\"-\"") {
		t.Errorf("got %+v", problems)
	}
}
