package prices

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// wantSame checks that two values are equal in everything that a program can see:
// times by their instant and zone, nil and empty apart.
func wantSame(t *testing.T, got, want any) {
	t.Helper()
	same(t, fmt.Sprintf("%T", want), reflect.ValueOf(got), reflect.ValueOf(want))
}

func same(t *testing.T, path string, got, want reflect.Value) {
	t.Helper()
	if got.Type() != want.Type() {
		t.Errorf("%s: a %v, want a %v", path, got.Type(), want.Type())
		return
	}
	switch v := want.Interface().(type) {
	case time.Time:
		sameTime(t, path, got.Interface().(time.Time), v)
		return
	case Ratio:
		if g := got.Interface().(Ratio); g.String() != v.String() {
			t.Errorf("%s: %v, want %v", path, g, v)
		}
		return
	}
	switch want.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if got.IsNil() != want.IsNil() {
			t.Errorf("%s: nil is %v, want %v", path, got.IsNil(), want.IsNil())
			return
		}
	}
	switch want.Kind() {
	case reflect.Pointer:
		if !want.IsNil() {
			same(t, path, got.Elem(), want.Elem())
		}
	case reflect.Struct:
		for i := range want.NumField() {
			if f := want.Type().Field(i); f.IsExported() {
				same(t, path+"."+f.Name, got.Field(i), want.Field(i))
			} else if !got.Field(i).Equal(want.Field(i)) {
				t.Errorf("%s.%s: %v, want %v", path, f.Name, got.Field(i), want.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		if got.Len() != want.Len() {
			t.Errorf("%s: %d elements, want %d", path, got.Len(), want.Len())
			return
		}
		for i := range want.Len() {
			same(t, fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i))
		}
	case reflect.Map:
		if got.Len() != want.Len() {
			t.Errorf("%s: %d elements, want %d", path, got.Len(), want.Len())
		}
		for _, key := range want.MapKeys() {
			if g := got.MapIndex(key); g.IsValid() {
				same(t, fmt.Sprintf("%s[%v]", path, key), g, want.MapIndex(key))
			} else {
				t.Errorf("%s[%v] is missing", path, key)
			}
		}
	default:
		if !got.Equal(want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func sameTime(t *testing.T, path string, got, want time.Time) {
	t.Helper()
	name, offset := got.Zone()
	wantName, wantOffset := want.Zone()
	if !got.Equal(want) || name != wantName || offset != wantOffset || got.Location().String() != want.Location().String() {
		t.Errorf("%s: %v in %v, want %v in %v", path, got, got.Location(), want, want.Location())
	}
	// The same holds half a year on, when clocks may have been changed.
	if g, w := got.AddDate(0, 6, 0), want.AddDate(0, 6, 0); !g.Equal(w) {
		t.Errorf("%s: %v half a year on, want %v", path, g, w)
	}
}
