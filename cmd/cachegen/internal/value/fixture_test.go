package value

import (
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"time"
)

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
