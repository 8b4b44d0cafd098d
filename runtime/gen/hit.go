package gen

import (
	"context"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// Hit returns the value of the key with that text if it is fresh in memory. It is the
// fast path of generated code, and allocates nothing. The value is the cache's own: the
// caller copies it, unless the function is shared or the definition has no [Value]. A
// false may have any reason, such as that ctx is of a transaction (see runtime.Collect): the
// caller goes on with GetOrSet.
func Hit[K comparable, V any](ctx context.Context, c *runtime.Cache[K, V], text []byte) (v V, ok bool) {
	if untyped.Collects(ctx) {
		return v, false
	}
	return hit[V](c.Untyped().Hit(text))
}

// HitInt is [Hit] for the key whose text is the definition's IntPrefix and n.
func HitInt[K comparable, V any](ctx context.Context, c *runtime.Cache[K, V], n int64) (v V, ok bool) {
	if untyped.Collects(ctx) {
		return v, false
	}
	return hit[V](c.Untyped().HitInt(n))
}

// hit gives a value its type. That of another type, which another function has cached
// under the same key, is no hit. Nil is that of an interface, or what is remembered
// where there is no value.
func hit[V any](x any, ok bool) (V, bool) {
	v, fits := x.(V)
	return v, ok && (fits || x == nil)
}
