package check

import (
	"fmt"
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
	"github.com/cachegen/cachegen/templates"
)

// A noTextForm says why a type's values cannot be part of a key or tag.
type noTextForm struct {
	why, hint string // why continues "{name}: "
	inKey     string // the hint for a key, if it differs from that for a tag
	opaque    bool   // no field of it has a text either
}

// plainHint is the hint for types without a more specific one.
const plainHint = "use an integer, a bool or a string"

// opaque is for a type that has neither a text nor fields to name.
func opaque(name string) *noTextForm {
	return &noTextForm{why: name + " has no exact text form", hint: plainHint, opaque: true}
}

// form decides by the kind of a type where it can: each number, boolean and string has exactly one
// text, whatever methods its type has. path is the placeholder's.
func (p resolver) form(t types.Type, path string) (facts.TextForm, *noTextForm) {
	name := p.TypeName(t)
	if param, ok := types.Unalias(t).(*types.TypeParam); ok {
		if keyValues(param.Constraint(), map[types.Type]bool{}) {
			return facts.TextForm{Form: templates.Generic}, nil
		}
		return facts.TextForm{}, &noTextForm{
			why:  "type parameter " + name + " can be a type that has no exact text form",
			hint: "constrain it to integers, strings and bools, such as interface{ ~int64 | ~string }",
		}
	}
	if gotype.Is(t, "time", "Time") || inheritsTime(t) {
		return facts.TextForm{}, &noTextForm{
			why:  "the text of a time.Time depends on its location and precision",
			hint: "take an integer, such as its Unix(), or a type of your own with MarshalText and UnmarshalText",
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if f, ok := facts.Basics[u.Kind()]; ok {
			return f, nil
		}
		return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: plainHint}
	case *types.Pointer:
		no := &noTextForm{why: name + " is a pointer, whose text is an address", hint: "take the value instead of a pointer to it"}
		if _, ok := u.Elem().Underlying().(*types.Struct); ok {
			field := p.someField(u.Elem(), path)
			if field == "" {
				return facts.TextForm{}, opaque(name)
			}
			no.hint = fmt.Sprintf("name a field, such as {%s}", field)
			no.inKey = fmt.Sprintf("take the value instead of a pointer to it, and name a field, such as {%s}", field)
		}
		return facts.TextForm{}, no
	case *types.Interface:
		if gotype.IsContext(t) {
			return facts.TextForm{}, &noTextForm{why: "a context cannot be part of a key", hint: "take what the key depends on as a parameter"}
		}
		return facts.TextForm{}, &noTextForm{why: name + " is an interface and has no exact text form", hint: "use a concrete type"}
	case *types.Slice:
		hint := "take a string that is built from its elements"
		if isByte(u.Elem()) {
			hint = "take it as a string, such as that of hex.EncodeToString"
		}
		return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: hint}
	case *types.Map, *types.Chan, *types.Signature:
		return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: plainHint}
	case *types.Struct, *types.Array:
		return p.text(t, name, path)
	}
	return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: plainHint}
}

func isByte(t types.Type) bool {
	u, ok := t.Underlying().(*types.Basic)
	return ok && u.Kind() == types.Byte
}

// keyValues reports whether every type that satisfies a constraint is an integer, a
// string or a bool.
func keyValues(t types.Type, seen map[types.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch u := t.Underlying().(type) {
	case *types.Basic:
		_, ok := facts.Basics[u.Kind()]
		return ok
	case *types.Interface:
		for e := range u.EmbeddedTypes() { // one embedded element that restricts is enough
			union, ok := types.Unalias(e).(*types.Union)
			if !ok && keyValues(e, seen) {
				return true
			}
			all := ok
			for i := 0; all && i < union.Len(); i++ {
				all = keyValues(union.Term(i).Type(), seen)
				delete(seen, union.Term(i).Type())
			}
			if all {
				return true
			}
		}
	}
	return false
}

// text is the form of a type that marshals itself.
func (p resolver) text(t types.Type, name, path string) (facts.TextForm, *noTextForm) {
	bytes := types.NewSlice(types.Typ[types.Byte])
	err := types.Universe.Lookup("error").Type()
	marshal := gotype.HasMethod(t, "MarshalText", nil, []types.Type{bytes, err})
	unmarshal := gotype.HasMethod(types.NewPointer(t), "UnmarshalText", []types.Type{bytes}, []types.Type{err})
	switch {
	case marshal && value.Partial(t, "MarshalText"):
		hint := p.textHint(t)
		if field := p.someField(t, path); field != "" {
			hint = fmt.Sprintf("name its fields, such as {%s}, or %s", field, hint)
		}
		return facts.TextForm{}, &noTextForm{
			why:  "the MarshalText of " + name + " is promoted from an embedded field and leaves out the other fields",
			hint: hint,
		}
	case marshal && unmarshal && !types.Comparable(t):
		return facts.TextForm{}, &noTextForm{why: name + " is not comparable, so it cannot be in a key", hint: plainHint}
	case marshal && unmarshal:
		return facts.TextForm{Form: templates.Text}, nil
	case marshal:
		return facts.TextForm{}, &noTextForm{
			why:  name + " has MarshalText but no UnmarshalText",
			hint: "add UnmarshalText, so that keys can be parsed",
		}
	case gotype.HasMethod(types.NewPointer(t), "MarshalText", nil, []types.Type{bytes, err}):
		return facts.TextForm{}, &noTextForm{
			why:  name + " has MarshalText only on its pointer",
			hint: "give the value the method: func (" + name + ") MarshalText() ([]byte, error)",
		}
	case gotype.HasMethod(t, "String", nil, []types.Type{types.Typ[types.String]}):
		return facts.TextForm{}, &noTextForm{
			why:  "the String method of " + name + " may return one text for different values",
			hint: p.textHint(t),
		}
	}
	hint := p.textHint(t)
	if _, ok := t.Underlying().(*types.Struct); ok {
		n := gotype.Named(t)
		switch field := p.someField(t, path); {
		case field != "":
			hint = fmt.Sprintf("name its fields, such as {%s}, or %s", field, hint)
		case n == nil || n.Obj().Pkg() != p.Types: // nothing can be named, and nobody can give it methods
			return facts.TextForm{}, opaque(name)
		}
		return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: hint}
	}
	return facts.TextForm{}, &noTextForm{why: name + " has no exact text form", hint: hint}
}

// inheritsTime reports whether the text of t is that of an embedded time.Time.
func inheritsTime(t types.Type) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, "MarshalText")
	f, ok := obj.(*types.Func)
	return ok && gotype.Is(f.Signature().Recv().Type(), "time", "Time")
}

// textHint is the hint for a type without a text form. The type may belong to a package that the
// reader cannot change.
func (p resolver) textHint(t types.Type) string {
	switch n := gotype.Named(t); {
	case n == nil:
		return "take a type of your own that has MarshalText and UnmarshalText"
	case n.Obj().Pkg() == p.Types:
		return "add MarshalText and UnmarshalText"
	}
	return "take a string, or a type that has MarshalText and UnmarshalText"
}

// someField is the path of a field of t, a struct at path, that a placeholder can name: if possible one
// whose type has a text. It is empty if there is no field.
func (p resolver) someField(t types.Type, path string) (found string) {
	for _, name := range p.FieldNames(t) {
		obj, _, _ := types.LookupFieldOrMethod(t, true, p.Types, name)
		field, ok := obj.(*types.Var)
		if !ok {
			continue
		}
		at := path + "." + name
		if b, basic := field.Type().Underlying().(*types.Basic); basic && facts.Basics[b.Kind()] != (facts.TextForm{}) {
			return at
		}
		if found == "" {
			found = at
		}
	}
	return found
}
