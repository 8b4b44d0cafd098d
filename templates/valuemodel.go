package templates

// A Value is what a file declares for a type of cached values: a gen.Value.
type Value struct {
	Variable    string // userValue
	Type        Type   // *User
	Shape       *Shape
	Fingerprint uint64
	// Lossy says that decoding gives less than what was encoded, by what the source says.
	Lossy bool
	// CopyFunc is the name of the function that copies a value: copyUserValue. It is empty
	// if none is wanted, or if values share no memory with copies by assignment.
	CopyFunc string
}

// A Shape is what emitters know of a type. Shapes of recursive types are cyclic.
type Shape struct {
	Kind ShapeKind
	// Type is the type as the file writes it. Only what is ByReflection may have none.
	Type Type
	// Basic is the predeclared type of a Basic, and of the elements of Bytes and a
	// ByteArray, which are named ones if Named.
	Basic string
	Named bool
	As    Type   // time.Time, of a Time that is another type
	Elem  *Shape // of a Pointer, Slice, Array or Map
	Key   *Shape // of a Map
	Len   int64  // of an Array or ByteArray

	// Fields are those of a Struct that are written, in their order: without
	// names if AsArray. Members are those that the package can refer to.
	Fields  []WireField
	AsArray bool
	Members []Member

	// Marshal is how the type encodes itself; what it is made of does not matter then.
	// NilFirst says that its nil is written as nil without asking it.
	Marshal  Marshal
	NilFirst bool
	// ByReflection says that generated code cannot name the type.
	ByReflection bool

	// Func ends the names of the functions made for the type: encodeUser for User.
	// It is empty for what is written in place. File declares those of them that
	// NeedCodec, NeedCopy and NeedSize ask for.
	Func                          string
	NeedCodec, NeedCopy, NeedSize bool
	// Cyclic says that values of the type can hold themselves.
	Cyclic bool

	// Shares says that copies by assignment share memory that one may change, and
	// Clone how to copy the value whole, if not member by member.
	Shares bool
	Clone  Clone
	// Refers says that there is memory to count besides the value's own place. If
	// Hidden, generated code cannot see all of it.
	Refers, Hidden bool
}

// A ShapeKind is what a type is made of.
type ShapeKind int

// The kinds.
const (
	Basic     ShapeKind = iota // numbers, bool, string
	Bytes                      // a slice of bytes
	ByteArray                  // an array of bytes
	Time                       // time.Time, or a type that is defined as that is
	Pointer
	Slice
	Array
	Map
	Struct
	Interface // left out of what is written, as is
	Opaque    // a channel, function or unsafe pointer
)

// A WireField is a field of a struct as it is written.
type WireField struct {
	Name    string   // in the encoded map
	Aliases []string // other names that are read
	Path    []string // selectors from the struct: Base, ID
	// Pointers are the embedded pointers on the path, outermost first. Where one
	// is nil, the field is left out.
	Pointers  []EmbeddedPointer
	OmitEmpty bool
	Shape     *Shape
}

// An EmbeddedPointer is an embedded *Elem at a path in a struct.
type EmbeddedPointer struct {
	Path []string
	Elem Type
}

// A Member is a field of a struct in memory.
type Member struct {
	Name  string
	Shape *Shape
}

// Marshal is the pair of methods with which a type encodes itself. The names are
// those of the methods of wire.Encoder and wire.Decoder that call them.
type Marshal string

// The pairs.
const (
	ByStructure Marshal = ""
	ByCustom    Marshal = "Custom"
	ByMsgpack   Marshal = "Msgpack"
	ByBinary    Marshal = "Binary"
	ByGob       Marshal = "Gob"
	ByText      Marshal = "Text"
	ByURL       Marshal = "URL" // of url.URL, without methods
)

// A Clone is a way to copy a value of another package's type.
type Clone struct {
	Method  string // Clone, Copy or DeepCopy; empty for none
	Pointer bool   // the method returns a pointer
	Into    bool   // the method is one of a new value, and takes a pointer: Set
}
