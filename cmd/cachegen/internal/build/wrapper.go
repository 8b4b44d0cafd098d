package build

import (
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

func (o *output) wrapper(w *facts.Wrapper) *templates.Wrapper {
	m := o.wrappers[w]
	for _, c := range w.Caches {
		m.Caches = append(m.Caches, o.cacheModel(c))
	}
	for _, f := range w.Foreign {
		foreign := templates.ForeignCache{Field: f.Field, Cache: o.cacheOf(f.Cache)}
		if slices.ContainsFunc(w.Promoted, func(c *facts.Cache) bool { return c.Names.Field == f.Field }) {
			foreign.Source = o.embedded(w, f.Cache)
		}
		m.Foreign = append(m.Foreign, foreign)
	}
	for _, c := range w.Promoted {
		m.Promoted = append(m.Promoted, o.cache(c))
	}
	for _, x := range w.TxMethods {
		m.TxMethods = append(m.TxMethods, o.txMethod(w, x))
	}
	m.TypeParams = o.typeParams(w.TypeParams())
	m.Deprecated = w.Deprecated(o.p)
	return m
}

// embedded is the value that w's type embeds and has the method of c from, as the embedded
// type's own wrapper takes it.
func (o *output) embedded(w *facts.Wrapper, c *facts.Cache) *templates.Embedded {
	from := c.Recv
	_, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.Object.Type()), true, o.p.Types, c.Name())
	at := o.wrappers[w].Param
	e := &templates.Embedded{Name: naming.Lower(from.Object.Name())}
	t := types.Type(types.NewPointer(w.Object.Type()))
	for _, i := range index[:len(index)-1] {
		if p, ok := t.Underlying().(*types.Pointer); ok {
			e.NonNil = append(e.NonNil, at)
			t = p.Elem()
		}
		field := t.Underlying().(*types.Struct).Field(i)
		at, t = at+"."+field.Name(), field.Type()
	}
	_, isPointer := t.Underlying().(*types.Pointer)
	e.Expr, e.Type = at, o.typ(from.Object.Type())
	switch {
	case from.Pointer:
		e.Type = o.typ(types.NewPointer(from.Object.Type()))
		if !isPointer {
			e.Expr = "&" + at
		}
	case isPointer:
		e.Expr = "*" + at
		e.NonNil = append(e.NonNil, at)
	}
	return e
}
