package build

import (
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// typ writes a type and notes what it needs imported.
func (o *output) typ(t types.Type) templates.Type {
	return o.p.TypeText(t, func(pkg *types.Package) { o.packages[pkg.Path()] = pkg.Name() })
}

// params writes parameters or results for the model.
func (o *output) params(list []*facts.Param) []templates.Param {
	var out []templates.Param
	for _, v := range list {
		out = append(out, templates.Param{Name: o.locals[v], Type: o.typ(v.Elem()), Variadic: v.Variadic})
	}
	return out
}

// typeParams writes type parameters with their constraints.
func (o *output) typeParams(list []*types.TypeParam) []templates.Param {
	var out []templates.Param
	for _, t := range list {
		out = append(out, templates.Param{Name: t.Obj().Name(), Type: o.typ(t.Constraint())})
	}
	return out
}

// changes reports whether a type has methods on its pointer, embedded ones included: they
// may change the value, so the wrapper must hold a pointer to it.
func changes(t types.Type) bool {
	return types.NewMethodSet(t).Len() != types.NewMethodSet(types.NewPointer(t)).Len()
}

// noteTypes finds the packages that the file's types need.
func (o *output) noteTypes() {
	caches, writers, wrappers, tags := o.own()
	for _, c := range caches {
		o.params(c.Params)
		o.params(c.Results)
		for _, f := range c.Fields {
			o.typ(f.As)
		}
		o.typeParams(c.AllTypeParams())
		if v := c.NotFound.Sentinel; v != nil {
			o.object(v)
		}
	}
	for _, w := range writers {
		o.params(w.Params)
		o.params(w.Results)
		o.typeParams(w.AllTypeParams())
		for _, t := range w.Targets {
			if t.Remote(o.p) {
				o.packages[t.Cache.In.Path] = t.Cache.In.Name
			}
		}
	}
	for _, b := range o.batches() {
		o.params(b.Params)
		o.params(b.Results)
	}
	for _, w := range wrappers {
		o.typeParams(w.TypeParams())
		for _, c := range w.Caches {
			o.typ(c.Value())
		}
		for _, c := range w.Promoted {
			o.params(c.Params)
			o.typ(c.Value())
		}
		for _, f := range w.Foreign {
			o.typ(f.Cache.Value())
			o.packages[f.Cache.In.Path] = f.Cache.In.Name
		}
		for _, m := range w.TxMethods {
			o.params(m.Params)
			o.typ(m.Result)
		}
	}
	for _, h := range o.p.Handles {
		if h.Owner.File == o.source {
			o.typ(h.Cache.Value())
			o.packages[h.Cache.In.Path] = h.Cache.In.Name
		}
	}
	delete(o.packages, o.p.Path)
	for _, t := range tags {
		for _, typ := range t.Types {
			o.typ(typ)
		}
	}
	o.values()
}

// object writes the name of a package-level variable or constant.
func (o *output) object(v types.Object) templates.Type {
	if v.Pkg() == o.p.Types {
		return templates.Type{{Text: v.Name()}}
	}
	o.packages[v.Pkg().Path()] = v.Pkg().Name()
	return templates.Type{{Path: v.Pkg().Path(), Text: v.Name()}}
}
