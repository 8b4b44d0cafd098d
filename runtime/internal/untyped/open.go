package untyped

import (
	"fmt"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// An Opening is a declared cache that is to be opened. With HasSource its values are loaded by a
// method of Source: no other value may have the same entries.
type Opening struct {
	*Cache
	Source    any
	HasSource bool
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

// Open claims for a cache that Check has nothing against what its definition needs, and gives it
// its store when t succeeds. Defined caches keep their key pattern to themselves, not those of
// namespaces that a program makes while it runs.
func (o *Opening) Open(t *registry.Transaction, functions *registry.Functions, claims *registry.Claims, b *Binding, codec Codec, isDefault, defined bool) (err error) {
	d := &o.definition
	if err := o.CheckValue(isDefault); err != nil {
		return err
	}
	if b.Function, err = functions.Open(t, d.Name, b.Policy); err != nil {
		return err
	}
	err = claims.Claim(t, registry.Claim{
		Prefix: d.Entries(b.Namespace).KeyPrefix(b.Prefix), Pattern: d.Pattern, Name: d.FullName(), AdHoc: d.AdHoc,
		Keys: d.KeyType, Values: d.ValueType, Defined: defined, Source: o.Source, HasSource: o.HasSource,
	})
	if err != nil {
		return err
	}
	t.OnSuccess(func() { o.Attach(b, codec, isDefault) })
	return nil
}
