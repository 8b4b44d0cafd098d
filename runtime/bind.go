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

// openAdHoc declares a zero cache for ad-hoc keys and binds it. key and value are nil
// pointers to its types.
func openAdHoc(c *untyped.Cache, in any, name string, key, value any, options []Option) error {
	var s *Store
	var namespace []string
	switch in := in.(type) {
	case *Store:
		s = in
	case *Namespace:
		if in != nil {
			s, namespace = in.store, in.path
		}
	}
	switch {
	case s == nil:
		return fmt.Errorf("%w: NewCache was given nil instead of a store or a namespace", ErrUnknownStore)
	case name == "":
		return errors.New("cachegen: new cache: the name is empty")
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

// bind binds a declared cache to s when t succeeds, which holds the mutex of s; without one, at
// once. defined is as in [untyped.Opening.Open].
func (s *Store) bind(t *registry.Transaction, c untyped.Opening, namespace []string, defined bool) error {
	if t == nil {
		s.mu.Lock() // the defaults stay until the cache is open
		defer s.mu.Unlock()
	}
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
	p := base.Apply(given.Options)
	err := errors.Join(given.Options.Check(), p.Check())
	if err == nil {
		b := &untyped.Binding{Store: s.rooms, Policy: p, Namespace: namespace, Owner: s, Partial: partial}
		err = c.Open(t, &s.functions, &s.claims, b, codec, codec == MsgPack(), defined)
	}
	if err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.Label(), s.Name(), err)
	}
	t.OnSuccess(func() { s.opened = c.Label() })
	return nil
}

// partial returns the cause of a [PartialError].
func partial(err error) (cause error, ok bool) {
	if p, ok := errors.AsType[*PartialError](err); ok {
		return p.Err, true
	}
	return nil, false
}
