package gotype

import (
	"go/types"

	"golang.org/x/tools/go/types/typeutil"
)

// Endless returns an instance in t of a generic type that refers to larger and larger
// instances of itself, as type L[T any] struct{ next *L[[]T] } does, so that who follows
// what t is made of comes to no end; nil if there is none. The type checker refuses such a
// type only where it is declared.
func Endless(t types.Type) *types.Named {
	w := walk{records: map[*types.TypeName]record{}}
	w.visit(t)
	return w.endless
}

// maxRecords is how many times the instances of one type may grow on one way into t. A
// type that ends has instances of smaller and smaller types inside, as L[L[L[int]]].
const maxRecords = 8

type walk struct {
	seen    typeutil.Map // named types
	records map[*types.TypeName]record
	endless *types.Named
}

// A record is the size of the largest instance on the way, and how many were larger than
// all before them.
type record struct{ size, count int }

func (w *walk) visit(t types.Type) {
	if w.endless != nil {
		return
	}
	t = types.Unalias(t)
	if named, ok := t.(*types.Named); ok {
		if w.seen.Set(named, true) != nil {
			return
		}
		if named.TypeArgs().Len() > 0 {
			name := named.Origin().Obj()
			before := w.records[name]
			defer func() { w.records[name] = before }()
			if n := size(named); n > before.size {
				w.records[name] = record{n, before.count + 1}
			}
			if w.records[name].count > maxRecords {
				w.endless = named
				return
			}
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		w.visit(u.Elem())
	case *types.Slice:
		w.visit(u.Elem())
	case *types.Array:
		w.visit(u.Elem())
	case *types.Map:
		w.visit(u.Key())
		w.visit(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			w.visit(f.Type())
		}
	}
}

// size is how many types the text of t mentions.
func size(t types.Type) int {
	n := 0
	Visit(t, func(types.Type) bool { n++; return false })
	return n
}
