package value

import (
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"time"
)

// fixtures are values that msgpack is asked to carry; their types are checked too.
// This file is also type-checked by itself, so it uses the standard library alone.
var fixtures = []any{
	fixPlain{1, "a", []byte{2}, map[string][]int{"x": {1}}, nil},
	&fixPlain{ID: 1},
	fixNested{Inner: fixPlain{ID: 2}, List: []*fixPlain{{ID: 3}}, ByID: map[int8]fixPlain{4: {ID: 5}}},
	fixEmbedding{fixPlain: fixPlain{ID: 6}, Label: "b"},
	fixEmbeddedPointer{fixPlain: &fixPlain{ID: 6}, Label: "b"},
	fixEmbeddedNumber{fixNumber: 7, Name: "b"},
	fixTimes{At: time.Unix(8, 9), For: time.Second},
	fixText(10),
	fixOneWay(10),
	fixMixed(10),
	fixEvent{Time: time.Unix(11, 0), Name: "c"},
	fixAddress{Addr: netip.MustParseAddr("::1"), N: big.NewInt(12)},
	fixLink{Home: url.URL{Host: "h"}},
	&fixLink{Home: url.URL{Host: "h"}},
	fixLinks{{Host: "h"}},
	fixLinkMap{"a": {Host: "h"}},
	fixPointerKeys{new(int): 1},
	fixTimeKeys{time.Unix(1, 2).UTC(): 1},
	fixStructKeys{{1, "b"}: 1},
	fixAny{13},
	fixError{&url.Error{Op: "x", Err: errors.New("y")}},
	fixHidden{14},
	fixSecret{ID: 14, n: 15},
	fixLost{ID: 14},
	fixEmpty{},
	fixComplex{15},
	fixSkipped{ID: 16, C: nil},
	fixMarshaled{17},
}

type fixPlain struct {
	ID   int
	Name string
	B    []byte
	M    map[string][]int
	P    *bool
}

type fixNested struct {
	Inner fixPlain
	List  []*fixPlain
	ByID  map[int8]fixPlain
}

type fixEmbedding struct {
	fixPlain
	Label string
}

type fixEmbeddedPointer struct {
	*fixPlain
	Label string
}

type fixNumber int

type fixEmbeddedNumber struct {
	fixNumber
	Name string
}

type fixTimes struct {
	At  time.Time
	For time.Duration
}

type fixText int

func (t fixText) MarshalText() ([]byte, error) { return []byte{byte(t)}, nil }

func (t *fixText) UnmarshalText(b []byte) error { *t = fixText(b[0]); return nil }

type fixOneWay int

func (t fixOneWay) MarshalText() ([]byte, error) { return []byte{byte(t)}, nil }

type fixMixed int

func (t fixMixed) MarshalText() ([]byte, error) { return []byte{byte(t)}, nil }

func (t *fixMixed) UnmarshalText(b []byte) error { *t = fixMixed(b[0]); return nil }

func (t *fixMixed) UnmarshalBinary(b []byte) error { return errors.New("written as text") }

type fixEvent struct {
	time.Time
	Name string
}

type fixAddress struct {
	Addr netip.Addr
	N    *big.Int
}

type fixLink struct{ Home url.URL }

type (
	fixLinks       []url.URL
	fixLinkMap     map[string]url.URL
	fixPointerKeys map[*int]int
	fixTimeKeys    map[time.Time]int
	fixStructKeys  map[fixKey]int
)

type fixKey struct {
	A int
	B string
}

type fixAny struct{ X any }

type fixError struct{ Err error }

type fixHidden struct{ n int }

type fixSecret struct {
	ID int
	n  int
}

type fixLost struct {
	ID int
	//lint:ignore U1000 it is there to be left out
	n int `msgpack:"-"`
	_ int
}

type fixEmpty struct{}

type fixComplex struct{ C complex64 }

type fixSkipped struct {
	ID int
	C  chan int `msgpack:"-"`
}

type fixMarshaled struct{ n byte }

func (m fixMarshaled) MarshalBinary() ([]byte, error) { return []byte{m.n}, nil }

func (m *fixMarshaled) UnmarshalBinary(b []byte) error { m.n = b[0]; return nil }
