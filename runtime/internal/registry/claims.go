package registry

import "reflect"

// Claims are what the caches of one store have claimed for themselves. The zero value is ready.
type Claims struct {
	patterns Patterns
	sources  Sources
}

// A Claim is what a cache needs for itself.
type Claim struct {
	Prefix        string // what its keys begin with
	Pattern, Name string // of its function; an ad-hoc cache has no pattern
	AdHoc         bool
	Keys, Values  reflect.Type
	Defined       bool // it is not a namespace that the program makes while it runs
	// Source is what the function is a method of; it counts if HasSource says so.
	Source    any
	HasSource bool
}

// Claim fails if another cache has what c is about. What a failed transaction has claimed is
// forgotten.
func (k *Claims) Claim(t *Transaction, c Claim) error {
	if c.AdHoc {
		return k.patterns.ClaimAdHoc(t, c.Prefix, c.Name, c.Keys, c.Values, c.Defined)
	}
	if err := k.patterns.Claim(t, c.Prefix, c.Pattern, c.Name, c.Defined); err != nil || !c.HasSource {
		return err
	}
	return k.sources.Claim(t, c.Prefix, c.Name, c.Source)
}
