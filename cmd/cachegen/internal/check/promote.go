package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// A promoter finds the annotated methods that types have from types that they embed.
type promoter struct{ namer }

// promote gives the wrapper of a type what is generated for annotated methods of types
// that it embeds: without that, the wrapper's promoted methods would bypass the cache.
// The entries are the same as those of the embedded type's own wrapper.
func (p promoter) promote() {
	caches, writers, batches := p.Caches, p.Writers, p.Batches
	for _, w := range p.Wrappers {
		clones := map[*facts.Cache]*facts.Cache{}
		for _, c := range caches {
			if p.Promotes(w, c.Function) && c.Names.Entity != "" {
				clones[c] = p.promoteCache(w, c)
			}
		}
		for _, x := range writers {
			if p.Promotes(w, x.Function) {
				clone := *x
				clone.Function = promotedTo(x.Function, w)
				p.Writers = append(p.Writers, &clone)
				w.Writers = append(w.Writers, &clone)
			}
		}
		for _, b := range batches {
			if p.Promotes(w, b.Function) {
				clone := *b
				clone.Function, clone.Clones = promotedTo(b.Function, w), clones
				p.nameBatch(&clone)
				p.Batches = append(p.Batches, &clone)
				w.Batches = append(w.Batches, &clone)
			}
		}
	}
}

// promotedTo is f as a method of w's type.
func promotedTo(f *facts.Function, w *facts.Wrapper) *facts.Function {
	w.Pointer = true // the methods of the embedded value may change it
	if w.File == nil {
		w.File = f.File
	}
	clone := *f
	clone.Recv, clone.Declared, clone.Params, clone.Results = w, f.Recv, nil, nil
	for _, v := range f.Params {
		clone.Params = append(clone.Params, &facts.Param{Var: v.Var, TypeExpr: v.TypeExpr, Position: v.Position, Variadic: v.Variadic})
	}
	for _, v := range f.Results {
		clone.Results = append(clone.Results, &facts.Param{Var: v.Var, TypeExpr: v.TypeExpr, Position: v.Position})
	}
	return &clone
}

// promoteCache is c as w's wrapper has it: with a handle on the same entries.
func (p promoter) promoteCache(w *facts.Wrapper, c *facts.Cache) *facts.Cache {
	clone := *c
	clone.Function = promotedTo(c.Function, w)
	now := func(v *facts.Param) *facts.Param {
		if i := slices.Index(c.Params, v); i >= 0 {
			return clone.Params[i]
		}
		return v
	}
	clone.Fields, clone.KeyParams, clone.Ignored = nil, nil, nil
	for _, f := range c.Fields {
		field, o := *f, *f.Operand
		o.Of = now(o.Of)
		field.Operand = &o
		clone.Fields = append(clone.Fields, &field)
	}
	for _, v := range c.KeyParams {
		clone.KeyParams = append(clone.KeyParams, now(v))
	}
	for _, o := range c.Ignored {
		copied := *o
		copied.Of = now(o.Of)
		clone.Ignored = append(clone.Ignored, &copied)
	}
	p.mayReplace(w, clone.Function)
	n := c.Names
	clone.Names = facts.CacheNames{Entity: n.Entity, Variable: n.Variable, KeyType: n.KeyType, ParseKey: n.ParseKey, Field: p.foreign(w, c, c.File, c.Directive.Pos)}
	name := naming.SameCase(facts.GetOrSet+naming.Upper(n.Entity), c.Name())
	if h, ok := p.takeMember(w, name, c.Directive.Pos, "a method of the cache of "+c.Label()); !ok {
		p.memberClash(c.NamePos(), "method", w, c.Label(), h, name).Hintf("choose another name, such as name=%s", p.freeName(c))
	}
	clone.Names.GetOrSet = name
	w.Promoted = append(w.Promoted, &clone)
	return &clone
}
