package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// A Within is a namespace of its own for what one constructor of generated code opens, inside the
// one that a directive names, or else in the store. It keeps apart the entries of values that are
// wrapped on one store, such as repositories of several tenants:
//
//	repo, err := users.NewCachedRepo(tenantA, stores, runtime.Within("tenant-a"))
//
// Several are a path, the outermost first. A Within is a part of the keys: it has to be the same
// in every process. The constructor fails if one is empty.
type Within string

// OpenUntyped is for generated code: it binds declared caches, all or none, as gen.OpenAll says.
func (s Stores) OpenUntyped(within []string, caches ...untyped.Opening) error {
	return registry.Together(s.set.functions(), caches, func(t *registry.Transaction, c untyped.Opening) error {
		store, err := s.Use(c.Definition().Store)
		if err != nil {
			return fmt.Errorf("cachegen: open %s: %w", c.Label(), err)
		}
		namespace, err := c.Definition().Path(within)
		if err != nil {
			return err
		}
		return store.bind(t, c, namespace, true)
	})
}

// openAdHoc declares a zero cache for ad-hoc keys and binds it. key and value are nil
// pointers to its types.
func openAdHoc(c *untyped.Cache, in Keyspace, key, value any, options []Option) error {
	if in == nil {
		in = (*Store)(nil)
	}
	s, namespace := in.keyspace()
	if s == nil {
		return fmt.Errorf("%w: NewCache was given nil instead of a store or a namespace", ErrUnknownStore)
	}
	d := untyped.Definition{KeyType: reflect.TypeOf(key).Elem(), ValueType: reflect.TypeOf(value).Elem()}
	for _, o := range options {
		d.Options = append(d.Options, o)
	}
	c.Declare(d)
	return s.bind(nil, untyped.Opening{Cache: c}, namespace, true)
}

// bindInside makes of inner, a zero cache, one of c's kind in a namespace inside c's own.
func bindInside(c, inner *untyped.Cache, name string) error {
	b, err := c.Binding()
	if err != nil {
		return err
	}
	inner.Declare(*c.Definition())
	return b.Owner.(*Store).bind(nil, untyped.Opening{Cache: inner}, append(slices.Clip(b.Namespace), name), false)
}

// bind binds a declared cache to s when t succeeds. defined is as in [untyped.Opening.Open].
func (s *Store) bind(t *registry.Transaction, c untyped.Opening, namespace []string, defined bool) error {
	d := c.Definition()
	if err := c.Check(); err != nil {
		return err
	}
	var given policy.Call
	for _, o := range d.Options {
		o, _ := o.(Option)
		if o == nil {
			return fmt.Errorf("cachegen: open %s: one of its options is nil", c.Label())
		}
		o.applyToCall(&given)
	}
	set := s.set.Load()
	fn, p := set.functions().Open(d.Name, s.policy(set).Apply(given.Options)) // NewStores has checked overrides
	err := errors.Join(given.Options.Check(), p.Check())
	if err == nil {
		b := &untyped.Binding{Store: s.rooms, Policy: p, Namespace: namespace, Function: fn, Owner: s, Partial: partial}
		codec := s.codec(set)
		err = c.Open(t, &s.claims, b, codec, codec == MsgPack, defined)
	}
	if err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.Label(), s.Name(), err)
	}
	return nil
}

// partial returns the cause of a [PartialError].
func partial(err error) (cause error, ok bool) {
	if p, ok := errors.AsType[*PartialError](err); ok {
		return p.Err, true
	}
	return nil, false
}
