package runtime

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Instances are the caches of a generic function: one for each list of type arguments
// with which it is called. The zero value has none.
type Instances struct {
	all sync.Map // of reflect.Type, func(type arguments), to binder

	mu     sync.Mutex // guards stores, and that an instance is either bound with the others or when it is made
	stores Stores
	bound  bool
}

type binder interface{ Bind(Stores) error }

// Bind opens all instances on stores, and later ones when they are first used.
func (i *Instances) Bind(stores Stores) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stores, i.bound = stores, true
	var err error
	i.all.Range(func(_, c any) bool {
		err = c.(binder).Bind(stores)
		return err == nil
	})
	return err
}

// Instance returns the cache for the type arguments that are the parameters of F. define is
// called for the first of its kind, with the arguments as [TypeArgs] writes them. A cache
// that cannot be opened is not bound: its methods fail with [ErrNotBound], and the next
// Bind says why.
func Instance[F any, K comparable, V any](i *Instances, define func(typeArgs string) Definition[K, V]) *Cache[K, V] {
	f := reflect.TypeFor[F]()
	if c, ok := i.all.Load(f); ok {
		return c.(*Cache[K, V])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if c, ok := i.all.Load(f); ok {
		return c.(*Cache[K, V])
	}
	c := Declare(define(TypeArgs[F]()))
	if i.bound {
		_ = c.Bind(i.stores) // said by the cache's methods
	}
	i.all.Store(f, c)
	return c
}

// TypeArgs writes the types of F's parameters in full, so that no two lists of types are
// written alike: F is func(K, V) for the type arguments K and V.
func TypeArgs[F any]() string {
	f := reflect.TypeFor[F]()
	names := make([]string, f.NumIn())
	for i := range names {
		names[i] = typeName(f.In(i))
	}
	return strings.Join(names, ",")
}

// typeName is a type's name with its import path, and those of what it is made of.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return "[" + strconv.Itoa(t.Len()) + "]" + typeName(t.Elem())
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	case reflect.Struct:
		var b strings.Builder
		b.WriteString("struct{")
		for i := range t.NumField() {
			f := t.Field(i)
			b.WriteString(f.PkgPath + f.Name + " " + typeName(f.Type) + " " + strconv.Quote(string(f.Tag)) + ";")
		}
		return b.String() + "}"
	}
	return t.String() // functions, channels and interfaces, which no value survives in
}

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

// GetOrSetMap is [Cache.GetOrSetMany] for a loader that is asked for elements of a list,
// of which key makes keys, and returns a map from these elements.
func GetOrSetMap[K, E comparable, V any, S ~[]E, M ~map[E]V](ctx context.Context, c *Cache[K, V], list S, key func(E) K,
	load func(context.Context, S) (M, error), options ...CallOption) (M, error) {
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
			v = c.own(c.bound.Load(), v)
		}
		out[e] = v
	}
	return out, err
}

// GetOrSetList is [GetOrSetMap] for a loader that returns a list. by tells which element a
// value belongs to, and is false for one that belongs to none. The result has the order of
// list, and each value once.
func GetOrSetList[K, E comparable, V any, S ~[]E, L ~[]V](ctx context.Context, c *Cache[K, V], list S, key func(E) K, by func(V) (E, bool),
	load func(context.Context, S) (L, error), options ...CallOption) (L, error) {
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

// ScanKeyValue parses a part that [AppendKeyValue] wrote.
func ScanKeyValue[T KeyValue](s *KeyScanner, part string) T {
	var v T
	switch r := reflect.ValueOf(&v).Elem(); r.Kind() {
	case reflect.String:
		r.SetString(s.String(part))
	case reflect.Bool:
		r.SetBool(s.Bool(part))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		r.SetUint(s.Uint(part, r.Type().Bits()))
	default:
		r.SetInt(s.Int(part, r.Type().Bits()))
	}
	return v
}
