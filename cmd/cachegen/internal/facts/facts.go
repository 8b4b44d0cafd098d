// Package facts holds what is known of annotated packages: the functions that are cached, what
// they are keyed and tagged by, what writes to their entries, and the names of what is generated.
//
// Package check finds the facts and reports what is wrong with them; packages build and summary
// read them. Facts are data. What is a method here only reads them: nothing here reports a problem,
// and once check has returned nothing is changed.
package facts

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

// A Package is what was found in a package.
type Package struct {
	*load.Package

	Caches   []*Cache
	Writers  []*Writer
	Batches  []*Batch
	Handles  []*Handle
	Wrappers []*Wrapper       // in the order of their declarations
	Refused  map[string]bool  // names of cached functions whose directive or signature was reported
	Names    *naming.Registry // the package-level names
	Tags     []*Tag
	Values   []*Value
	// ValuePackages are the names of the packages that values' types mention, by path.
	ValuePackages map[string]string
}

// NewPackage returns the facts of a package of which nothing is known yet.
func NewPackage(l *load.Package) *Package {
	return &Package{Package: l, Refused: map[string]bool{}, Names: naming.NewRegistry()}
}

// A Function is an annotated function or method.
type Function struct {
	File      *load.File
	Decl      *ast.FuncDecl
	Signature *types.Signature // of a method of a generic type, in terms of the type's own parameters
	Recv      *Wrapper         // nil for a plain function
	Reads     bool             // it has a getorset
	Declared  *Wrapper         // the type that Recv embeds and has the method from; nil if it is Recv's own

	TypeParams []*types.TypeParam // of a generic plain function

	NoContext bool     // it takes none
	Context   string   // the context parameter as the source calls it; empty if it has no name
	Params    []*Param // after the context
	Results   []*Param // before the error
}

// A Param is a parameter or a result.
type Param struct {
	*types.Var
	TypeExpr ast.Expr
	Position int // among the function's parameters or results, from 1
	Variadic bool
}

// A Cache is a function with a getorset directive.
type Cache struct {
	*Function
	In        *Package // the one that declares it
	Directive *directive.Directive
	Broken    bool // something was reported that makes what follows from it pointless

	KeyArg    directive.Arg // as written
	Pattern   key.Pattern
	Fields    []*Field
	Segments  []templates.Segment
	Shapes    []key.Shape // of the segments; fewer than those where the key has a problem
	KeyParams []*Param    // those that are in the key, in their order
	Ignored   []*Operand  // fields of KeyParams that are not in the key

	Store, Namespace string
	Shared           bool
	SharedSource     bool              // all values that the method belongs to read the same data: instances=shared
	Options          templates.Options // the type's defaults included
	NotFound         NotFound
	Foreground       bool // never loaded in the background, because a parameter ends with its request

	Names               CacheNames
	Cached              *Value // nil for a type that mentions a type parameter
	KeyTags, ResultTags []*TagUse
	Batch               *Batch // its loader for many keys, or nil
}

// CacheNames are the names that are generated for a cache.
type CacheNames struct {
	Entity                                        string
	Field                                         string // of the wrapper
	Variable                                      string // or function: see templates.Cache.Variable
	Caches                                        string // variable with those of a generic function
	KeyType, ParseKey                             string
	GetOrSet, Get, Set, Delete, Expire, Has, Pull string
}

// NotFound is how a loader says that there is nothing to load.
type NotFound struct {
	Sentinel types.Object // a variable or constant that is an error
	NilValue bool         // the value nil
}

// None reports that the loader has no such way.
func (n NotFound) None() bool { return n.Sentinel == nil && !n.NilValue }

// A Batch is a function with a batch directive: it loads many keys of a cached one.
type Batch struct {
	*Function
	In        *Package // the one that declares it
	Directive *directive.Directive
	Cache     *Cache
	GetOrSet  string // the name of the generated function that takes options

	Many   *Param            // the parameter that holds what differs between the keys
	Elem   types.Type        // of its elements
	Args   []*Operand        // the key's fields, in order; those of Many stand for an element
	By     *Operand          // for a list: which field of a value says whose it is
	Clones map[*Cache]*Cache // for a promoted method: the caches as its wrapper has them
}

// A Writer is a function with set, delete or expire directives.
type Writer struct {
	*Function
	In         *Package // the one that declares it
	Directives []*directive.Directive
	Generated  string // the name of the generated function
	Targets    []*Target
	Errors     templates.Errors // what becomes of an invalidation that fails
	Collect    bool             // it fails unless its context holds what it changes until a commit
}

// A Target is an entry, a tag or a namespace that a writer touches.
type Target struct {
	Verb templates.Verb
	Text string // as written
	Pos  token.Pos

	Cache  *Cache     // nil for a tag or a namespace
	Args   []*Operand // the key's fields, in order
	Params []*Operand // the parameters of a plain function of another package, in order
	Many   *Param     // the list of which each element is an argument
	Value  *Param     // what a set stores

	Tag       *TagUse
	Namespace string
	Handle    *Cache // through which the store of a tag or namespace is reached
}

// A Handle is a package-level variable with a handle on a method's cache, for functions
// that have no wrapper.
type Handle struct {
	Cache *Cache
	Name  string
	Owner *Writer // the first that needs it
}

// A TxMethod is a method that returns its type bound to a database transaction.
type TxMethod struct {
	*Function
	Directive *directive.Directive // nil if the method's form says it
	Result    types.Type           // before an error: the type, a pointer to it, or an interface
	HasError  bool
	Tx        *Param // the transaction, if a parameter is one for certain
}

// A Wrapper is a type with annotated methods or a wrap directive.
type Wrapper struct {
	Object    *types.TypeName
	Directive *directive.Directive // nil without a wrap directive
	File      *load.File           // in whose output the wrapper is
	Caches    []*Cache
	Writers   []*Writer
	Batches   []*Batch
	// Promoted are caches of methods that the type has from types that it embeds.
	Promoted []*Cache
	// TxMethods are the methods that bind the type to a transaction, in the order of the sources.
	TxMethods []*TxMethod
	InTx      string // the wrapper's field that says that it is of a transaction; empty for none
	Names     WrapperNames
	Own       map[string]token.Pos // methods of the wrapper that the sources declare
	Foreign   []*ForeignCache
	Pointer   bool // some annotated method has a pointer receiver
	Refused   bool // an annotated method was reported
}

// WrapperNames are the names of a wrapper, and the names of its members.
type WrapperNames struct {
	Type, Constructor string
	Members           map[string]naming.Holder // of generated ones, and of methods that the sources declare
}

// A ForeignCache is a cache of another type that a wrapper holds a handle to.
type ForeignCache struct {
	Cache *Cache
	Field string
}

// A Field is a field of a key: one placeholder.
type Field struct {
	*Operand
	TextForm
	Name string     // ID
	As   types.Type // in the key: its own type, or the predeclared one where that cannot be named
}

// An Operand is what a placeholder or a target's argument stands for: a parameter,
// the receiver, a result, or fields of those; or a literal.
type Operand struct {
	Root Root
	Of   *Param   // for a parameter or a result
	Path []string // of fields, as written
	// Index is the same path with every field, those of embedded structs that Path
	// leaves out included.
	Index []int
	Type  types.Type
	// Pointers are the paths, from the root, to the pointers on the way to the field.
	Pointers [][]string
	Literal  string // Go source
}

// A Root is what an operand starts from.
type Root int

// The roots.
const (
	Parameter Root = iota
	Receiver
	Result
	Literal
	Element // of the list that a batch or a target with ... goes through
)

// A Tag is a shape of tags: the same literals around values of the same forms. It
// has one constructor in the package.
type Tag struct {
	Pattern     key.Pattern // of the first use
	Segments    []templates.Segment
	Forms       []TextForm
	Uses        []*TagUse // those of caches first
	Constructor string    // its name
	Types       []types.Type
}

// A TagUse is a tag= option.
type TagUse struct {
	*Tag
	Function *Function
	Pattern  key.Pattern
	Operands []*Operand
	Fields   []*Field // of the key, for a tag that is known from it
	Pos      token.Pos

	Inherited bool // from the function's type
}

// A Value is a type of cached values, for which a variable is generated.
type Value struct {
	Type   types.Type
	Caches []*Cache
	Model  *templates.Value
	Shapes []*templates.Shape // those that have functions of their own
}
