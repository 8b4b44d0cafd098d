package check

import (
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// promote gives the wrapper of a type what is generated for annotated methods of types
// that it embeds: without that, the wrapper's promoted methods would go past the cache.
// The entries are the same as those of the embedded type's own wrapper.
func (p *pack) promote() {
	caches, writers, batches := p.caches, p.writers, p.batches
	for _, w := range p.wrappers {
		clones := map[*cache]*cache{}
		for _, c := range caches {
			if p.promotes(w, c.function) && c.names.entity != "" {
				clones[c] = p.promoteCache(w, c)
			}
		}
		for _, x := range writers {
			if p.promotes(w, x.function) {
				clone := *x
				clone.function = x.function.promoted(w)
				p.writers = append(p.writers, &clone)
				w.writers = append(w.writers, &clone)
			}
		}
		for _, b := range batches {
			if p.promotes(w, b.function) {
				clone := *b
				clone.function, clone.clones = b.function.promoted(w), clones
				p.nameBatch(&clone)
				p.batches = append(p.batches, &clone)
				w.batches = append(w.batches, &clone)
			}
		}
	}
}

// promotes reports whether an annotated function is a method that w's type has from a type
// that it embeds.
func (p *pack) promotes(w *wrapped, f *function) bool {
	if f.recv == nil || f.recv == w || len(w.typeParams())+len(f.recv.typeParams()) > 0 {
		return false
	}
	obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.obj.Type()), true, p.Types, f.name())
	return obj != nil && obj == p.Info.Defs[f.decl.Name] && len(index) > 1
}

// promoted is f as a method of w's type.
func (f *function) promoted(w *wrapped) *function {
	w.pointer = true // the embedded value may be one that changes
	if w.file == nil {
		w.file = f.file
	}
	clone := *f
	clone.recv, clone.declared, clone.params, clone.results = w, f.recv, nil, nil
	for _, v := range f.params {
		clone.params = append(clone.params, &param{Var: v.Var, typeExpr: v.typeExpr, position: v.position, variadic: v.variadic})
	}
	for _, v := range f.results {
		clone.results = append(clone.results, &param{Var: v.Var, typeExpr: v.typeExpr, position: v.position})
	}
	return &clone
}

// promoteCache is c as w's wrapper has it: with a handle on the same entries.
func (p *pack) promoteCache(w *wrapped, c *cache) *cache {
	clone := *c
	clone.function, clone.model = c.function.promoted(w), nil
	now := func(v *param) *param {
		if i := slices.Index(c.params, v); i >= 0 {
			return clone.params[i]
		}
		return v
	}
	clone.fields, clone.keyParams, clone.ignored = nil, nil, nil
	for _, f := range c.fields {
		field, o := *f, *f.operand
		o.of = now(o.of)
		field.operand = &o
		clone.fields = append(clone.fields, &field)
	}
	for _, v := range c.keyParams {
		clone.keyParams = append(clone.keyParams, now(v))
	}
	for _, o := range c.ignored {
		copied := *o
		copied.of = now(o.of)
		clone.ignored = append(clone.ignored, &copied)
	}
	p.dropsIn(w, clone.function)
	n := c.names
	clone.names = cacheNames{entity: n.entity, variable: n.variable, keyType: n.keyType, parseKey: n.parseKey, field: p.foreign(w, c)}
	for _, prefix := range []string{"GetOrSet", "GetOrSetCached"} {
		name := sameCase(prefix+upper(n.entity), c.name())
		if p.member(w, name) == "" {
			w.names.members[name] = "a method of the cache of " + c.label()
			clone.names.getOrSet = name
			break
		}
	}
	if clone.names.getOrSet == "" {
		p.addf(c.namePos(), diag.Name, "%s is a method of %s too, whose wrapper has no name left for it", c.label(), w.obj.Name()).
			Hintf("choose another name, such as name=%s", p.freeName(c))
	}
	w.promoted = append(w.promoted, &clone)
	return &clone
}

// home is the type that a method is declared for.
func (f *function) home() *wrapped {
	if f.declared != nil {
		return f.declared
	}
	return f.recv
}
