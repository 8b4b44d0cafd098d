package prices

import (
	"testing"
	"testing/quick"
)

func TestKeysReadBack(t *testing.T) {
	for name, property := range map[string]any{
		"quote": func(symbol Symbol) bool {
			k := QuoteKey{symbol}
			back, err := ParseQuoteKey(k.String())
			return err == nil && back == k
		},
		"above": func(units int64) bool {
			k := AboveKey{Decimal{units}}
			back, err := ParseAboveKey(k.String())
			return err == nil && back == k
		},
	} {
		if err := quick.Check(property, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPriceKeysAreInjective(f *testing.F) {
	f.Add(int64(0), int64(-1))
	f.Add(int64(-9_999), int64(9_999))
	f.Add(int64(-1<<63), int64(1<<63-1))
	f.Fuzz(func(t *testing.T, a, b int64) {
		one, two := AboveKey{Decimal{a}}, AboveKey{Decimal{b}}
		if (one == two) != (one.String() == two.String()) {
			t.Errorf("%d and %d have the texts %q and %q", a, b, one, two)
		}
		if back, err := ParseAboveKey(one.String()); err != nil || back != one {
			t.Errorf("%q is read back as %+v, %v, want %+v", one, back, err, one)
		}
	})
}
