package untyped

import (
	"reflect"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A Definition is a cached function as generated code describes it; gen.Definition says
// what the fields mean. Functions get keys as K and values as V in an any, where a nil is
// the nil of an interface type.
type Definition struct {
	AdHoc                      bool // a program has chosen the name, and writes keys as it likes
	Name, Pattern, IntPrefix   string
	Store, Namespace, Instance string
	TagPatterns                []string
	Shared                     bool
	Options                    []any // each a runtime.Option, or nil
	Value                      *Value
	Tags, ResultTags           func(any) []string
	NotFound                   error
	Absent                     func(any) bool
	KeyType, ValueType         reflect.Type
}

// FullName is the name of one cache: where the definition is of a generic function, with
// the type arguments.
func (d *Definition) FullName() string {
	if d.Instance == "" {
		return d.Name
	}
	return d.Name + "[" + d.Instance + "]"
}

// Entries names the entries of the cache in a namespace.
func (d *Definition) Entries(namespace []string) entry.Cache {
	return entry.Cache{Namespace: namespace, Name: d.FullName(), AdHoc: d.AdHoc}
}

// absent is what says that a value means that there is none. A nil pointer or interface
// does, whatever the definition says: nothing else is it good for.
func (d *Definition) absent() func(any) bool {
	if d.Absent != nil {
		return d.Absent
	}
	switch d.ValueType.Kind() {
	case reflect.Pointer:
		return func(v any) bool { return v == nil || reflect.ValueOf(v).IsNil() }
	case reflect.Interface:
		return func(v any) bool { return v == nil }
	}
	return nil
}

// Fits reports whether v, which may be nil, is a value of the definition's type: another
// function may have cached another type under the same key.
func (d *Definition) Fits(v any) bool {
	t := reflect.TypeOf(v)
	return t == d.ValueType || t == nil || d.ValueType.Kind() == reflect.Interface && t.Implements(d.ValueType)
}

// A Value is what generated code knows of a type of cached values; see gen.Value.
type Value struct {
	Fingerprint uint64
	Lossy       bool
	Encode      func(*wire.Encoder, any)
	Decode      func(*wire.Decoder) any
	Copy        func(any) any
	Size        func(any) int
}
