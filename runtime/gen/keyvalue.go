package gen

import (
	"reflect"
	"strconv"
)

// A KeyValue is what a key's field can be whose type is a type parameter.
type KeyValue interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~string | ~bool
}

// AppendKeyValue appends v to b as fields of fixed types are: numbers in decimal, strings
// escaped.
func AppendKeyValue[T KeyValue](b []byte, v T) []byte {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return AppendEscaped(b, r.String())
	case reflect.Bool:
		return strconv.AppendBool(b, r.Bool())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, r.Uint(), 10)
	default:
		return strconv.AppendInt(b, r.Int(), 10)
	}
}
