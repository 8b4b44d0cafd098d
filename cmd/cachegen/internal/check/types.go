package check

import (
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/templates"
)

// name writes a type as messages call it.
func (p *pack) name(t types.Type) string { return types.TypeString(t, p.qualifier) }

// qualifier names other packages by their names.
func (p *pack) qualifier(other *types.Package) string {
	if other == p.Types {
		return ""
	}
	return other.Name()
}

// typeText writes a type for the model. Names of other packages become parts of
// their own; found is called with each of those packages.
func (p *pack) typeText(t types.Type, found func(*types.Package)) templates.Type {
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

// visit calls f for t and the types that its text mentions, but not for what
// named types are made of. It stops as soon as f returns true, and says whether
// it did.
func visit(t types.Type, f func(types.Type) bool) bool {
	if t == nil || f(t) {
		return t != nil
	}
	each := func(list *types.Tuple) bool {
		for v := range list.Variables() {
			if visit(v.Type(), f) {
				return true
			}
		}
		return false
	}
	arguments := func(list *types.TypeList) bool {
		for a := range list.Types() {
			if visit(a, f) {
				return true
			}
		}
		return false
	}
	switch t := t.(type) {
	case *types.Alias:
		return arguments(t.TypeArgs())
	case *types.Named:
		return arguments(t.TypeArgs())
	case *types.Pointer:
		return visit(t.Elem(), f)
	case *types.Slice:
		return visit(t.Elem(), f)
	case *types.Array:
		return visit(t.Elem(), f)
	case *types.Chan:
		return visit(t.Elem(), f)
	case *types.Map:
		return visit(t.Key(), f) || visit(t.Elem(), f)
	case *types.Signature:
		return each(t.Params()) || each(t.Results())
	case *types.Struct:
		for v := range t.Fields() {
			if visit(v.Type(), f) {
				return true
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if visit(m.Type(), f) {
				return true
			}
		}
		for e := range t.EmbeddedTypes() {
			if visit(e, f) {
				return true
			}
		}
	case *types.Union:
		for term := range t.Terms() {
			if visit(term.Type(), f) {
				return true
			}
		}
	}
	return false
}

// invalid reports whether the type checker could make nothing of a part of t.
func invalid(t types.Type) bool {
	return visit(t, func(t types.Type) bool {
		t = types.Unalias(t)
		return t == types.Typ[types.Invalid] || t.Underlying() == types.Typ[types.Invalid]
	})
}

// unnamable returns a part of t that this package cannot write: an unexported type
// of another package, which a signature can only reach through an alias, or one of a
// package that this one must not import.
func (p *pack) unnamable(t types.Type) (part types.Type) {
	visit(t, func(t types.Type) bool {
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

func (p *pack) namable(t types.Type) bool { return p.unnamable(t) == nil }

// whyUnnamable says what is wrong with a part that unnamable returned.
func (p *pack) whyUnnamable(part types.Type) string {
	if n := named(part); n != nil && n.Obj().Exported() {
		return p.name(part) + " is in " + n.Obj().Pkg().Path() + ", which this package cannot import, so generated code cannot name it"
	}
	return p.name(part) + " is not exported, so generated code cannot name it"
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

// named is the named type that t is or points to; nil for other types.
func named(t types.Type) *types.Named {
	t = types.Unalias(t)
	if pointer, ok := t.(*types.Pointer); ok {
		t = types.Unalias(pointer.Elem())
	}
	n, _ := t.(*types.Named)
	return n
}

// isNamed reports whether t is the named type path.name.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path
}

// generic reports whether t mentions a type parameter.
func generic(t types.Type) bool {
	return visit(t, func(t types.Type) bool {
		_, ok := t.(*types.TypeParam)
		return ok
	})
}

// mentions reports whether t's text has a type parameter in it.
func mentions(t types.Type, param *types.TypeParam) bool {
	return visit(t, func(t types.Type) bool { return t == types.Type(param) })
}

func isContext(t types.Type) bool { return isNamed(t, "context", "Context") }

func isError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// canBeNil reports whether nil is a value of type t.
func canBeNil(t types.Type) bool {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan, *types.Signature, *types.Interface:
		return true
	case *types.Basic:
		return u.Kind() == types.UnsafePointer
	}
	return false
}
