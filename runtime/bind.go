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
	return s.bind(c, namespace, true)
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
	err := errors.Join(given.Options.Check(), p.Check())
	var fn *registry.Function
	if err == nil {
		fn, err = s.functions.Open(d.Name, p)
	}
	if err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.Label(), s.Name(), err)
	}
	isDefault := codec == MsgPack()
	prefix := d.Entries(namespace).KeyPrefix(s.rooms.Prefix)
	if err := errors.Join(c.CheckValue(isDefault), s.patterns.Claim(prefix, d.Pattern, d.FullName(), d.ValueType, defined)); err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.Label(), s.Name(), err)
	}
	s.opened = c.Label()
	c.Attach(&untyped.Binding{Store: s.rooms, Policy: p, Namespace: namespace, Function: fn, Owner: s, Partial: partial}, codec, isDefault)
	return nil
}

// partial returns the cause of a [PartialError].
func partial(err error) (cause error, ok bool) {
	p, ok := errors.AsType[*PartialError](err)
	if ok {
		cause = p.Err
	}
	return cause, ok
}
