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

// A Within is an option of a constructor of generated code, such as NewCachedRepo. It gives the
// entries of what the constructor returns a namespace of their own, inside the namespace that
// the directive names, or else in the store. So two values of one type that are wrapped on the
// same Stores do not share entries, such as repositories of two tenants:
//
//	repo, err := users.NewCachedRepo(tenantA, stores, runtime.Within("tenant-a"))
//
// With several Within the namespaces nest, the first one outermost. A Within is a part of the
// keys, and has to be the same in every process. The constructor fails if a Within is empty.
// Tags are not kept apart: an invalidation by tag is for all entries of the store that have the
// tag, whichever Within they are in.
type Within string

// OpenUntyped is for generated code: it binds declared caches, all or none, as gen.OpenAll says.
func (s Stores) OpenUntyped(within []string, caches ...untyped.Opening) error {
	s.must()
	for _, store := range s.sorted() {
		store.mu.Lock()
		defer store.mu.Unlock()
	}
	return untyped.OpenAll(within, caches, func(t *registry.Transaction, c untyped.Opening, namespace []string) error {
		store, err := s.Use(c.Definition().Store)
		if err != nil {
			return fmt.Errorf("cachegen: open %s: %w", c.Label(), err)
		}
		return store.bind(t, c, namespace, true)
	})
}

// openAdHoc declares a zero cache for ad-hoc keys and binds it. in is a *Store or a *Namespace,
// and key and value are nil pointers to the cache's types.
func openAdHoc(c *untyped.Cache, in any, name string, key, value any, options []Option) error {
	n, ok := in.(*Namespace)
	if s, _ := in.(*Store); !ok {
		n = &Namespace{store: s}
	}
	if n == nil || n.store == nil || n.store.rooms == nil {
		return fmt.Errorf("%w: NewCache was given a nil or zero %T", ErrUnknownStore, in)
	}
	d := untyped.Definition{
		Name: name, AdHoc: true, KeyType: reflect.TypeOf(key).Elem(), ValueType: reflect.TypeOf(value).Elem(), NotFound: ErrNotFound,
	}
	for _, o := range options {
		d.Options = append(d.Options, o)
	}
	c.Declare(d)
	return n.store.bindAlone(c, n.path, true)
}

// bindInside makes of inner, a zero cache, one of c's kind in a namespace inside c's own.
func bindInside(c, inner *untyped.Cache, name string) error {
	if outside := c.Outside(); outside != nil {
		bound := new(untyped.Cache)
		if err := bindInside(outside, bound, name); err != nil {
			return err
		}
		inner.ForTransaction(bound)
		return nil
	}
	b, err := c.Binding()
	if err != nil {
		return err
	}
	inner.Declare(*c.Definition())
	return b.Owner.(*Store).bindAlone(inner, append(slices.Clip(b.Namespace), name), false)
}

// bindAlone binds a declared cache to s. defined is as in [untyped.Place].
func (s *Store) bindAlone(c *untyped.Cache, namespace []string, defined bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return registry.Together([]untyped.Opening{{Cache: c}}, func(t *registry.Transaction, c untyped.Opening) error {
		return s.bind(t, c, namespace, defined)
	})
}

// bind is bindAlone as a part of t. The mutex of s is held: the defaults stay until t has ended.
func (s *Store) bind(t *registry.Transaction, c untyped.Opening, namespace []string, defined bool) error {
	if err := c.Check(); err != nil {
		return err
	}
	var given policy.Call
	for _, o := range c.Definition().Options {
		o, _ := o.(Option)
		if o == nil {
			return fmt.Errorf("cachegen: open %s: one of its options is nil", c.Label())
		}
		o.applyToCall(&given)
	}
	base, codec := s.given()
	t.OnSuccess(func() { s.opened = c.Label() })
	return c.Open(t, untyped.Place{
		Binding: &untyped.Binding{Store: s.rooms, Policy: base, Namespace: namespace, Owner: s, Partial: partial}, Options: given.Options,
		Functions: &s.functions, Claims: &s.claims, Codec: codec, IsDefault: codec == MsgPack(), Defined: defined,
	})
}

// partial returns the cause of a [PartialError].
func partial(err error) (cause error, ok bool) {
	if p, ok := errors.AsType[*PartialError](err); ok {
		return p.Err, true
	}
	return nil, false
}
