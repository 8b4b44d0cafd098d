package facts

import (
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/templates"
)

// HasField reports whether a value of type t has a field of that name.
func (p *Package) HasField(t types.Type, name string) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, true, p.Types, name)
	_, ok := obj.(*types.Var)
	return ok
}

// FieldNames are the fields of a struct, or of the struct that t points to, which
// this package can use.
func (p *Package) FieldNames(t types.Type) []string {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	var list []string
	for f := range s.Fields() {
		if f.Name() != "_" && (f.Exported() || f.Pkg() == p.Types) {
			list = append(list, f.Name())
		}
	}
	return list
}

// TypeName writes a type as messages call it.
func (p *Package) TypeName(t types.Type) string { return types.TypeString(t, p.Qualifier) }

// Qualifier names other packages by their names.
func (p *Package) Qualifier(other *types.Package) string {
	if other == p.Types {
		return ""
	}
	return other.Name()
}

// TypeText writes a type for the model. Names of other packages become parts of
// their own; found is called with each of those packages.
func (p *Package) TypeText(t types.Type, found func(*types.Package)) templates.Type {
	// No type has this byte in its text: string literals in it (struct tags) are quoted.
	const mark = "\x00"
	text := types.TypeString(t, func(other *types.Package) string {
		if other == p.Types {
			return ""
		}
		found(other)
		return mark + other.Path() + mark
	})
	var parts templates.Type
	for i, piece := range strings.Split(text, mark) {
		if i%2 == 1 {
			parts = append(parts, templates.Part{Path: piece})
			continue
		}
		if i > 0 {
			name := identifierPrefix(piece[1:]) // after the dot
			parts[len(parts)-1].Text = name
			piece = piece[1+len(name):]
		}
		if piece != "" {
			parts = append(parts, templates.Part{Text: piece})
		}
	}
	return parts
}

func identifierPrefix(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune("[]{}()*,;. <-\"", r) })
	if end < 0 {
		return text
	}
	return text[:end]
}

// Unnamable returns a part of t that this package cannot write: an unexported type
// of another package, which a signature can only reach through an alias, or one of a
// package that this one must not import.
func (p *Package) Unnamable(t types.Type) (part types.Type) {
	gotype.Visit(t, func(t types.Type) bool {
		var obj *types.TypeName
		switch t := t.(type) {
		case *types.Alias:
			obj = t.Obj()
		case *types.Named:
			obj = t.Obj()
		}
		if obj != nil && obj.Pkg() != nil && obj.Pkg() != p.Types && (!obj.Exported() || !importable(obj.Pkg().Path(), p.Path)) {
			part = t
		}
		return part != nil
	})
	return part
}

// Namable reports whether generated code can write t.
func (p *Package) Namable(t types.Type) bool { return p.Unnamable(t) == nil }

// WhyUnnamable says what is wrong with a part that Unnamable returned.
func (p *Package) WhyUnnamable(part types.Type) string {
	if n := gotype.Named(part); n != nil && n.Obj().Exported() {
		return p.TypeName(part) + " is in " + n.Obj().Pkg().Path() + ", which this package cannot import, so generated code cannot name it"
	}
	return p.TypeName(part) + " is not exported, so generated code cannot name it"
}

// importable reports whether package by may import path: what is in a directory
// internal is for the tree around that directory.
func importable(path, by string) bool {
	elements := strings.Split(path, "/")
	if elements[0] == "vendor" { // the standard library's own
		return false
	}
	for i, element := range elements {
		if element != "internal" {
			continue
		}
		around := strings.Join(elements[:i], "/")
		if around == "" || by != around && !strings.HasPrefix(by, around+"/") {
			return false
		}
	}
	return true
}
