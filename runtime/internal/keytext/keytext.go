// Package keytext writes values as parts of keys, so that different values are written
// differently and no part can be taken for a separator or a reserved key. Keys are in
// shared tiers: a change of the form makes every entry that is there a miss.
package keytext

import (
	"encoding"
	"fmt"
)

const hexDigits = "0123456789ABCDEF"

// AppendHex appends %XX for a byte.
func AppendHex(b []byte, c byte) []byte { return append(b, '%', hexDigits[c>>4], hexDigits[c&15]) }

// AppendEscaped appends s in a form that holds no colon: bytes that have a meaning in
// keys (%, :, {, }), control bytes, and a leading @ or ! become %XX. Different strings
// have different escaped forms.
func AppendEscaped(b []byte, s string) []byte {
	plain := 0
	for i := 0; i < len(s); i++ {
		if !mustEscape(s[i], i) {
			continue
		}
		b = AppendHex(append(b, s[plain:i]...), s[i])
		plain = i + 1
	}
	return append(b, s[plain:]...)
}

func mustEscape(c byte, i int) bool {
	switch c {
	case '%', ':', '{', '}', 0x7f:
		return true
	case '@', '!':
		return i == 0
	}
	return c < 0x20
}

// AppendText appends v's text, escaped. It fails if v's MarshalText does.
func AppendText(b []byte, v encoding.TextMarshaler) ([]byte, error) {
	text, err := v.MarshalText()
	if err != nil {
		return b, fmt.Errorf("cachegen: write %T as part of a key: %w", v, err)
	}
	return AppendEscaped(b, string(text)), nil
}
