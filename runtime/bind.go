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

// BindUntyped is for generated code: it binds a declared cache to the store that its
// definition names, as gen.Bind says.
func (s Stores) BindUntyped(c *untyped.Cache) error {
	s.must()
	d := c.Definition()
	if err := c.Check(); err != nil {
		return err
	}
	store, err := s.Use(d.Store)
	if err != nil {
		return fmt.Errorf("cachegen: open %s: %w", c.Label(), err)
	}
	var namespace []string
	if d.Namespace != "" {
		namespace = []string{d.Namespace}
	}
	if d.Instance != "" { // keys of instances are written alike
		namespace = append(namespace, d.Instance)
	}
	return store.bind(c, namespace, true)
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
	d := untyped.Definition{Name: name, AdHoc: true, KeyType: reflect.TypeOf(key).Elem(), ValueType: reflect.TypeOf(value).Elem()}
	for _, o := range options {
		d.Options = append(d.Options, o)
	}
	c.Declare(d)
	return n.store.bind(c, n.path, true)
}

// bindInside makes of inner, a zero cache, one of c's kind in a namespace inside c's own.
func bindInside(c, inner *untyped.Cache, name string) error {
	b, err := c.Binding()
	if err != nil {
		return err
	}
	inner.Declare(*c.Definition())
	return b.Owner.(*Store).bind(inner, append(slices.Clip(b.Namespace), name), false)
}

// bind binds a declared cache to s. Defined caches keep their key pattern to themselves, not
// those of namespaces that a program makes while it runs.
func (s *Store) bind(c *untyped.Cache, namespace []string, defined bool) error {
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
	s.mu.Lock() // the defaults stay until the cache is open
	defer s.mu.Unlock()
	base, codec := s.given()
	p := base.Apply(given.Options)
	isDefault := codec == MsgPack()
	err := errors.Join(given.Options.Check(), p.Check(), c.CheckValue(isDefault), s.claim(d, namespace, false))
	var fn *registry.Function
	if err == nil {
		fn, err = s.functions.Open(d.Name, p)
	}
	if err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.Label(), s.Name(), err)
	}
	_ = s.claim(d, namespace, defined) // which nobody else has claimed: the mutex is held
	s.opened = c.Label()
	c.Attach(&untyped.Binding{Store: s.rooms, Policy: p, Namespace: namespace, Function: fn, Owner: s, Partial: partial}, codec, isDefault)
	return nil
}

// claim fails if the keys of a definition in a namespace are those of another cache.
func (s *Store) claim(d *untyped.Definition, namespace []string, defined bool) error {
	prefix := d.Entries(namespace).KeyPrefix(s.rooms.Prefix)
	if d.AdHoc {
		return s.patterns.ClaimAdHoc(prefix, d.Name, d.KeyType, d.ValueType, defined)
	}
	return s.patterns.Claim(prefix, d.Pattern, d.FullName(), defined)
}

// partial returns the cause of a [PartialError].
func partial(err error) (cause error, ok bool) {
	p, ok := errors.AsType[*PartialError](err)
	if ok {
		cause = p.Err
	}
	return cause, ok
}
