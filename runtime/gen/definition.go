package gen

import (
	"errors"
	"reflect"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A Definition is what is known of a cached function before the program runs. Generated code has
// one for each function. The functions in a Definition get the key as a K and values as a V, the
// types with which the cache is opened. A nil value is the nil of an interface type.
type Definition struct {
	// Name identifies the cache among all that use the store. It is a part of the stamp that
	// Clear changes, and is in logs, errors and events. Without a Name, Clear clears the whole
	// namespace.
	Name string
	// Pattern is the key as the directive has it: user:{id}.
	Pattern string
	// IntPrefix is set if the only placeholder of the key is one integer at its end. It is the
	// text before the integer, with which [HitInt] finds the entry without writing the text of
	// the key.
	IntPrefix string
	// Store names the store; empty is the default store. Namespace is the namespace of the store
	// that has the entries; empty is none.
	Store, Namespace string
	// Instance tells apart the caches of a generic function, or of the methods of a generic
	// type. It is the type arguments, as [TypeArgs] writes them, and empty for other functions.
	Instance string
	// Shared says that every caller gets the same value, which no caller may change. Otherwise
	// each caller gets a copy of what is in memory, if the type has anything that an assignment
	// would share. What unexported fields refer to is not copied.
	Shared bool
	// ManySources says that several values of the type with the cached method may have one
	// cache, because the key says which value it is for, or because the directive says that all
	// of them read the same data.
	ManySources bool
	// Options are the options that the directive gives.
	Options []Option
	// Value is what generated code knows of V. If Value is nil, reflection finds it out.
	Value *Value
	// TagPatterns are the tags as the directives have them. An entry that was stored under
	// another Pattern or other TagPatterns, by a version of the program that has been replaced,
	// is a miss: the entry may be for another value, and deleting by one of the present tags
	// would not reach it.
	TagPatterns []string
	// Tags returns the tags that depend on the key, and ResultTags returns those that depend on
	// the value. Both may be nil.
	Tags       func(key any) []runtime.Tag
	ResultTags func(value any) []runtime.Tag
	// NotFound is the error by which a loader says that there is no value, or nil. A load whose
	// error is NotFound, by errors.Is, has not failed: the cache drops the value that it has,
	// also a stale one that could still be served, and remembers for the NotFoundTTL that there
	// is no value. The callers of the load get the error of the loader. Later callers get
	// NotFound itself.
	NotFound error
	// Absent reports whether a loaded value means that there is no value. If Absent is set, a
	// key that a loader of many keys does not return has no value either. If Absent is nil, nil
	// pointers and nil interfaces mean that there is no value. The cache remembers for the
	// NotFoundTTL that there is no value. Meanwhile GetOrSet returns the zero V without an error,
	// and Get, Has and Pull find nothing.
	Absent func(value any) bool
}

// A Value is what generated code knows of a type V of cached values, so that the runtime need
// not use reflection. The functions in a Value may be called by several goroutines at a time,
// and must not keep or change their arguments.
type Value struct {
	// Fingerprint differs for different shapes of the type. An entry in the shared tier that has
	// another Fingerprint is a miss.
	Fingerprint uint64
	// Lossy says that decoding gives less than what was encoded, as far as the source code
	// shows: the type has fields with the tag msgpack:"-", or parts of which only a text is
	// stored. Memory then keeps what decoding gives, so that callers get the same value from
	// each tier.
	Lossy bool
	// Encode and Decode are the codec of the type. A store with runtime.WithCodec does not use
	// them. In other stores neither may be nil.
	Encode func(*wire.Encoder, any)
	Decode func(*wire.Decoder) any
	// Copy returns a copy that shares no memory with its argument. If Copy is nil, an assignment
	// is such a copy.
	Copy func(any) any
	// Size estimates how many bytes of memory a value refers to, in addition to the size of V
	// itself. If Size is nil, a value refers to none.
	Size func(any) int
}

// Open returns the cache of a definition, in the store that the definition names, inside the
// namespaces of within. If Open returns an error, which is one of those of [Bind], the cache is
// not bound. The caller has to load as the function of the definition does, or not at all: Open
// does not compare what its callers load from.
func Open[K comparable, V any](stores runtime.Stores, d *Definition, within ...runtime.Within) (*runtime.Cache[K, V], error) {
	c := new(runtime.Cache[K, V])
	declare(c.Untyped(), d, (*K)(nil), (*V)(nil))
	return c, stores.OpenUntyped(texts(within), untyped.Opening{Cache: c.Untyped()})
}

// An Opening is a cache that a constructor is to open; see [OpenAll].
type Opening struct{ of untyped.Opening }

// Source is an Opening of a cache whose values a method of source loads. It fails to open if the
// cache has been opened around another source, unless the definition has ManySources. Two
// sources are the same if they are one pointer, or equal by ==; all sources of a type without a
// size are the same. The store keeps the first source for as long as the store itself is in use.
// A source that is a nil pointer is refused, because each load would panic.
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

// Handle is an Opening of a cache whose values others load.
func Handle[K comparable, V any](c **runtime.Cache[K, V], d *Definition) Opening {
	*c = new(runtime.Cache[K, V])
	declare((*c).Untyped(), d, (*K)(nil), (*V)(nil))
	return Opening{untyped.Opening{Cache: (*c).Untyped()}}
}

// OpenAll opens caches in the stores that their definitions name, inside the namespaces of
// within, of which none may be empty. OpenAll opens all caches, or none if it returns an error,
// which is one of those of [Bind] or says which source is a second one.
func OpenAll(stores runtime.Stores, within []runtime.Within, caches ...Opening) error {
	all := make([]untyped.Opening, len(caches))
	for i, c := range caches {
		all[i] = c.of
	}
	return stores.OpenUntyped(texts(within), all...)
}

// Declare returns a cache that is not bound yet; see [Bind].
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

// Bind opens declared caches on stores. If one of them cannot be opened, Bind opens the others.
// A cache cannot be opened if there is no store of the name that its definition has, if options
// contradict each other, or if the keys of another function in the store can be equal, so that
// the two would get each other's values. If a cache is bound already, Bind moves it to stores; a
// method that is running meanwhile ends on the stores with which it began.
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
