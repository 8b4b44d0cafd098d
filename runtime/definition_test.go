package runtime_test

import (
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A definition is a gen.Definition whose functions say what they take, for tests that
// write one by hand.
type definition[K comparable, V any] struct {
	Name, Pattern, IntPrefix, Store, Namespace, Instance string

	Shared      bool
	Options     []runtime.Option
	Value       *valueFuncs[V]
	TagPatterns []string
	Tags        func(K) []runtime.Tag
	ResultTags  func(V) []runtime.Tag
	NotFound    error
	Absent      func(V) bool
}

// A valueFuncs is a gen.Value in the same way.
type valueFuncs[V any] struct {
	Fingerprint uint64
	Encode      func(*wire.Encoder, V)
	Decode      func(*wire.Decoder) V
	Copy        func(V) V
	Size        func(V) int
}

func open[K comparable, V any](stores runtime.Stores, d definition[K, V]) (*runtime.Cache[K, V], error) {
	return gen.Open[K, V](stores, d.generated())
}

func declare[K comparable, V any](d definition[K, V]) *runtime.Cache[K, V] {
	return gen.Declare[K, V](d.generated())
}

// A baked option is one of generated code.
type baked struct{ option runtime.Option }

func (b baked) Runtime() runtime.Option { return b.option }

func (d definition[K, V]) generated() *gen.Definition {
	var options []gen.Option
	for _, o := range d.Options {
		options = append(options, baked{o})
	}
	return &gen.Definition{
		Name: d.Name, Pattern: d.Pattern, IntPrefix: d.IntPrefix, Store: d.Store, Namespace: d.Namespace, Instance: d.Instance,
		TagPatterns: d.TagPatterns,
		Shared:      d.Shared, Options: options, Value: d.Value.generated(), NotFound: d.NotFound,
		Tags: untype(d.Tags), ResultTags: untype(d.ResultTags), Absent: untype(d.Absent),
	}
}

func (v *valueFuncs[V]) generated() *gen.Value {
	if v == nil {
		return nil
	}
	out := &gen.Value{Fingerprint: v.Fingerprint, Size: untype(v.Size)}
	out.Encode = func(e *wire.Encoder, x any) { untype(func(x V) any { v.Encode(e, x); return nil })(x) }
	out.Decode = func(d *wire.Decoder) any { return v.Decode(d) }
	if v.Copy != nil {
		out.Copy = untype(func(x V) any { return v.Copy(x) })
	}
	return out
}

// untype makes a function take its argument in an any; nil stays nil.
func untype[T, R any](f func(T) R) func(any) R {
	if f == nil {
		return nil
	}
	return func(x any) R {
		typed, _ := x.(T)
		return f(typed)
	}
}
