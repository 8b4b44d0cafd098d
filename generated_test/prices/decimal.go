package prices

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// A Decimal is an exact number with four digits after the point. It marshals
// itself as text, and has nothing that is exported.
type Decimal struct{ units int64 } // ten thousandths

const (
	digits = 4
	one    = 10_000
)

// ParseDecimal reads a number such as -12.5.
func ParseDecimal(text string) (Decimal, error) {
	var d Decimal
	return d, d.UnmarshalText([]byte(text))
}

// String writes all four digits after the point.
func (d Decimal) String() string {
	sign, size := "", uint64(d.units)
	if d.units < 0 {
		sign, size = "-", -size
	}
	return fmt.Sprintf("%s%d.%0*d", sign, size/one, digits, size%one)
}

// Add returns the sum.
func (d Decimal) Add(other Decimal) Decimal { return Decimal{d.units + other.units} }

// MarshalText writes what String returns.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes, with or without zeros at the end.
func (d *Decimal) UnmarshalText(text []byte) error {
	whole, part, _ := strings.Cut(string(text), ".")
	if len(part) > digits || strings.ContainsAny(part, "+-") {
		return fmt.Errorf("decimal %q: want at most %d digits after the point", text, digits)
	}
	units, err := strconv.ParseInt(whole+part+strings.Repeat("0", digits-len(part)), 10, 64)
	if err != nil {
		return fmt.Errorf("decimal %q: %w", text, err)
	}
	d.units = units
	return nil
}

// A Ratio is an exact fraction. It marshals itself as a list of two texts, and
// copies itself: what it refers to can be changed.
type Ratio struct{ value *big.Rat }

// NewRatio returns a/b; b is not zero.
func NewRatio(a, b int64) Ratio { return Ratio{big.NewRat(a, b)} }

// Double doubles the ratio in place.
func (r Ratio) Double() { r.value.Add(r.value, r.value) }

// String returns the fraction as a/b.
func (r Ratio) String() string {
	if r.value == nil {
		return "0/1"
	}
	return r.value.String()
}

// Clone returns a ratio that shares nothing with r.
func (r Ratio) Clone() Ratio {
	if r.value == nil {
		return r
	}
	return Ratio{new(big.Rat).Set(r.value)}
}

// MarshalMsgpack writes the two numbers.
func (r Ratio) MarshalMsgpack() ([]byte, error) {
	if r.value == nil {
		return msgpack.Marshal([]string{})
	}
	return msgpack.Marshal([]string{r.value.Num().String(), r.value.Denom().String()})
}

// UnmarshalMsgpack reads what MarshalMsgpack writes.
func (r *Ratio) UnmarshalMsgpack(data []byte) error {
	var parts []string
	if err := msgpack.Unmarshal(data, &parts); err != nil {
		return fmt.Errorf("ratio: %w", err)
	}
	if len(parts) == 0 {
		r.value = nil
		return nil
	}
	value, ok := new(big.Rat), false
	if len(parts) == 2 && parts[1] != "0" {
		value, ok = value.SetString(parts[0] + "/" + parts[1])
	}
	if !ok {
		return errRatio
	}
	r.value = value
	return nil
}

var errRatio = errors.New("ratio: want two numbers")

// MarshalMsgpack writes the units, of which nothing is lost.
func (d Decimal) MarshalMsgpack() ([]byte, error) { return msgpack.Marshal(d.units) }

// UnmarshalMsgpack reads what MarshalMsgpack has written.
func (d *Decimal) UnmarshalMsgpack(data []byte) error { return msgpack.Unmarshal(data, &d.units) }
