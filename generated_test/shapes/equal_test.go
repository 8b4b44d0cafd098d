package shapes

import (
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// difference says where two values differ; empty if they are equal. Times are equal
// if their instants and zones are. If loose, zones do not matter, and nil is equal to
// what is empty, as far as plain msgpack mixes them up.
func difference(path string, a, b reflect.Value, loose bool) string {
	open := func(v reflect.Value) reflect.Value {
		if !v.CanInterface() && v.CanAddr() { // of an unexported field
			return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
		}
		return v
	}
	a, b = open(a), open(b)
	differ := func() string { return fmt.Sprintf("%s: %+v and %+v", path, a, b) }
	if a.CanInterface() {
		switch x := a.Interface().(type) {
		case time.Time:
			y := b.Interface().(time.Time)
			xName, xOffset := x.Zone()
			yName, yOffset := y.Zone()
			zones := xName == yName && xOffset == yOffset && x.Location().String() == y.Location().String() && x.IsZero() == y.IsZero()
			if !x.Equal(y) || !zones && !loose {
				return fmt.Sprintf("%s: %v and %v", path, x, y)
			}
			return ""
		case big.Int:
			y := b.Interface().(big.Int)
			if x.Cmp(&y) != 0 {
				return differ()
			}
			return ""
		}
	}
	nils := func() bool { return !loose && a.IsNil() != b.IsNil() }
	switch a.Kind() {
	case reflect.Pointer:
		switch {
		case a.IsNil() && b.IsNil():
			return ""
		case loose && a.IsNil():
			return difference(path+"*", reflect.Zero(a.Type().Elem()), b.Elem(), loose)
		case a.IsNil() != b.IsNil():
			return differ()
		}
		return difference(path+"*", a.Elem(), b.Elem(), loose)
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() || a.Kind() == reflect.Slice && nils() {
			return differ()
		}
		for i := range a.Len() {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i), loose); d != "" {
				return d
			}
		}
	case reflect.Map:
		if a.Len() != b.Len() || nils() {
			return differ()
		}
		for it := a.MapRange(); it.Next(); {
			other := b.MapIndex(it.Key())
			if !other.IsValid() {
				return differ()
			}
			if d := difference(fmt.Sprintf("%s[%v]", path, it.Key()), it.Value(), other, loose); d != "" {
				return d
			}
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if d := difference(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), loose); d != "" {
				return d
			}
		}
	default:
		if !a.Equal(b) {
			return differ()
		}
	}
	return ""
}

func wantSame[V any](t *testing.T, what string, got, want V, loose bool) {
	t.Helper()
	if d := difference("", reflect.ValueOf(&want).Elem(), reflect.ValueOf(&got).Elem(), loose); d != "" {
		t.Fatalf("%s: %s", what, d)
	}
}

// memory collects the addresses of what v refers to and could be changed there.
func memory(v reflect.Value, into map[unsafe.Pointer]bool) {
	switch v.Type() {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[*url.Userinfo]():
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !into[v.UnsafePointer()] {
			if v.Type().Elem().Size() > 0 {
				into[v.UnsafePointer()] = true
			}
			memory(v.Elem(), into)
		}
	case reflect.Slice:
		if v.Cap() > 0 && v.Type().Elem().Size() > 0 {
			into[v.UnsafePointer()] = true
		}
		for i := range v.Len() {
			memory(v.Index(i), into)
		}
	case reflect.Array:
		for i := range v.Len() {
			memory(v.Index(i), into)
		}
	case reflect.Map:
		if !v.IsNil() && !into[v.UnsafePointer()] {
			into[v.UnsafePointer()] = true
			for it := v.MapRange(); it.Next(); {
				memory(it.Value(), into)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			memory(v.Field(i), into)
		}
	}
}

func wantApart[V any](t *testing.T, a, b V) {
	t.Helper()
	first, second := map[unsafe.Pointer]bool{}, map[unsafe.Pointer]bool{}
	memory(reflect.ValueOf(&a).Elem(), first)
	memory(reflect.ValueOf(&b).Elem(), second)
	for p := range second {
		if first[p] {
			t.Fatalf("%+v and its copy share memory", a)
		}
	}
}
