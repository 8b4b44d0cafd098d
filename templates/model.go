// Package templates renders what the generator decided. Its model is plain data:
// names are final, types are text with marked imports, and every question about
// the source was answered before. It is the only package that knows jennifer.
package templates

import "time"

// A File is one generated file: what belongs to one source file.
type File struct {
	// Path and Package are the import path and the name of the package.
	Path, Package string
	// Constraint is the expression of a //go:build line, empty for none.
	Constraint string
	// Imports name every package that a Type below mentions, and always those of
	// [Packages], sorted by path. The names are unique in the file and clash with
	// nothing that the package declares. What the file does not use is left out.
	Imports  []Import
	Caches   []*Cache   // the cached functions of the source file, in source order
	Tags     []*Tag     // the tag constructors that this file declares
	Wrappers []*Wrapper // the wrapped types whose declaration or first use is here
	Writers  []*Writer  // set, delete, expire and clear functions, in source order
	Batches  []*Batch   // loaders of many keys, in source order
	Handles  []Handle   // those that this file declares
	// Values and Shapes are the types of cached values, and the types in them, that
	// this file declares variables and functions for.
	Values []*Value
	Shapes []*Shape
	// Bind lists what BindCaches binds: package-level variables with caches or handles, and
	// BindInstances those with all caches of a generic function. Only one file of a package
	// has them. BindName is what the function is called, if not BindCaches.
	Bind, BindInstances []string
	BindName            string
}

// A Handle is a package-level variable with a handle on a method's cache, for functions
// that have no wrapper.
type Handle struct {
	Name  string // userHandle
	Cache *Cache
}

// RuntimePath is the import path of the runtime that generated code calls.
const RuntimePath = "github.com/cachegen/cachegen/runtime"

// GenPath is the import path of what only generated code calls.
const GenPath = RuntimePath + "/gen"

// WirePath is the import path of what generated codecs call. A file with Values or
// Shapes imports it.
const WirePath = RuntimePath + "/wire"

// Packages are the import paths that generated code may use on its own account.
// A package that declares one of their names gets an Explicit [Import] for it.
var Packages = []string{"context", "errors", RuntimePath, GenPath, "strconv", "time"}

// An Import is a package with the name that the file uses for it. Explicit says
// that the name differs from the package's own, so that it has to be written.
type Import struct {
	Path, Name string
	Explicit   bool
}

// A Type is Go source text of a type in which names of other packages are
// marked, so that the import is known where it is used.
type Type []Part

// A Part is a piece of a Type: Text as it stands, or, with Path, the exported
// name Text of that package.
type Part struct{ Path, Text string }

// A Param is a parameter or result. Its Name is that of the source where it can
// be: it clashes with no other parameter or result of the function, with no
// receiver, ValueName, import or predeclared name (functions such as max, which
// generated code does not call, excepted), and with no package-level name that the
// generated function mentions (types, keys, handles, tag constructors).
// Other locals (key, opts, err, ...) are chosen by the emitters around the
// parameters, so a parameter may have those names.
type Param struct {
	Name     string
	Type     Type // for a variadic parameter, the element type
	Variadic bool
}

// A Cache is one cached function.
type Cache struct {
	// Path is the import path of its package; empty is the file's own.
	Path string
	Func string // the annotated function's name: FindUser
	// TypeParams are those of a generic function; those of a method's type are its Wrapper's.
	TypeParams []Param
	Wrapper    *Wrapper // nil for a plain function
	Entity     string   // User; for an unexported function user; not used by the emitters
	Article    string   // the entity as a word in prose: user
	Label      string   // identity for Clear and for metrics: example.com/app/users.UserRepo.FindUser
	Pattern    string   // the key as written: user:{id}
	Position   string   // the source file's base name, for comments: user_repo.go

	// Variable is what reaches the cache of a plain function: a package-level variable
	// (userCache) or, of a generic one, a function; Caches is then the variable with all its
	// caches. For a method it is the variable with the cache's definition
	// (UserDefinition), or, of a generic type, the function that returns it.
	Variable, Caches string
	KeyType          string // UserKey
	// KeyTypeParams are the names of the type parameters that the key type has, those of the
	// function or its type that its fields mention.
	KeyTypeParams []string
	ParseKey      string // ParseUserKey
	Field         string // field of the wrapper: User; empty for a plain function

	Context   string  // name of the context parameter
	NoContext bool    // the annotated function takes none
	Params    []Param // all parameters after the context
	// KeyParams are those of Params that occur in the key: what GetCachedX,
	// SetCachedX and the like take, and what a target's arguments stand for.
	KeyParams []Param
	// Ignored are the fields of KeyParams that do not occur in the key, for
	// documentation: filter.Trace.
	Ignored []string
	Value   Type
	// ValueName names the value in generated code and documentation: user. It is
	// chosen like the name of a [Param].
	ValueName string
	// ValueVar is the variable of the [Value]; empty leaves the value to reflection.
	ValueVar string
	// CopyFunc is the [Value]'s function that copies what is found in memory; empty if
	// callers may share it, or if that is left to reflection.
	CopyFunc string
	// HasOK says that the function has a bool result between value and error, OK being its
	// name in generated code.
	HasOK bool
	OK    string
	// ResultNames are those of the annotated function in the source, the error's last; none where
	// one has no name, or one that means something else in generated code.
	ResultNames []string
	// Deprecated is the paragraph that says so of the annotated function, or empty.
	Deprecated string
	// NotFound is the error with which the loader says that there is nothing,
	// written like a type; nil for none. NilNotFound says that a nil value does.
	NotFound    Type
	NilNotFound bool
	// ValueNil says that the value itself can be nil: result tags that look into
	// it check that, whether NonNil of their arguments says so or not.
	ValueNil bool

	Key        Key
	Tags       []TagUse // known from the key
	ResultTags []TagUse // known from the result
	// TagPatterns are all of these as the directives write them, sorted.
	TagPatterns []string

	Store, Namespace string
	Shared           bool
	Options          Options
	// ManySources says that the methods of several values may have the entries.
	ManySources bool

	// Names of the generated functions or methods; empty where none is made.
	// GetOrSet is always there, and so is, in a wrapper, the method Func.
	GetOrSet, Get, Set, Delete, Expire, Has, Pull string
}

// A Key is the typed key of a Cache.
type Key struct {
	Fields   []Field
	Segments []Segment
	// IntPrefix is the text before the key's only placeholder where that is an
	// integer of at most 63 bits alone in the last segment; HasIntPrefix says
	// that the fast path for such keys applies.
	IntPrefix    string
	HasIntPrefix bool
}

// A Field is one field of a key type and where its value comes from.
type Field struct {
	Name   string // ID; never String or AppendText, which are the key's methods
	Source string // where a generated method finds it: id, filter.Team, c.UserRepo.tenant
	Type   Type
	Form   Form
	// Basic is the predeclared type that Type converts to and from for Form Int,
	// Uint, Bool and String: int64.
	Basic string
	// Bits is the size of an Int or Uint, for the parser: 64; 0 for int and uint.
	Bits int
}

// A Form says how a value becomes text and back.
type Form int

// The forms.
const (
	Int     Form = iota // decimal
	Uint                // decimal
	Bool                // true, false
	String              // escaped
	Generic             // that of a type parameter's integer, string or bool
	Text                // MarshalText and UnmarshalText (on the value or its address), escaped
)

// A Segment is what stands between two colons of a key or tag: literal text with
// at most one value in it. Every field of a key is in exactly one segment.
type Segment struct {
	Before string // literal text before the value, or all of it
	Field  int    // index of the key's field; -1 for none
	After  string
}

// A Tag is a typed tag constructor: func TeamTag(teamID int64) runtime.Tag.
type Tag struct {
	Func     string // TeamTag
	Pattern  string // team:{teamID}, for documentation
	Params   []TagParam
	Segments []Segment // Field is an index of Params, each in exactly one segment
}

// A TagParam is a parameter of a tag constructor. Its Name is chosen like that of
// a [Param].
type TagParam struct {
	Name  string
	Type  Type
	Form  Form
	Basic string
}

// A TagUse is a call of a tag constructor.
type TagUse struct {
	Tag  *Tag
	Args []TagArg
}

// A TagArg is a Go expression of the parameter's or key field's type (converted in
// Expr where the source has another one: int64(user.TeamID)) and the pointers that must not be nil to evaluate
// it, outermost first: for user.Team.ID with a pointer Team: user, user.Team.
// A cache's Tags speak of the key as k (k.ID), its ResultTags of the value by
// Cache.ValueName (user.TeamID), a Writer's targets of its parameters, its
// results and the wrapper's receiver (id, c.UserRepo.tenant). A tag whose
// argument would go through a nil pointer is left out.
type TagArg struct {
	Expr   string
	NonNil []string
}

// Options are those of the directive and of its type's defaults. A nil pointer leaves the option to
// the store.
type Options struct {
	TTL, L1TTL, Grace, GraceBackoff, Timeout, HardTimeout *time.Duration
	LockTimeout, NotFoundTTL, ErrorTTL                    *time.Duration
	Refresh, Jitter                                       *Amount
	Forever                                               bool // ttl=forever; TTL is nil
	BatchMax                                              int  // of the batch loader; 0 for no limit
	Errors                                                Errors
}

// An Amount is a duration or, if Percent is not zero, a part of the TTL.
type Amount struct {
	Duration time.Duration
	Percent  int
}

// Zero reports whether a switches off what a default says.
func (a Amount) Zero() bool { return a == Amount{} }

// A Wrapper is a type with annotated methods.
type Wrapper struct {
	Type        string  // UserRepo
	Name        string  // CachedUserRepo
	Constructor string  // NewCachedUserRepo
	Param       string  // name of the constructor's first parameter: repo
	Pointer     bool    // embeds and takes *UserRepo rather than UserRepo
	TypeParams  []Param // of a generic type; Type is the constraint
	Caches      []*Cache
	// Promoted are caches of methods that the type has from types that it embeds: only
	// GetOrSet and the method itself are generated for them. Their Field is that of a Foreign.
	Promoted []*Cache
	// Foreign are caches of other types that methods of this type invalidate, or
	// whose store holds a tag that they invalidate, with the field that holds the
	// handle. A plain function's cache is not here: its Variable is a handle.
	Foreign  []ForeignCache
	Receiver string // name of the receiver in generated methods: c
	// TxMethods are methods that return the type bound to a database transaction.
	TxMethods []*TxMethod
	// InTx is the field that says that the wrapper is one of a transaction; empty without TxMethods,
	// and without a Writer that has to know.
	InTx string
	// Deprecated is the paragraph that says so of the type, or empty.
	Deprecated string
}

// A TxMethod is a method that returns its type bound to a database transaction.
type TxMethod struct {
	Func      string
	Context   string
	NoContext bool
	Params    []Param
	// Result is what the method returns, before an error if HasError.
	Result   Type
	HasError bool
	Bound    Bound
	// Absent is the parameter that is nil if there is no transaction; empty if none can be.
	Absent string
	// Deprecated is as that of a [Cache].
	Deprecated string
}

// A Bound says how a wrapper holds what a [TxMethod] returns.
type Bound int

// What becomes of it.
const (
	BoundAsIs        Bound = iota
	BoundAddress           // the wrapper holds a pointer to it
	BoundDereference       // the wrapper holds what it points to
	BoundAssert            // it is an interface, and holds what the wrapper holds
)

// A ForeignCache is a handle to the cache of another type's method.
type ForeignCache struct {
	Field string
	Cache *Cache
	// Source is what the wrapped type has the method from, if that is a type that it embeds;
	// otherwise nil.
	Source *Embedded
}

// An Embedded is a value of an embedded type, as a constructor finds it in its first parameter.
type Embedded struct {
	Name   string // of a variable, if that is free: base
	Type   Type   // as the embedded type's wrapper takes it: *Base
	TagArg        // &shop.Base, if shop is not nil
}

// A Batch is a function that loads many keys of a cache.
type Batch struct {
	Func      string
	Wrapper   *Wrapper // nil for a plain function
	GetOrSet  string   // of the generated function that takes options: GetOrSetUsers
	Cache     *Cache
	Context   string
	NoContext bool
	Params    []Param
	Many      int    // index of the parameter with the keys
	Element   string // variable for one of its elements
	// ElementType is their type.
	ElementType Type
	// Args are the key's fields, in order, in terms of the other parameters and Element.
	Args      []TagArg
	Value     Type // of the cache
	ValueName string
	ValueNil  bool
	Result    Type // what the function returns: a map, or a list
	List      bool
	By        TagArg // of a list: whose ValueName is
	// ResultNames and Deprecated are as those of a [Cache].
	ResultNames []string
	Deprecated  string
}

// A Writer is a function that invalidates or sets entries after a nil error.
type Writer struct {
	Func       string
	Label      string   // identity for errors, like that of a [Cache]
	Name       string   // of the generated function; equals Func for a method
	Wrapper    *Wrapper // nil for a plain function
	TypeParams []Param  // of a generic function
	Context    string
	// NoContext says that the annotated function takes none, and so the generated one.
	NoContext bool
	Params    []Param
	Results   []Param // without the error
	Targets   []Target
	Errors    Errors
	// Collect says that it fails unless its context holds what it changes until a commit.
	Collect bool
	// ResultNames and Deprecated are as those of a [Cache].
	ResultNames []string
	Deprecated  string
}

// Errors say what becomes of an invalidation that fails. The zero value leaves it to others.
type Errors int

// What becomes of it.
const (
	ReportErrors Errors = iota + 1
	LogErrors
)

// A Target is one entry, tag or namespace that a Writer touches.
type Target struct {
	Verb  Verb
	Cache *Cache // nil for a tag or namespace
	// Handle is the expression that reaches the cache: c.User, userCache,
	// userHandle. For a tag or namespace it is any cache of its store, the same one for
	// all tags of that store.
	Handle string
	// Call is the function of another package that does it, for an entry of a plain
	// function of that package, instead of Handle: DeleteCachedConfig.
	Call Type
	// Text is the target as the directive writes it, for documentation:
	// FindUser(id), team:{from}.
	Text string
	Args []TagArg // the key's fields, in order; for a Call, its parameters
	// Many is the list of which each element is an entry, called Element in Args.
	Many, Element string
	ElementType   Type
	Tag           *TagUse // nil for a cache
	Namespace     string  // of a Clear
	// Value is the expression that is stored by a Set.
	Value string
}

// A Verb is what happens to a target.
type Verb int

// The verbs.
const (
	Delete Verb = iota
	Expire
	Set
	Clear
)
