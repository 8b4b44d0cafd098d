package value

import (
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/cachegen/cachegen/templates"
)

// constants are types of the standard library that refer to memory that nobody changes, so copies by
// assignment may share it.
var constants = []string{
	"time.Time", "net/netip.Addr", "net/netip.AddrPort", "net/netip.Prefix", "unique.Handle",
}

// pointees are types that are used through pointers, but not changed through them.
var pointees = []string{"time.Location", "net/url.Userinfo", "regexp.Regexp"}

// settable are types whose Set copies another value into them. The Set of a big.Float leaves
// out how it rounds.
var settable = []string{"math/big.Int", "math/big.Rat"}

func oneOf(t types.Type, list []string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Pkg() != nil && slices.Contains(list, named.Obj().Pkg().Path()+"."+named.Obj().Name())
}

// inPlace looks at what a value of type t holds in its own place: at t, and at the elements
// of arrays and the fields of structs if look wants to go deeper. It stops when look has
// found something, and says whether it has. A named type is looked at once, since a type
// that holds another twice, and so on, has more parts than anyone can count.
func inPlace(t types.Type, look func(types.Type) (found, deeper bool)) bool {
	var met typeutil.Map
	var visit func(types.Type) bool
	visit = func(t types.Type) bool {
		t = types.Unalias(t)
		if named, ok := t.(*types.Named); ok && met.Set(named, true) != nil {
			return false
		}
		found, deeper := look(t)
		if found || !deeper {
			return found
		}
		switch u := t.Underlying().(type) {
		case *types.Array:
			return visit(u.Elem())
		case *types.Struct:
			for f := range u.Fields() {
				if visit(f.Type()) {
					return true
				}
			}
		}
		return false
	}
	return visit(t)
}

// shares reports whether a copy of a t by assignment can be changed through the original.
func shares(t types.Type) bool { return inPlace(t, shared) }

func shared(t types.Type) (found, deeper bool) {
	if oneOf(t, constants) {
		return false, false
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		return !oneOf(u.Elem(), pointees), false
	case *types.Slice, *types.Map, *types.Interface:
		return true, false
	case *types.Array:
		return false, u.Len() > 0
	}
	return false, true
}

// refers reports whether a t refers to memory besides its own place.
func refers(t types.Type) bool {
	return inPlace(t, func(t types.Type) (found, deeper bool) {
		if u, ok := t.Underlying().(*types.Basic); ok && u.Kind() == types.String {
			return true, false
		}
		return shared(t)
	})
}

// locked returns the lock in a value of type t, which must not be copied then; nil if
// there is none.
func locked(t types.Type) (lock types.Type) {
	inPlace(t, func(t types.Type) (found, deeper bool) {
		if named, ok := t.(*types.Named); ok && !types.IsInterface(t) && isLock(types.NewPointer(named)) && !isLock(named) {
			lock = t
		}
		return lock != nil, true
	})
	return lock
}

func isLock(t types.Type) bool {
	for _, name := range []string{"Lock", "Unlock"} {
		m, _ := lookup(t, name)
		if m == nil || m.Signature().Params().Len()+m.Signature().Results().Len() > 0 {
			return false
		}
	}
	return true
}

// seen reports whether package pkg can refer to a field.
func seen(f *types.Var, pkg *types.Package) bool {
	return f.Name() != "_" && (f.Exported() || f.Pkg() == pkg)
}

// hidden returns the first field of s that pkg cannot refer to and that has, or else nil.
func hidden(s *types.Struct, pkg *types.Package, has func(types.Type) bool) *types.Var {
	for f := range s.Fields() {
		if f.Name() != "_" && !seen(f, pkg) && has(f.Type()) {
			return f
		}
	}
	return nil
}

// clone is the method with which to copy a t as a whole.
func clone(t types.Type) (c templates.Clone, ok bool) {
	if oneOf(t, settable) {
		return templates.Clone{Method: "Set", Into: true}, true
	}
	if oneOf(t, []string{"math/big.Float"}) {
		return templates.Clone{Method: "Copy", Into: true}, true
	}
	if named, is := types.Unalias(t).(*types.Named); !is || types.IsInterface(named) {
		return c, false
	}
	for _, name := range []string{"Clone", "Copy", "DeepCopy"} {
		m, index := lookup(types.NewPointer(t), name)
		if m == nil || len(index) > 1 { // an embedded field's copies that field
			continue
		}
		sig := m.Signature()
		if sig.Params().Len() != 0 || sig.Results().Len() != 1 {
			continue
		}
		switch result := sig.Results().At(0).Type(); {
		case types.Identical(result, t):
			return templates.Clone{Method: name}, true
		case types.Identical(result, types.NewPointer(t)):
			return templates.Clone{Method: name, Pointer: true}, true
		}
	}
	return c, false
}
