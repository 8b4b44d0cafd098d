package runtime

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// KeyBuffer is room for the text of most keys on a caller's stack.
type KeyBuffer [96]byte

const hexDigits = "0123456789ABCDEF"

// AppendEscaped appends s to b in a form that holds no colon: bytes that have a
// meaning in keys (%, :, {, }), control bytes, and a leading @ or ! become %XX.
// Different strings have different escaped forms.
func AppendEscaped(b []byte, s string) []byte {
	plain := 0
	for i := 0; i < len(s); i++ {
		if !mustEscape(s[i], i) {
			continue
		}
		b = append(b, s[plain:i]...)
		b = append(b, '%', hexDigits[s[i]>>4], hexDigits[s[i]&15])
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

// AppendKeyText appends v's text to b, escaped. It fails if v's MarshalText does.
func AppendKeyText(b []byte, v encoding.TextMarshaler) ([]byte, error) {
	text, err := v.MarshalText()
	if err != nil {
		return b, fmt.Errorf("cachegen: text of a key's %T: %w", v, err)
	}
	return AppendEscaped(b, string(text)), nil
}

// KeyText returns the text of k, or, if k has none, the error in parentheses.
func KeyText(k encoding.TextAppender) string {
	b, err := k.AppendText(nil)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(b)
}

// keyAppender returns the function that writes keys of type K.
func keyAppender[K any]() (func([]byte, K) ([]byte, error), error) {
	t := reflect.TypeFor[K]()
	if t.Implements(reflect.TypeFor[encoding.TextAppender]()) {
		return func(b []byte, k K) ([]byte, error) { return any(k).(encoding.TextAppender).AppendText(b) }, nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, k K) ([]byte, error) { return appendAdHoc(b, reflect.ValueOf(k).String()), nil }, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, k K) ([]byte, error) { return strconv.AppendInt(b, reflect.ValueOf(k).Int(), 10), nil }, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(b []byte, k K) ([]byte, error) { return strconv.AppendUint(b, reflect.ValueOf(k).Uint(), 10), nil }, nil
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return func(b []byte, k K) ([]byte, error) { return AppendKeyText(b, any(k).(encoding.TextMarshaler)) }, nil
	}
	return nil, fmt.Errorf("cachegen: %v cannot be a key: want a string, an integer, or a type with AppendText or MarshalText", t)
}

var (
	errEmptyKey    = errors.New("the text is empty")
	errNotAppended = errors.New("AppendText does not append to what it is given")
	errReservedKey = errors.New("a segment begins with ! or @, which is reserved")
)

// checkText refuses the text of a key that could be something else than a key.
func checkText(text []byte) error {
	if len(text) == 0 {
		return errEmptyKey
	}
	for i := range text {
		if reservedAt(text, i) {
			return errReservedKey
		}
	}
	return nil
}

// reservedAt reports whether text has a reserved mark at the start of a segment.
func reservedAt[T string | []byte](text T, i int) bool {
	return (text[i] == '!' || text[i] == '@') && (i == 0 || text[i-1] == ':')
}

// appendAdHoc appends a key that a caller wrote whole. Its colons are the
// caller's own; only what would reach reserved keys is escaped.
func appendAdHoc(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '%' || reservedAt(s, i) {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// trailingInt finds the integer that makes up the last segment of a key's text.
// Only the form that strconv writes counts, so that a number and its text are the
// same key.
func trailingInt(text string) (prefix int, n int64, ok bool) {
	i := len(text)
	for i > 0 && len(text)-i <= 19 && text[i-1] >= '0' && text[i-1] <= '9' {
		i--
	}
	digits := text[i:]
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return 0, 0, false
	}
	if i > 0 && text[i-1] == '-' {
		if digits == "0" {
			return 0, 0, false
		}
		i--
	}
	if i > 0 && text[i-1] != ':' {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(text[i:], 10, 64)
	return i, n, err == nil
}
