package runtime_test

import (
	"context"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A maybe encodes itself, or fails to.
type maybe struct {
	text   string
	broken bool
}

func (m maybe) MarshalBinary() ([]byte, error) {
	if m.broken {
		return nil, errors.New("broken")
	}
	return []byte(m.text), nil
}

func (m *maybe) UnmarshalBinary(data []byte) error { m.text = string(data); return nil }

type (
	adhocProfile struct {
		Name   string
		secret int //lint:ignore U1000 it is there to be refused
	}
	adhocUser struct {
		ID      int
		Profile map[string][]*adhocProfile
	}
	adhocSkipped struct {
		ID      int
		Session string     `msgpack:"-"`
		mu      sync.Mutex `msgpack:"-"` //lint:ignore U1000 it is there to be left out
	}
	adhocBase struct{ ID int }
	adhocTree struct {
		tableName struct{} //lint:ignore U1000 its type is read
		adhocBase
		*AdhocNamed
		At       time.Time `msgpack:"at,omitempty"`
		For      []time.Duration
		Float    *big.Float
		Home     url.URL
		Links    map[string]url.URL
		Addr     netip.Addr
		ByColor  map[adhocColor][2]byte
		Children []*adhocTree
		Next     **adhocTree
		Date     adhocDate
		Event    struct {
			time.Time
			Name string
		}
		Small int8
		Ratio float32
		Empty struct{}
		Row   adhocRow
	}
	AdhocNamed struct{ Label string }
	adhocColor int
	adhocDate  time.Time
	adhocRow   struct {
		_msgpack struct{} `msgpack:",as_array"` //lint:ignore U1000 msgpack reads its tag
		A, B     *string
	}
	adhocText struct{ n float64 }
)

func (c adhocColor) MarshalText() ([]byte, error)     { return nil, errors.New("no color") }
func (c *adhocColor) UnmarshalText(text []byte) error { return errors.New("no color") }

func (x adhocText) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, x.n, 'f', 1, 64), nil
}
func (x *adhocText) UnmarshalText(text []byte) (err error) {
	x.n, err = strconv.ParseFloat(string(text), 64)
	return err
}

type adhocEndless *adhocEndless

func makeAdhoc[V any](s *runtime.Store) error {
	_, err := runtime.NewCache[int, V](s, "values")
	return err
}

// What the default codec cannot keep is refused when a cache is made, with the path to the
// part: it would vanish, or come back as something else, on the way through the shared tier.
func TestAnAdHocCacheOfWhatDoesNotComeBackIsRefused(t *testing.T) {
	for _, test := range []struct {
		make func(*runtime.Store) error
		want string
	}{
		{makeAdhoc[adhocUser], "runtime_test.adhocUser.Profile[][].secret: an unexported field is not encoded"},
		{makeAdhoc[*adhocUser], "adhocUser.Profile[][].secret"},
		{makeAdhoc[any], "reads back as maps"},
		{makeAdhoc[map[string]any], "reads back as maps"},
		{makeAdhoc[[]error], "reads back as maps"},
		{makeAdhoc[struct{ F func() }], ".F: func() cannot be encoded"},
		{makeAdhoc[[]chan int], "chan int cannot be encoded"},
		{makeAdhoc[struct{ C [2]complex64 }], ".C[]: complex64 cannot be encoded"},
		{makeAdhoc[map[*int]int], "a pointer in a map's key"},
		{makeAdhoc[map[time.Time]int], "in a map's key"},
		{makeAdhoc[struct{ *adhocBase }], "embedded *runtime_test.adhocBase is not exported"},
		{makeAdhoc[struct {
			A int `msgpack:"x"`
			B int `msgpack:"x"`
		}], `two fields are both encoded as "x"`},
		{makeAdhoc[[]adhocEndless], "points to itself"}, // decoding it would follow any depth
		{makeAdhoc[sync.Mutex], "an unexported field is not encoded"},
	} {
		err := test.make(newStore(t, memoryTier()))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want one with %s", err, test.want)
		}
		// A codec of the user may keep more.
		if err := test.make(newStore(t, memoryTier(), runtime.WithCodec(jsonCodec{}))); err != nil {
			t.Errorf("with another codec: %v", err)
		}
	}
}

// What an ad-hoc cache takes comes back as it was, from every tier, times included.
func TestAnAdHocCacheGivesBackWhatItWasGiven(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	text, odd := "x", url.URL{Scheme: "x", Host: "h", Path: "no slash"}
	float := new(big.Float).SetPrec(200).SetInt64(1)
	float.Quo(float, big.NewFloat(3))
	leaf := &adhocTree{For: []time.Duration{1, -1}, Small: -128, Row: adhocRow{A: &text}, Date: adhocDate(at.In(time.FixedZone("X", -1800)))}
	tree := adhocTree{
		adhocBase: adhocBase{7}, AdhocNamed: &AdhocNamed{"label"}, At: at, For: []time.Duration{}, Float: float, Home: odd,
		Links: map[string]url.URL{"a": odd}, Addr: netip.MustParseAddr("fe80::1%eth0"), ByColor: map[adhocColor][2]byte{5: {1, 2}},
		Children: []*adhocTree{leaf, nil}, Next: &leaf, Ratio: 0.1,
	}
	tree.Event.Time, tree.Event.Name = at, "event"
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, adhocTree](t, newStore(t, in.tiers()))
		for i := range 3 {
			got, err := c.GetOrSet(t.Context(), 1, func(context.Context) (adhocTree, error) { return tree, nil })
			if err != nil || !reflect.DeepEqual(got, tree) {
				t.Fatalf("read %d: got %+v, %v, want %+v", i, got, err, tree)
			}
		}
	})
}

// What a type's tags or its text lose is lost in every tier alike.
func TestWhatAnAdHocCacheLosesIsLostInEveryTier(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		skipped := newCache[int, *adhocSkipped](t, s)
		n := s.Namespace("text")
		texts := newCache[int, adhocText](t, n, runtime.TTL(time.Hour))
		for i := range 3 {
			v, err := skipped.GetOrSet(t.Context(), 1, func(context.Context) (*adhocSkipped, error) { return &adhocSkipped{ID: 1, Session: "s"}, nil })
			if err != nil || v.ID != 1 || (v.Session == "s") != (i == 0) {
				t.Errorf("read %d: %v, %v", i, v.Session, err)
			}
			x, err := texts.GetOrSet(t.Context(), 1, func(context.Context) (adhocText, error) { return adhocText{1.25}, nil })
			if err != nil || (x.n == 1.25) != (i == 0) {
				t.Errorf("read %d: %v, %v", i, x, err)
			}
		}
	})
}
