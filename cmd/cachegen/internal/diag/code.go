package diag

import "slices"

// A Code names the rule that a diagnostic is about. Codes are stable: people search for them and
// write them in allow=. No other package can make one, so that [Codes] are all that there are.
type Code struct {
	name    string
	about   string
	warning bool
}

// String is the code as it is printed: unused.
func (c Code) String() string { return c.name }

// About says in one line what is wrong, lower case and without a full stop.
func (c Code) About() string { return c.about }

// Warning reports whether diagnostics with this code are warnings: a correct program can have
// what they are about, and says so with allow=CODE.
func (c Code) Warning() bool { return c.warning }

var codes []Code

func define(name, about string) Code {
	c := Code{name: name, about: about}
	codes = append(codes, c)
	return c
}

func defineWarning(name, about string) Code {
	c := Code{name: name, about: about, warning: true}
	codes = append(codes, c)
	return c
}

// The codes, in the order in which the reference lists them.
var (
	Syntax      = define("syntax", "a directive, or the file that it is in, cannot be read")
	Verb        = define("verb", "an unknown directive, or two directives that exclude each other")
	Option      = define("option", "an unknown, repeated or misplaced option, or a value that it cannot have")
	Stray       = define("stray", "a directive, or a comment that looks like one, where it has no effect")
	Signature   = define("signature", "a function that cannot be wrapped")
	Duration    = define("duration", "a duration that is malformed or contradicts another one")
	Key         = define("key", "a malformed key")
	Placeholder = define("placeholder", "a placeholder that names nothing, or whose type has no exact text")
	Unused      = define("unused", "a parameter that is not part of the key")
	Overlap     = define("overlap", "two cached functions whose keys can be equal")
	Name        = define("name", "a generated name that is already in use")
	Target      = define("target", "a target that is not a cached function, or has wrong arguments")
	Value       = define("value", "a value that cannot be stored and read back unchanged")
	Copy        = define("copy", "a value that callers would share because it cannot be copied")
	Tag         = define("tag", "a tag that is malformed, unknown, or contradicts another one")
	Reserved    = define("reserved", "a key or tag that the runtime reserves for itself")
	Request     = define("request", "a parameter that ends with its request, in a function that can be loaded in the background")
	Output      = define("output", "a file in the place of a generated file, or generated code that is not compiled together")
	Lossy       = defineWarning("lossy", "a value of which only a text is stored, which may lose a part of it")
	Effect      = defineWarning("effect", "an option that has no effect")
	Bypass      = defineWarning("bypass", "a method of an embedded type that bypasses the cache")
	Transaction = defineWarning("transaction", "what a transaction reads or writes gets to others through a cache before the commit")
	Excluded    = defineWarning("excluded", "a directive in a file that build constraints exclude")
)

// Codes returns every code, in the order of the reference.
func Codes() []Code { return slices.Clone(codes) }

// Warnings returns the names of the codes that allow= can have.
func Warnings() []string {
	var names []string
	for _, c := range codes {
		if c.warning {
			names = append(names, c.name)
		}
	}
	return names
}
