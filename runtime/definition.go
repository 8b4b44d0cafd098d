package runtime

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
)

// A Definition is what is known of a cached function before the program runs.
// Generated code holds one for each.
type Definition[K comparable, V any] struct {
	// Name identifies the cache among all that use the store: for the stamp that
	// [Cache.Clear] changes, and in logs. Without a name, Clear clears the namespace.
	Name string
	// Pattern is the key as the directive has it: user:{id}.
	Pattern string
	// IntPrefix is the text before the only placeholder of a key that ends in one
	// integer, which [Cache.HitInt] then finds without writing the text.
	IntPrefix string
	// Store names the store; empty is the default one. Namespace is the part of it
	// that the entries live in, empty for none.
	Store, Namespace string
	// Instance tells the caches of a generic function, or of the methods of a generic type,
	// apart: its type arguments, as [TypeArgs] writes them. Empty for others.
	Instance string
	// Shared hands every caller the same value, which none may change. Otherwise
	// each gets a copy of what is in memory, if the type has anything that copies
	// would share. What unexported fields refer to is not copied.
	Shared bool
	// Options are the baked-in options.
	Options []Option
	// Value is what generated code knows of V. Nil leaves it to reflection.
	Value *Value[V]
	// Tags and ResultTags return the tags that the key and the value tell. Both
	// may be nil.
	Tags       func(K) []Tag
	ResultTags func(V) []Tag
	// NotFound is the error by which a loader says that there is nothing; nil if
	// there is none. A load that fails with an error that is NotFound, by errors.Is,
	// is no failure: that there is nothing is remembered for the [NotFoundTTL] like
	// a value, and replaces one, also where that could stand in. The callers of that
	// load get its error, later ones NotFound itself.
	NotFound error
	// Absent says that a loaded value means the same, such as a nil pointer; it may
	// be nil. GetOrSet then returns the zero V without an error. What is remembered
	// either way is there for GetOrSet only: to Get, Has and Pull it is not.
	Absent func(V) bool
}

// A Cache is a typed handle to the entries of one function, or of one kind of
// ad-hoc key, in a store. All handles to the same entries share everything, so
// that it does not matter how many there are.
//
// The zero Cache is not bound: its methods return [ErrNotBound]. Those of a nil Cache
// panic.
type Cache[K comparable, V any] struct {
	definition Definition[K, V]
	bound      atomic.Pointer[binding[K]]
}

// A binding is what a cache gets with its store.
type binding[K any] struct {
	core
	appendKey func([]byte, K) ([]byte, error)
}

// Open returns the cache of a definition in the store that the definition names.
// It fails if there is no such store, if K cannot be a key, if the options
// contradict each other, or if another function's keys in the store are written
// alike: the two would get each other's values.
func Open[K comparable, V any](stores Stores, d Definition[K, V]) (*Cache[K, V], error) {
	c := Declare(d)
	if err := c.Bind(stores); err != nil {
		return nil, err
	}
	return c, nil
}

// Declare returns a cache that works once it is bound.
func Declare[K comparable, V any](d Definition[K, V]) *Cache[K, V] {
	return &Cache[K, V]{definition: d}
}

// fullName is the name of the cache itself where the definition is of a generic function.
func (d *Definition[K, V]) fullName() string {
	if d.Instance == "" {
		return d.Name
	}
	return d.Name + "[" + d.Instance + "]"
}

// Bind opens a declared cache on stores; see [Open]. Binding it again moves it.
// Callers that are in a method meanwhile end on the stores they began with.
func (c *Cache[K, V]) Bind(stores Stores) error {
	s, err := stores.Use(c.definition.Store)
	if err != nil {
		return fmt.Errorf("cachegen: open %s: %w", c.label(), err)
	}
	var namespace []string
	if c.definition.Namespace != "" {
		namespace = []string{c.definition.Namespace}
	}
	if c.definition.Instance != "" { // keys of instances are written alike
		namespace = append(namespace, c.definition.Instance)
	}
	return c.bind(s, namespace, true)
}

// NewCache returns a cache for ad-hoc keys in a store or namespace. K is a string
// type, an integer type, or one with AppendText (see encoding.TextAppender) or
// MarshalText. AppendText has to append: one that drops or changes what it is given is
// an error of every method. A string is the whole text of the key: its colons separate
// nothing.
func NewCache[K comparable, V any](in Space, options ...Option) (*Cache[K, V], error) {
	var s *Store
	var namespace []string
	if in != nil {
		s, namespace = in.space()
	}
	if s == nil {
		return nil, fmt.Errorf("%w: NewCache was given nil", ErrUnknownStore)
	}
	c := Declare(Definition[K, V]{Options: options})
	if err := c.bind(s, namespace, true); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache[K, V]) label() string {
	if name := c.definition.fullName(); name != "" {
		return name
	}
	return fmt.Sprintf("Cache[%v, %v]", reflect.TypeFor[K](), reflect.TypeFor[V]())
}

func (c *Cache[K, V]) bind(s *Store, namespace []string, defined bool) error {
	appendKey, err := keyAppender[K]()
	if err != nil {
		return err
	}
	d := &c.definition
	fn, overrides := s.function(d.Name)
	var given call
	for _, o := range slices.Concat(d.Options, overrides) {
		if o == nil {
			return fmt.Errorf("cachegen: open %s: a nil option", c.label())
		}
		o.applyToCall(&given)
	}
	set, codec := s.options(given.settings), s.valueCodec()
	if err := set.check(); err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.label(), s.name, err)
	}
	k := &binding[K]{appendKey: appendKey, core: core{
		store: s, name: d.fullName(), namespace: namespace,
		function:    fn,
		settings:    set,
		fingerprint: d.Value.fingerprint(codec),
		shares:      !d.Shared && d.Value.shares(),
		decode:      d.Value.decoder(codec),
		encode:      d.Value.encoder(codec),
		size:        d.Value.size(),
	}}
	if d.Value == nil || d.Value.Copy != nil {
		k.copy = func(v any) any {
			typed, _ := v.(V)
			return d.Value.copy(typed)
		}
	}
	if d.ResultTags != nil {
		k.resultTags = func(v any) []Tag {
			typed, _ := v.(V)
			return d.ResultTags(typed)
		}
	}
	k.notFound = d.NotFound
	if d.Absent != nil {
		k.absent = func(v any) bool {
			typed, _ := v.(V)
			return d.Absent(typed)
		}
	}
	k.place(d.IntPrefix, d.IntPrefix != "")
	if err := s.keys.claim(k.base, d.Pattern, d.fullName(), defined); err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.label(), s.name, err)
	}
	c.bound.Store(k)
	return nil
}

// Namespace returns a cache of the same kind in a namespace inside c's own.
func (c *Cache[K, V]) Namespace(name string) (*Cache[K, V], error) {
	k, err := c.core()
	if err != nil {
		return nil, err
	}
	inner := Declare(c.definition)
	if err := inner.bind(k.store, append(slices.Clip(k.namespace), name), false); err != nil {
		return nil, err
	}
	return inner, nil
}

func (c *Cache[K, V]) core() (*binding[K], error) {
	if k := c.bound.Load(); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w (%s)", ErrNotBound, c.label())
}
