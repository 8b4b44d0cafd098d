package gen

import (
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// Instances are the caches of a generic function: one for each list of type arguments
// with which it is called. The zero value has none.
type Instances struct {
	all sync.Map // of reflect.Type, func(type arguments), to instance

	mu     sync.Mutex // guards stores, and that an instance is either bound with the others or when it is made
	stores untyped.Stores
	bound  bool
}

// An instance is a *runtime.Cache, whose types differ, and what binds it.
type instance struct {
	cache any
	Binder
}

// Bind opens all instances on stores, and later ones when they are first used.
func (i *Instances) Bind(stores untyped.Stores) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stores, i.bound = stores, true
	var err error
	i.all.Range(func(_, c any) bool {
		err = c.(instance).Bind(stores)
		return err == nil
	})
	return err
}

// Instance returns the cache for the type arguments that are the parameters of F. define is
// called for the first of its kind, with the arguments as [TypeArgs] writes them. A cache
// that cannot be opened is not bound: its methods fail with runtime.ErrNotBound, and the
// next Bind says why.
func Instance[F any, K comparable, V any](i *Instances, define func(typeArgs string) *Definition) *runtime.Cache[K, V] {
	f := reflect.TypeFor[F]()
	if c, ok := i.all.Load(f); ok {
		return c.(instance).cache.(*runtime.Cache[K, V])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if c, ok := i.all.Load(f); ok {
		return c.(instance).cache.(*runtime.Cache[K, V])
	}
	c := Declare[K, V](define(TypeArgs[F]()))
	if i.bound {
		_ = c.Untyped().Bind(i.stores) // said by the cache's methods
	}
	i.all.Store(f, instance{c, c.Untyped()})
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
