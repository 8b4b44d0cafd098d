package untyped

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// An Opening is a declared cache that is to be opened. With HasSource its values are loaded by a
// method of Source: no other value may have the same entries.
type Opening struct {
	*Cache
	Source    any
	HasSource bool
}

// Path returns the namespaces of a definition's entries, the outermost first: its own, those of
// within, and that of its type arguments, with which keys would be written alike.
func (d *Definition) Path(within []string) ([]string, error) {
	var path []string
	if d.Namespace != "" {
		path = append(path, d.Namespace)
	}
	for _, name := range within {
		if name == "" {
			return nil, fmt.Errorf("cachegen: open %s: the name of a Within is empty", d.FullName())
		}
		path = append(path, name)
	}
	if d.Instance != "" {
		path = append(path, d.Instance)
	}
	return path, nil
}

// Open claims for a cache that Check has nothing against what its definition needs, and gives it
// its store when t succeeds. Defined caches keep their key pattern to themselves, not those of
// namespaces that a program makes while it runs.
func (o *Opening) Open(t *registry.Transaction, claims *registry.Claims, b *Binding, codec Codec, isDefault, defined bool) error {
	d := &o.definition
	if err := o.CheckValue(isDefault); err != nil {
		return err
	}
	err := claims.Claim(t, registry.Claim{
		Prefix: d.Entries(b.Namespace).KeyPrefix(b.Prefix), Pattern: d.Pattern, Name: d.FullName(), Values: d.ValueType,
		Defined: defined, Source: o.Source, HasSource: o.HasSource,
	})
	if err != nil {
		return err
	}
	t.OnSuccess(func() { o.Attach(b, codec, isDefault) })
	return nil
}
