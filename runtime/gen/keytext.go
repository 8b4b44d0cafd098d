package gen

import (
	"encoding"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// KeyBuffer is room for the text of most keys on a caller's stack.
type KeyBuffer [96]byte

// AppendEscaped appends s to b in a form that holds no colon: bytes that have a
// meaning in keys (%, :, {, }), control bytes, and a leading @ or ! become %XX.
// Different strings have different escaped forms.
func AppendEscaped(b []byte, s string) []byte { return keytext.AppendEscaped(b, s) }

// AppendKeyText appends v's text to b, escaped. It fails if v's MarshalText does.
func AppendKeyText(b []byte, v encoding.TextMarshaler) ([]byte, error) {
	return keytext.AppendText(b, v)
}

// KeyText returns the text of k, or, if k has none, the error in parentheses.
func KeyText(k encoding.TextAppender) string {
	b, err := k.AppendText(nil)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(b)
}
