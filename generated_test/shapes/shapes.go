// Package shapes has cached functions whose values are of all the kinds that the
// generator makes codecs, copies and sizes for.
package shapes

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/cachegen/cachegen/generated_test/shapes/other"
)

// Everything has a field of each basic kind.
type Everything struct {
	B    bool
	I    int
	I8   int8
	I16  int16
	I32  int32
	I64  int64
	U    uint
	U8   uint8
	U16  uint16
	U32  uint32
	U64  uint64
	F32  float32
	F64  float64
	S    string
	Raw  []byte
	Hash [4]byte
	At   time.Time
	For  time.Duration

	Level  Level
	Flag   Flag
	Ratio  Ratio
	Status Status
	Digits []Digit
	Code   [2]Digit
	Notes  Notes
}

// Named basic kinds.
type (
	Level  int16
	Flag   bool
	Ratio  float64
	Status string
	Digit  byte
	Notes  []string
	Grid   [2][3]int
)

// Containers nest slices, arrays, maps and pointers.
type Containers struct {
	Names   []string
	Rows    [][]int
	Items   []Item
	Links   []*Item
	Grid    Grid
	Fixed   [2]*Item
	Empty   [0]Item
	ByName  map[string]Item
	ByLevel map[Level][]*Item
	ByBool  map[bool]string
	ByFloat map[float64]Digit
	ByPair  map[Pair]map[int]string
	ByAddr  map[netip.Addr]Level
	ByKey   map[[2]int8]*[]byte
	Deep    **Item
	Slice   *[]int
	Number  *int
	Nested  map[string]map[string][]time.Time
	Any     struct {
		A int
		B []struct{ C *string }
	}
}

// Pair is a map's key.
type Pair struct {
	A int
	B string
}

// Item is a struct inside others.
type Item struct {
	ID   int64
	Tags []string
	When *time.Time
}

// Node is recursive in every way.
type Node struct {
	Name     string
	Next     *Node
	Children []Node
	ByName   map[string]*Node
	Back     **Node
	Tree     Tree
	Other    *Mutual
}

// Mutual is recursive through Node.
type Mutual struct {
	Nodes []*Node
	Pages Page[*Mutual]
}

// Recursive types that are not structs.
type (
	Tree map[string]Tree
	List []List
)

// Page is generic.
type Page[T any] struct {
	Items []T
	Next  string
}

// Base and others are embedded.
type Base struct {
	ID   int
	Made time.Time
}

type base struct{ Hidden string }

// Inner is embedded as a pointer.
type Inner struct {
	Left, Right []int
}

// Apart is embedded under its own name.
type Apart struct{ ID string }

// Embedding has embedded structs and pointers.
type Embedding struct {
	Base
	base
	*Inner
	Apart `msgpack:",noinline"`
	Level
	Label string
}

// Shadowing has a field that hides one of the embedded struct, which is written under
// its own name then, and embeds a struct of another package.
type Shadowing struct {
	ID string
	Base
	*other.Thing
}

// UUID encodes itself as binary, also where it is a key.
type UUID [16]byte

// MarshalBinary returns the bytes.
func (u UUID) MarshalBinary() ([]byte, error) { return u[:], nil }

// UnmarshalBinary takes the bytes.
func (u *UUID) UnmarshalBinary(b []byte) error {
	if len(b) != len(u) {
		return errors.New("not a UUID")
	}
	copy(u[:], b)
	return nil
}

// Tagged has every option of msgpack's tags.
type Tagged struct {
	Name    string         `msgpack:"n"`
	Zero    int            `msgpack:"z,omitempty"`
	None    []int          `msgpack:",omitempty"`
	Map     map[string]int `msgpack:",omitempty"`
	Ptr     *Item          `msgpack:"p,omitempty"`
	At      time.Time      `msgpack:",omitempty"`
	On      Flag           `msgpack:",omitempty"`
	Text    string         `msgpack:",omitempty,alias:oldtext"`
	Struct  Pair           `msgpack:",omitempty"`
	Word    string         `msgpack:",intern"`
	Ignored chan int       `msgpack:"-"`
	cache   []string       `msgpack:"-"`
	Plan    Plan           `msgpack:"plan,omitempty"`
}

// Plan is written without names.
type Plan struct {
	_msgpack struct{} `msgpack:",as_array"` //lint:ignore U1000 msgpack reads its tag
	Steps    []string
	Cost     float32
	*Inner
}

// Sparse leaves every empty field out.
type Sparse struct {
	_msgpack struct{} `msgpack:",omitempty"` //lint:ignore U1000 msgpack reads its tag
	A        int
	B        *string
	C        []Item
}

// Money encodes itself as binary.
type Money struct {
	cents int64
	notes []string
}

// MarshalBinary writes the amount.
func (m Money) MarshalBinary() ([]byte, error) { return json.Marshal([]any{m.cents, m.notes}) }

// UnmarshalBinary reads what MarshalBinary writes.
func (m *Money) UnmarshalBinary(b []byte) error {
	return json.Unmarshal(b, &[]any{&m.cents, &m.notes})
}

// Color encodes itself as text.
type Color int

// MarshalText writes a digit.
func (c Color) MarshalText() ([]byte, error) { return []byte{'0' + byte(c&7)}, nil }

// UnmarshalText reads a digit.
func (c *Color) UnmarshalText(b []byte) error {
	if len(b) != 1 {
		return errors.New("not a color")
	}
	*c = Color(b[0] - '0')
	return nil
}

// Pick encodes itself with msgpack's encoder, as two values.
type Pick struct{ a, b int64 }

// EncodeMsgpack writes two numbers.
func (p *Pick) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeMulti(p.a, p.b) }

// DecodeMsgpack reads two numbers.
func (p *Pick) DecodeMsgpack(d *msgpack.Decoder) error { return d.DecodeMulti(&p.a, &p.b) }

// Blob encodes itself as msgpack.
type Blob struct{ text string }

// MarshalMsgpack writes a list of one text.
func (b Blob) MarshalMsgpack() ([]byte, error) { return msgpack.Marshal([]string{b.text}) }

// UnmarshalMsgpack reads a list of one text.
func (b *Blob) UnmarshalMsgpack(data []byte) error {
	var list []string
	if err := msgpack.Unmarshal(data, &list); err != nil || len(list) != 1 {
		return errors.Join(err, errors.New("not a blob"))
	}
	b.text = list[0]
	return nil
}

// Marshaling has types that encode themselves, in all places.
type Marshaling struct {
	Money  Money
	Moneys []Money
	Ptr    *Money
	Color  Color
	ByCol  map[Color]Money
	Pick   Pick
	Picks  []*Pick
	Blob   Blob
	Blobs  map[string]Blob
	ByUUID map[UUID]*UUID
}

// Foreign has types of other packages.
type Foreign struct {
	Name   sql.NullString
	Count  sql.Null[int]
	Home   url.URL
	Link   *url.URL
	Addr   netip.Addr
	IP     net.IP
	N      *big.Int
	M      big.Int
	JSON   json.RawMessage
	Thing  other.Thing
	Things []other.Thing
	Cloned other.Cloned
	Odd    other.Odd
}

// Guarded can be shared, but not copied.
type Guarded struct {
	ID    int
	Ready chan struct{} `msgpack:"-"`
	Lock  other.Lock    `msgpack:"-"`
	Parts []Guarded
}

// Shadows has the names that generated code likes.
type Shadows struct{ X []x }

type x struct{ E []e }
type e struct{ D map[k]n }
type k int
type n struct{ I []i }
type i struct{ V *v }
type v struct{ N string }

// FindEverything returns basic kinds.
//
//cache:getorset everything:{id}
func FindEverything(ctx context.Context, id int) (*Everything, error) { return nil, nil }

// FindContainers returns containers.
//
//cache:getorset containers:{id}
func FindContainers(ctx context.Context, id int) (Containers, error) { return Containers{}, nil }

// FindNode returns a recursive value.
//
//cache:getorset node:{id}
func FindNode(ctx context.Context, id int) (*Node, error) { return nil, nil }

// FindTree returns a recursive map.
//
//cache:getorset tree:{id}
func FindTree(ctx context.Context, id int) (Tree, error) { return nil, nil }

// FindList returns a recursive slice.
//
//cache:getorset list:{id}
func FindList(ctx context.Context, id int) (List, error) { return nil, nil }

// FindPage returns an instance of a generic type.
//
//cache:getorset page:{id}
func FindPage(ctx context.Context, id int) (Page[Item], error) { return Page[Item]{}, nil }

// FindEmbedding returns embedded structs.
//
//cache:getorset embedding:{id}
func FindEmbedding(ctx context.Context, id int) (*Embedding, error) { return nil, nil }

// FindShadowing returns fields that hide others.
//
//cache:getorset shadowing:{id}
func FindShadowing(ctx context.Context, id int) (*Shadowing, error) { return nil, nil }

// FindTagged returns fields with tags.
//
//cache:getorset tagged:{id} name=Tagged
func FindTagged(ctx context.Context, id int) ([]Tagged, error) { return nil, nil }

// FindSparse returns what leaves much out.
//
//cache:getorset sparse:{id} name=Sparse
func FindSparse(ctx context.Context, id int) (map[string]*Sparse, error) { return nil, nil }

// FindMarshaling returns what encodes itself.
//
//cache:getorset marshaling:{id}
func FindMarshaling(ctx context.Context, id int) (*Marshaling, error) { return nil, nil }

// FindForeign returns types of other packages.
//
//cache:getorset foreign:{id}
func FindForeign(ctx context.Context, id int) (*Foreign, error) { return nil, nil }

// FindGuarded returns what cannot be copied.
//
//cache:getorset guarded:{id} shared
func FindGuarded(ctx context.Context, id int) (*Guarded, error) { return nil, nil }

// FindShadows returns types with short names.
//
//cache:getorset shadows:{id}
func FindShadows(ctx context.Context, id int) (Shadows, error) { return Shadows{}, nil }

// FindTime returns a time.
//
//cache:getorset time:{id}
func FindTime(ctx context.Context, id int) (time.Time, error) { return time.Time{}, nil }

// FindCount returns a number.
//
//cache:getorset amount:{id}
func FindCount(ctx context.Context, id int) (uint16, error) { return 0, nil }

// FindLabels returns an anonymous struct.
//
//cache:getorset labels:{id}
func FindLabels(ctx context.Context, id int) (struct{ Labels []string }, error) {
	return struct{ Labels []string }{}, nil
}
