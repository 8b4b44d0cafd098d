package untyped

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// A keyAppender appends the text of a key of one type.
type keyAppender func(b []byte, key any) ([]byte, error)

// appenderOf returns the function that writes keys of type t.
func appenderOf(t reflect.Type) (keyAppender, error) {
	if t.Implements(reflect.TypeFor[encoding.TextAppender]()) {
		return func(b []byte, key any) ([]byte, error) { return key.(encoding.TextAppender).AppendText(b) }, nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, key any) ([]byte, error) { return appendAdHoc(b, reflect.ValueOf(key).String()), nil }, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, key any) ([]byte, error) {
			return strconv.AppendInt(b, reflect.ValueOf(key).Int(), 10), nil
		}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(b []byte, key any) ([]byte, error) {
			return strconv.AppendUint(b, reflect.ValueOf(key).Uint(), 10), nil
		}, nil
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return func(b []byte, key any) ([]byte, error) { return keytext.AppendText(b, key.(encoding.TextMarshaler)) }, nil
	}
	return nil, fmt.Errorf("%v cannot be the type of a key: use a string, an integer, or a type with AppendText or MarshalText", t)
}

var (
	errEmptyKey    = errors.New("its text is empty: give every key some text")
	errNotAppended = errors.New("AppendText does not append to the bytes it is given: it must return them followed by the key's text")
	errReservedKey = errors.New("a segment of its text begins with ! or @, which is reserved: escape it, or begin with another character")
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
			b = keytext.AppendHex(b, c)
		} else {
			b = append(b, c)
		}
	}
	return b
}
