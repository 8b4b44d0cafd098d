// Package gotype answers questions about Go types that the go/types package leaves to its users.
//
// Its functions depend on the type alone, never on the package that asks, and change nothing.
package gotype

import (
	"go/types"
)

// HasMethod reports whether a method of t has exactly these parameters and results.
func HasMethod(t types.Type, name string, params, results []types.Type) bool {
	s := types.NewMethodSet(t).Lookup(nil, name)
	if s == nil {
		return false
	}
	sig := s.Type().(*types.Signature)
	return identical(sig.Params(), params) && identical(sig.Results(), results)
}

func identical(tuple *types.Tuple, want []types.Type) bool {
	if tuple.Len() != len(want) {
		return false
	}
	for i, t := range want {
		if !types.Identical(tuple.At(i).Type(), t) {
			return false
		}
	}
	return true
}

// Visit calls f for t and the types that its text mentions, but not for what
// named types are made of. It stops as soon as f returns true, and says whether
// it did.
func Visit(t types.Type, f func(types.Type) bool) bool {
	if t == nil || f(t) {
		return t != nil
	}
	each := func(list *types.Tuple) bool {
		for v := range list.Variables() {
			if Visit(v.Type(), f) {
				return true
			}
		}
		return false
	}
	arguments := func(list *types.TypeList) bool {
		for a := range list.Types() {
			if Visit(a, f) {
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
		return Visit(t.Elem(), f)
	case *types.Slice:
		return Visit(t.Elem(), f)
	case *types.Array:
		return Visit(t.Elem(), f)
	case *types.Chan:
		return Visit(t.Elem(), f)
	case *types.Map:
		return Visit(t.Key(), f) || Visit(t.Elem(), f)
	case *types.Signature:
		return each(t.Params()) || each(t.Results())
	case *types.Struct:
		for v := range t.Fields() {
			if Visit(v.Type(), f) {
				return true
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if Visit(m.Type(), f) {
				return true
			}
		}
		for e := range t.EmbeddedTypes() {
			if Visit(e, f) {
				return true
			}
		}
	case *types.Union:
		for term := range t.Terms() {
			if Visit(term.Type(), f) {
				return true
			}
		}
	}
	return false
}

// Invalid reports whether the type checker could make nothing of a part of t.
func Invalid(t types.Type) bool {
	return Visit(t, func(t types.Type) bool {
		t = types.Unalias(t)
		return t == types.Typ[types.Invalid] || t.Underlying() == types.Typ[types.Invalid]
	})
}

// Named is the named type that t is or points to; nil for other types.
func Named(t types.Type) *types.Named {
	t = types.Unalias(t)
	if pointer, ok := t.(*types.Pointer); ok {
		t = types.Unalias(pointer.Elem())
	}
	n, _ := t.(*types.Named)
	return n
}

// Is reports whether t is the named type path.name.
func Is(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path
}

// Generic reports whether t mentions a type parameter.
func Generic(t types.Type) bool {
	return Visit(t, func(t types.Type) bool {
		_, ok := t.(*types.TypeParam)
		return ok
	})
}

// Mentions reports whether t's text has a type parameter in it.
func Mentions(t types.Type, param *types.TypeParam) bool {
	return Visit(t, func(t types.Type) bool { return t == types.Type(param) })
}

// IsContext reports whether t is context.Context.
func IsContext(t types.Type) bool { return Is(t, "context", "Context") }

// IsError reports whether t is the predeclared error.
func IsError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

// IsPointer reports whether t is a pointer, whatever it is called.
func IsPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// CanBeNil reports whether nil is a value of type t.
func CanBeNil(t types.Type) bool {
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
