// Package typed gives what package untyped returns its types back. Everything in it is
// compiled again for each cached function of a program, so it is as small as it can be. It
// holds no state.
package typed

import "github.com/cachegen/cachegen/runtime/internal/untyped"

// Value returns v, a value of a cache, with its type. Nil is the zero V: that of an
// interface type, or what is remembered when there is no value.
func Value[V any](v any) V {
	out, _ := v.(V)
	return out
}

// Found is [Value] with more results.
func Found[V any](v any, ok bool, err error) (V, bool, error) { return Value[V](v), ok, err }

// Loaded is [Value] with an error.
func Loaded[V any](v any, err error) (V, error) { return Value[V](v), err }

// Box returns keys without their type.
func Box[K any](keys []K) []any {
	out := make([]any, len(keys))
	for i, key := range keys {
		out[i] = key
	}
	return out
}

// Unbox is the inverse of [Box].
func Unbox[K any](keys []any) []K {
	out := make([]K, len(keys))
	for i, key := range keys {
		out[i] = Value[K](key)
	}
	return out
}

// Map returns what a call for several keys has found; nil if m is nil.
func Map[K comparable, V any](m *untyped.Many) map[K]V {
	if m == nil {
		return nil
	}
	out := make(map[K]V, len(m.Found))
	for i, key := range m.Found {
		out[Value[K](key)] = Value[V](m.Values[i])
	}
	return out
}
