package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime"
)

// outcome calls a method with arguments that say nothing, and returns what it panics with, or
// the error that it returns.
func outcome(t *testing.T, method reflect.Value) (panicked string, err error) {
	t.Helper()
	var in []reflect.Value
	for i := range method.Type().NumIn() {
		switch arg := method.Type().In(i); {
		case method.Type().IsVariadic() && i == method.Type().NumIn()-1:
		case arg == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(t.Context()))
		default:
			in = append(in, reflect.Zero(arg))
		}
	}
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Sprint(p)
		}
	}()
	for _, out := range method.Call(in) {
		err, _ = out.Interface().(error)
	}
	return "", err
}

// methodsOf are the methods of a value by their names.
func methodsOf(v any) map[string]reflect.Value {
	methods := make(map[string]reflect.Value)
	for i := range reflect.TypeOf(v).NumMethod() {
		methods[reflect.TypeOf(v).Method(i).Name] = reflect.ValueOf(v).Method(i)
	}
	return methods
}

// Whoever forgets to make what he uses is told what to make, and not where memory is not.
func TestWhatNobodyHasMadePanicsWithASentence(t *testing.T) {
	for _, test := range []struct {
		of       any
		sentence string
	}{
		{runtime.Stores{}, "cachegen: zero Stores: make them with runtime.NewStores or OpenStore"},
		{&runtime.Stores{}, "cachegen: zero Stores: make them with runtime.NewStores or OpenStore"},
		{&runtime.Store{}, "cachegen: zero Store: make it with runtime.NewStore or OpenStore"},
		{&runtime.Namespace{}, "cachegen: zero Namespace: make it with Store.Namespace"},
		{(*runtime.Namespace)(nil), "cachegen: nil Namespace: make it with Store.Namespace"},
		{&runtime.Collected{}, "cachegen: nil or zero Collected: make it with runtime.Collect"},
		{(*runtime.Collected)(nil), "cachegen: nil or zero Collected: make it with runtime.Collect"},
		{(*runtime.Cache[int, int])(nil), "cachegen: nil Cache: make it with runtime.NewCache, or with the constructor of generated code"},
	} {
		methods := methodsOf(test.of)
		if len(methods) == 0 {
			t.Errorf("%T has no methods", test.of)
		}
		for name, method := range methods {
			if got, err := outcome(t, method); got != test.sentence {
				t.Errorf("%s of a %T: panic %q, error %v, want a panic with %q", name, test.of, got, err, test.sentence)
			}
		}
	}
}

// A cache that is not bound has a store that is nil, and a program may ask it for more.
func TestANilStoreIsNotBound(t *testing.T) {
	for name, method := range methodsOf((*runtime.Store)(nil)) {
		panicked, err := outcome(t, method)
		switch name {
		case "Name", "Namespace":
			if panicked != "" {
				t.Errorf("%s: %s", name, panicked)
			}
		default:
			if !errors.Is(err, runtime.ErrNotBound) {
				t.Errorf("%s: panic %q, error %v, want ErrNotBound", name, panicked, err)
			}
		}
	}
	if err := new(runtime.Cache[int, int]).Store().Namespace("a").Namespace("b").Clear(t.Context()); !errors.Is(err, runtime.ErrNotBound) {
		t.Error(err)
	}
}

// A zero Cache is one that is not bound yet: generated code has such.
func TestAZeroCacheIsNotBound(t *testing.T) {
	for name, method := range methodsOf(new(runtime.Cache[int, int])) {
		panicked, err := outcome(t, method)
		if name == "Store" || name == "Untyped" {
			continue
		}
		if !errors.Is(err, runtime.ErrNotBound) || panicked != "" {
			t.Errorf("%s: panic %q, error %v, want ErrNotBound", name, panicked, err)
		}
	}
}

func TestWhereACacheIsMadeNilAndZeroAreErrors(t *testing.T) {
	for want, make := range map[string]func() error{
		"zero *runtime.Store":            func() error { _, err := runtime.NewCache[int, int]((*runtime.Store)(nil), "a"); return err },
		"nil or zero *runtime.Store":     func() error { _, err := runtime.NewCache[int, int](&runtime.Store{}, "a"); return err },
		"nil or zero *runtime.Namespace": func() error { _, err := runtime.NewCache[int, int]((*runtime.Namespace)(nil), "a"); return err },
		"zero *runtime.Namespace":        func() error { _, err := runtime.NewCache[int, int](&runtime.Namespace{}, "a"); return err },
	} {
		if err := make(); !errors.Is(err, runtime.ErrUnknownStore) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
