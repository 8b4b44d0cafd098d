package gen

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/runtime"
)

// Keys are the keys of a list's elements.
func Keys[K, E any](list []E, key func(E) K) []K {
	keys := make([]K, len(list))
	for i, e := range list {
		keys[i] = key(e)
	}
	return keys
}

// Each calls do with the elements of a list, and joins its errors.
func Each[E any](list []E, do func(E) error) error {
	var errs []error
	for _, e := range list {
		errs = append(errs, do(e))
	}
	return errors.Join(errs...)
}

// GetOrSetMap is runtime.Cache.GetOrSetMany for a loader that is asked for elements of a list,
// of which key makes keys, and returns a map from these elements.
func GetOrSetMap[K, E comparable, V any, S ~[]E, M ~map[E]V](ctx context.Context, c *runtime.Cache[K, V], list S, key func(E) K,
	load func(context.Context, S) (M, error), options ...runtime.CallOption) (M, error) {
	elements := make(map[K]E, len(list))
	found, err := c.GetOrSetMany(ctx, keysOf(list, key, elements), func(ctx context.Context, missing []K) (map[K]V, error) {
		values, err := load(ctx, elementsOf[S](missing, elements))
		loaded := make(map[K]V, len(values))
		for e, v := range values {
			loaded[key(e)] = v
		}
		return loaded, err
	}, options...)
	out := make(M, len(found))
	for _, e := range list { // several may have one key: it need not have all that they differ in
		k := key(e)
		v, ok := found[k]
		if _, again := out[e]; !ok || again {
			continue
		}
		if e != elements[k] { // which has the value itself
			v, _ = c.Untyped().Own(v).(V)
		}
		out[e] = v
	}
	return out, err
}

// GetOrSetList is [GetOrSetMap] for a loader that returns a list. by tells which element a
// value belongs to, and is false for one that belongs to none. The result has the order of
// list, and each value once.
func GetOrSetList[K, E comparable, V any, S ~[]E, L ~[]V](ctx context.Context, c *runtime.Cache[K, V], list S, key func(E) K, by func(V) (E, bool),
	load func(context.Context, S) (L, error), options ...runtime.CallOption) (L, error) {
	elements := make(map[K]E, len(list))
	keys := keysOf(list, key, elements)
	found, err := c.GetOrSetMany(ctx, keys, func(ctx context.Context, missing []K) (map[K]V, error) {
		values, err := load(ctx, elementsOf[S](missing, elements))
		loaded := make(map[K]V, len(values))
		for _, v := range values {
			if e, ok := by(v); ok {
				loaded[key(e)] = v
			}
		}
		return loaded, err
	}, options...)
	out := make(L, 0, len(found))
	for _, k := range keys {
		if v, ok := found[k]; ok {
			out = append(out, v)
			delete(found, k)
		}
	}
	return out, err
}

// keysOf makes keys and remembers which elements they are of.
func keysOf[K, E comparable, S ~[]E](list S, key func(E) K, elements map[K]E) []K {
	keys := make([]K, len(list))
	for i, e := range list {
		keys[i] = key(e)
		elements[keys[i]] = e
	}
	return keys
}

func elementsOf[S ~[]E, K, E comparable](keys []K, elements map[K]E) S {
	list := make(S, len(keys))
	for i, k := range keys {
		list[i] = elements[k]
	}
	return list
}
