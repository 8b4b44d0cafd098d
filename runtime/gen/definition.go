package gen

import (
	"errors"
	"reflect"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A Definition is what is known of a cached function before the program runs.
// Generated code holds one for each. Its functions get the key as a K and values as a V,
// the types with which the cache is opened; a nil value is the nil of an interface type.
type Definition struct {
	// Name identifies the cache among all that use the store: for the stamp that Clear
	// changes, and in logs. Without a name, Clear clears the namespace.
	Name string
	// Pattern is the key as the directive has it: user:{id}.
	Pattern string
	// IntPrefix is the text before the only placeholder of a key that ends in one
	// integer, which [HitInt] then finds without writing the text.
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
	// ManySources says that methods of several values may have the entries of the cache: the key
	// says which value it is, or the directive says that all of them read the same data.
	ManySources bool
	// Options are the baked-in options.
	Options []Option
	// Value is what generated code knows of V. Nil leaves it to reflection.
	Value *Value
	// TagPatterns are the tags as the directives have them. An entry that was stored under
	// another Pattern or other TagPatterns, by a version of the program that has been replaced,
	// is a miss: it may be another value, and the tags of today would not reach it.
	TagPatterns []string
	// Tags returns the tags that follow from the key, and ResultTags those that follow from
	// the value. Both may be nil.
	Tags       func(key any) []runtime.Tag
	ResultTags func(value any) []runtime.Tag
	// NotFound is the error by which a loader says that there is no value; nil if
	// there is none. A load that fails with an error that is NotFound, by errors.Is,
	// is no failure: that there is no value replaces a value, also one that could be served
	// as a grace value, and is remembered for the NotFoundTTL. The callers of that load get
	// its error, later ones NotFound itself.
	NotFound error
	// Absent says that a loaded value means the same, and so does that a loader of many keys
	// returns none; it may be nil. GetOrSet then returns the zero V without an error. Without
	// it, nil pointers and interfaces say so. What is remembered either way is there for
	// GetOrSet only: to Get, Has and Pull it is not.
	Absent func(value any) bool
}

// A Value is what generated code knows of a type V of cached values, so that
// nothing has to be found out by reflection. Its functions may be called by several
// goroutines at a time, and must not keep or change what they are given.
type Value struct {
	// Fingerprint differs for different shapes of the type. An entry in the shared tier that
	// carries another one is a miss.
	Fingerprint uint64
	// Lossy says that decoding gives less than what was encoded, by what the source says:
	// there are fields with the tag msgpack:"-", or parts of which only a text is stored. Memory
	// keeps what decoding gives then, so that what a caller gets does not depend on the tier.
	Lossy bool
	// Encode and Decode are the codec. A store with a codec of its own, see
	// runtime.WithCodec, does not use them; otherwise neither may be nil.
	Encode func(*wire.Encoder, any)
	Decode func(*wire.Decoder) any
	// Copy returns a copy that shares no memory with its argument. Nil says that
	// assignment does that.
	Copy func(any) any
	// Size estimates how many bytes of memory a value refers to, besides those of
	// the V itself. Nil says that it refers to none.
	Size func(any) int
}

// Open returns the cache of a definition in the store that the definition names, inside the
// namespaces of within. With an error, which is one of [Bind], the cache is not bound. Who
// opens the cache so loads as the definition's function does, or not at all: nobody compares
// what Open's callers load from.
func Open[K comparable, V any](stores runtime.Stores, d *Definition, within ...runtime.Within) (*runtime.Cache[K, V], error) {
	c := new(runtime.Cache[K, V])
	declare(c.Untyped(), d, (*K)(nil), (*V)(nil))
	return c, stores.OpenUntyped(texts(within), untyped.Opening{Cache: c.Untyped()})
}

// An Opening is a cache that a constructor opens.
type Opening struct{ of untyped.Opening }

// Source makes a cache for values that a method of source loads. It fails to open if it has been
// opened around another source, unless the definition has ManySources. Sources are the same if
// they are one pointer, or equal by ==; of a type without a size there is one. The store keeps the
// first one for as long as the store itself is in use. It is no nil pointer, with which each load would panic.
func Source[K comparable, V any](c **runtime.Cache[K, V], d *Definition, source any) Opening {
	o := Handle(c, d)
	o.of.Source, o.of.HasSource, o.of.MustExist = source, !d.ManySources, true
	return o
}

// Embedded is [Source] for a method of what the wrapped value embeds, which may be nil.
func Embedded[K comparable, V any](c **runtime.Cache[K, V], d *Definition, source any) Opening {
	o := Source(c, d, source)
	o.of.MustExist = false
	return o
}

// Handle makes a cache for values that others load.
func Handle[K comparable, V any](c **runtime.Cache[K, V], d *Definition) Opening {
	*c = new(runtime.Cache[K, V])
	declare((*c).Untyped(), d, (*K)(nil), (*V)(nil))
	return Opening{untyped.Opening{Cache: (*c).Untyped()}}
}

// OpenAll opens caches in the stores that their definitions name, inside the namespaces of within,
// of which none may be empty: all caches or, with an error, which is one of [Bind] or about a
// source, none.
func OpenAll(stores runtime.Stores, within []runtime.Within, caches ...Opening) error {
	all := make([]untyped.Opening, len(caches))
	for i, c := range caches {
		all[i] = c.of
	}
	return stores.OpenUntyped(texts(within), all...)
}

// Declare returns a cache that works once it is bound.
func Declare[K comparable, V any](d *Definition) *runtime.Cache[K, V] {
	c := new(runtime.Cache[K, V])
	declare(c.Untyped(), d, (*K)(nil), (*V)(nil))
	return c
}

// A Binder is what runtime.Cache.Untyped returns, or an *[Instances].
type Binder interface {
	// Bind opens the caches on a runtime.Stores; see [Bind].
	Bind(stores untyped.Stores) error
}

// Bind opens declared caches on stores, all that can be. A cache fails if the store that it
// names is not there, if options contradict each other, or if another function's keys in
// the store are written alike: the two would get each other's values. Binding again moves a
// cache. A method that is running meanwhile ends on the stores with which it began.
func Bind(stores runtime.Stores, caches ...Binder) error {
	var errs []error
	for _, c := range caches {
		errs = append(errs, c.Bind(stores))
	}
	return errors.Join(errs...)
}

func declare(c *untyped.Cache, d *Definition, key, value any) { c.Declare(d.untyped(key, value)) }

// untyped returns the definition as the runtime takes it. key and value are nil pointers
// to the types.
func (d *Definition) untyped(key, value any) untyped.Definition {
	options := make([]any, len(d.Options))
	for i, o := range d.Options {
		options[i] = o.Runtime()
	}
	return untyped.Definition{
		Name: d.Name, Pattern: d.Pattern, IntPrefix: d.IntPrefix, TagPatterns: d.TagPatterns,
		Store: d.Store, Namespace: d.Namespace, Instance: d.Instance,
		Shared: d.Shared, Options: options, Value: (*untyped.Value)(d.Value),
		Tags: names(d.Tags), ResultTags: names(d.ResultTags),
		NotFound: d.NotFound, Absent: d.Absent,
		KeyType: reflect.TypeOf(key).Elem(), ValueType: reflect.TypeOf(value).Elem(),
	}
}

// names returns a function that returns tags as strings.
func names(tags func(any) []runtime.Tag) func(any) []string {
	if tags == nil {
		return nil
	}
	return func(v any) []string { return texts(tags(v)) }
}

// texts returns strings as plain ones.
func texts[S ~string](list []S) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
