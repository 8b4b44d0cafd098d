// Package naming makes the names of generated code, and keeps the register of those that are in
// use in a package.
//
// It promises that equal input gives equal names, that a name that it gives out is free, and that
// it is an identifier. It knows nothing of directives and reports nothing: what a name that is
// not free means is for package check to say.
package naming

import (
	"go/token"
	"go/types"
	"slices"
	"strconv"
)

// A Holder has a name.
type Holder struct {
	What      string    // a clause: the package declares that name
	Pos       token.Pos // of a generated name, that of the directive that asks for it
	Generated bool
	Imported  bool // by a source file: other files may import the name, but not declare it
	// Path is that of the package which an import with a dot has the name from; empty for others.
	Path string
}

// A Registry holds the package-level names of one package, those of the sources and those that
// are generated, with who has them. It is for one goroutine at a time.
type Registry struct {
	holders map[string]Holder
	offered []string // in lower case
}

// NewRegistry returns a Registry without names.
func NewRegistry() *Registry { return &Registry{holders: map[string]Holder{}} }

// Declare notes a name of the sources, or one that is generated whatever else there is.
func (r *Registry) Declare(name string, h Holder) { r.holders[name] = h }

// Holder returns who has a name.
func (r *Registry) Holder(name string) (Holder, bool) {
	h, ok := r.holders[name]
	return h, ok
}

// Has reports whether a name is in use.
func (r *Registry) Has(name string) bool {
	_, ok := r.holders[name]
	return ok
}

// Generated reports whether a name is one of generated code.
func (r *Registry) Generated(name string) bool { return r.holders[name].Generated }

// Take claims a name for what the directive at pos generates. If it is not free, Take returns who
// has it and false. command says that the package is a program, in which main has a meaning.
func (r *Registry) Take(name string, pos token.Pos, what string, command bool) (Holder, bool) {
	if h, taken := r.holders[name]; taken {
		return h, false
	}
	switch {
	case types.Universe.Lookup(name) != nil:
		return Holder{What: "that name is predeclared in Go"}, false
	case name == "init", name == "main" && command:
		return Holder{What: "Go reserves that name"}, false
	}
	r.Declare(name, Holder{What: what, Pos: pos, Generated: true})
	return Holder{}, true
}

// Claim takes the names that made makes of name, or else of name and a number, and returns what
// they are made of. It is for names that nobody but generated code uses, and always finds some.
func (r *Registry) Claim(name, what string, pos token.Pos, made func(string) []string) string {
	base := name
	taken := func(n string) bool { return r.Has(n) || types.Universe.Lookup(n) != nil }
	for i := 2; slices.ContainsFunc(made(name), taken); i++ {
		name = base + strconv.Itoa(i)
	}
	for _, n := range made(name) {
		r.Declare(n, Holder{What: what, Pos: pos, Generated: true})
	}
	return name
}

// Offer notes that a hint has named a name, so that no other hint gives the same advice.
func (r *Registry) Offer(name string) { r.offered = append(r.offered, Lower(name)) }

// Offered reports whether a hint has named a name, in whatever case.
func (r *Registry) Offered(name string) bool { return slices.Contains(r.offered, Lower(name)) }
