package untyped

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// An Opening is a declared cache that is to be opened. Source is what its values are loaded by a
// method of, if it is one. With HasSource, no other value may have the same entries.
type Opening struct {
	*Cache
	Source    any
	HasSource bool
	MustExist bool // Source is no nil pointer
}

// OpenAll opens declared caches inside the namespaces of within: all of them or none. open opens
// one in its namespace.
func OpenAll(within []string, caches []Opening, open func(*registry.Transaction, Opening, []string) error) error {
	return registry.Together(caches, func(t *registry.Transaction, c Opening) error {
		if slices.Contains(within, "") {
			return fmt.Errorf("cachegen: open %s: the name of a Within is empty", c.Label())
		}
		return open(t, c, c.definition.path(within))
	})
}

// path returns the namespaces of a definition's entries, the outermost first: its own, those of
// within, and that of its type arguments, with which keys would be written alike.
func (d *Definition) path(within []string) (path []string) {
	if d.Namespace != "" {
		path = append(path, d.Namespace)
	}
	path = append(path, within...)
	if d.Instance != "" {
		path = append(path, d.Instance)
	}
	return path
}

// A Place is where a cache is opened, with what holds there.
type Place struct {
	// Binding is what the cache gets. Its Policy is that of the store; Open applies Options to it,
	// and finds the Function.
	*Binding
	Options   policy.Options // of the cache
	Functions *registry.Functions
	Claims    *registry.Claims
	Codec     Codec
	IsDefault bool // Codec is the default one
	Defined   bool // it is not a namespace that a program makes while it runs, which keeps no key pattern to itself
}

// Open claims what a cache needs that Check has nothing against, and gives it its store when t
// succeeds.
func (o *Opening) Open(t *registry.Transaction, at Place) error {
	d, b := &o.definition, at.Binding
	b.Policy = b.Policy.Apply(at.Options)
	err := errors.Join(at.Options.Check(), b.Policy.Check(), o.CheckValue(at.IsDefault), o.checkSource())
	if err == nil {
		err = at.Claims.Claim(t, registry.Claim{
			Prefix: d.Entries(b.Namespace).KeyPrefix(b.Prefix), Pattern: d.Pattern, Name: d.FullName(), AdHoc: d.AdHoc,
			Keys: d.KeyType, Values: d.ValueType, Defined: at.Defined, Source: o.Source, HasSource: o.HasSource,
		})
	}
	if err == nil {
		b.Function, err = at.Functions.Open(t, d.Name, b.Policy)
	}
	if err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", o.Label(), b.Name, err)
	}
	t.OnSuccess(func() { o.Attach(b, at.Codec, at.IsDefault) })
	return nil
}

// checkSource fails if the source must exist and is nil. A nil pointer to a type without a size is
// as good as another.
func (o *Opening) checkSource() error {
	v := reflect.ValueOf(o.Source)
	if o.MustExist && v.Kind() == reflect.Pointer && v.IsNil() && v.Type().Elem().Size() > 0 {
		return fmt.Errorf("the %T to be wrapped is nil", o.Source)
	}
	return nil
}
