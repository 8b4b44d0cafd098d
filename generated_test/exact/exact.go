// Package exact has cached functions whose values are of types that look like those of
// well-known libraries: such that have a text for people beside an exact structure, such
// that have nothing but a text, and such that say that a part of them may be lost.
package exact

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"time"
)

// A NullString is one of github.com/guregu/null: its text is empty for NULL and for "".
type NullString struct{ sql.NullString }

// MarshalText returns the string.
func (s NullString) MarshalText() ([]byte, error) { return []byte(s.String), nil }

// UnmarshalText takes an empty text for NULL.
func (s *NullString) UnmarshalText(text []byte) error {
	s.String, s.Valid = string(text), len(text) > 0
	return nil
}

// A Date is one of cloud.google.com/go/civil.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// MarshalText loses nothing of a date that there is.
func (d Date) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%04d-%02d-%02d", d.Year, d.Month, d.Day), nil
}

// UnmarshalText reads it back.
func (d *Date) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d-%d-%d", &d.Year, &d.Month, &d.Day)
	return err
}

// An ID is one of a library of UUIDs.
type ID [16]byte

// MarshalText returns the digits.
func (id ID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", id[:]), nil }

// UnmarshalText reads them.
func (id *ID) UnmarshalText(text []byte) error {
	var raw []byte
	_, err := fmt.Sscanf(string(text), "%x", &raw)
	copy(id[:], raw)
	return err
}

// A Color has a text for the colors that have names.
type Color int

// The colors.
const (
	Red Color = iota
	Green
)

// MarshalText returns the name.
func (c Color) MarshalText() ([]byte, error) {
	switch c {
	case Red:
		return []byte("red"), nil
	case Green:
		return []byte("green"), nil
	}
	return nil, errors.New("no color")
}

// UnmarshalText reads it.
func (c *Color) UnmarshalText(text []byte) error {
	*c = Red
	if string(text) == "green" {
		*c = Green
	}
	return nil
}

// A Price is a decimal as that of github.com/shopspring/decimal.
type Price struct {
	value *big.Int
	exp   int32
}

// MarshalBinary writes all of it.
func (p Price) MarshalBinary() ([]byte, error) {
	data, err := p.value.GobEncode()
	return append([]byte{byte(p.exp)}, data...), err
}

// UnmarshalBinary reads it back.
func (p *Price) UnmarshalBinary(data []byte) error {
	p.exp, p.value = int32(int8(data[0])), new(big.Int)
	return p.value.GobDecode(data[1:])
}

// MarshalText rounds.
func (p Price) MarshalText() ([]byte, error) { return []byte("1.00"), nil }

// UnmarshalText reads what is left.
func (p *Price) UnmarshalText([]byte) error { p.value, p.exp = big.NewInt(1), 0; return nil }

// Clone returns a copy.
func (p Price) Clone() Price { return Price{new(big.Int).Set(p.value), p.exp} }

// A Stamp is a time of another name, as those of packages that write it in their own way.
type Stamp time.Time

// MarshalText rounds to seconds.
func (s Stamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(time.RFC3339)), nil
}

// UnmarshalText reads what is left.
func (s *Stamp) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339, string(text))
	*s = Stamp(t)
	return err
}

// An Event embeds a time, whose methods it has.
type Event struct {
	time.Time
	Name string
}

// A Record has one of each.
type Record struct {
	Name    NullString
	Born    Date
	ID      ID
	Color   Color
	Colors  map[Color]ID
	Price   Price
	Float   *big.Float
	Ratio   *big.Rat
	Whole   big.Int
	Stamp   Stamp
	Event   Event
	Home    url.URL
	Links   map[string]url.URL
	Link    *url.URL
	IP      net.IP
	Addr    netip.AddrPort
	Null    sql.Null[time.Time]
	Number  json.Number
	Raw     json.RawMessage
	Header  map[string][]string
	Elapsed time.Duration
}

// FindRecord returns what Records has.
//
//cache:getorset exactrecord:{id}
func FindRecord(_ context.Context, id int64) (*Record, error) {
	r, ok := Records[id]
	if !ok {
		return nil, sql.ErrNoRows
	}
	return r, nil
}

// Records are the rows.
var Records = map[int64]*Record{}

// A Rounded is stored by its text alone, which loses the rest.
type Rounded struct{ exact float64 }

// MarshalText rounds.
func (r Rounded) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%.1f", r.exact), nil }

// UnmarshalText reads what is left.
func (r *Rounded) UnmarshalText(text []byte) error {
	_, err := fmt.Sscan(string(text), &r.exact)
	return err
}

// A Page has parts that may be lost.
type Page struct {
	Title   string
	Length  Rounded
	Match   *regexp.Regexp
	Session string  `msgpack:"-"`
	cached  *string `msgpack:"-"`
}

// A Plain refers to nothing, so that nobody copies it.
type Plain struct {
	N       int
	Session int `msgpack:"-"`
}

// FindPage has copies.
//
//cache:getorset exactpage:{id} allow=lossy
func FindPage(_ context.Context, id int64) (*Page, error) { return pageOf(id), nil }

// FindPageShared has none.
//
//cache:getorset exactshared:{id} shared allow=lossy
func FindPageShared(_ context.Context, id int64) (*Page, error) { return pageOf(id), nil }

// FindPlain needs none.
//
//cache:getorset exactplain:{id}
func FindPlain(_ context.Context, id int64) (Plain, error) {
	return Plain{int(id), 7}, nil
}

func pageOf(id int64) *Page {
	text := fmt.Sprint("cached ", id)
	return &Page{"Title", Rounded{1.25}, regexp.MustCompile("a+"), "session", &text}
}
