package check

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// goPast warns of annotated methods that a type has from one that it embeds and that
// [pack.promote] leaves alone: those of generic types and of other packages. Through the
// wrapper they are as they are, and what they are to invalidate stays.
func (p *pack) goPast() {
	if p.Broken || p.Context {
		return
	}
	for _, w := range p.wrappers {
		if !embeds(w.obj.Type()) {
			continue // as nearly all: looking each method of every package up would cost
		}
		for _, other := range p.all {
			for _, embedded := range other.wrappers {
				if methods := p.leftAlone(w, other, embedded); len(methods) > 0 {
					p.warnPast(w, other, embedded, methods)
				}
			}
		}
	}
}

// embeds reports whether t is a struct with an embedded field.
func embeds(t types.Type) bool {
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for field := range s.Fields() {
		if field.Embedded() {
			return true
		}
	}
	return false
}

// leftAlone returns the names of the annotated methods of embedded, a type of other,
// that w's type has and nothing is generated for.
func (p *pack) leftAlone(w *wrapped, other *pack, embedded *wrapped) (methods []string) {
	if w == embedded {
		return nil
	}
	var functions []*function
	for _, c := range embedded.caches {
		functions = append(functions, c.function)
	}
	for _, x := range embedded.writers {
		functions = append(functions, x.function)
	}
	for _, b := range embedded.batches {
		functions = append(functions, b.function)
	}
	for _, f := range functions {
		if f.declared != nil || p == other && p.promotes(w, f) || slices.Contains(methods, f.name()) {
			continue
		}
		obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.obj.Type()), true, p.Types, f.name())
		if m, ok := obj.(*types.Func); ok && len(index) > 1 && m.Origin() == other.Info.Defs[f.decl.Name] {
			methods = append(methods, f.name())
		}
	}
	return methods
}

func (p *pack) warnPast(w *wrapped, other *pack, embedded *wrapped, methods []string) {
	of, wrapper := embedded.obj.Name(), embedded.names.typ
	if other != p {
		of, wrapper = other.Name+"."+of, other.Name+"."+wrapper
	}
	var allow []*directive.Directive
	add := fmt.Sprintf("write //cache:wrap allow=%s above the type", diag.Past)
	if w.d != nil {
		allow, add = append(allow, w.d), fmt.Sprintf("write allow=%s", diag.Past)
	}
	goes := "goes"
	if len(methods) > 1 {
		goes = "go"
	}
	p.warnf(w.obj.Pos(), allow, diag.Past, "%s of the embedded %s %s past the cache in %s", strings.Join(methods, ", "), of, goes, w.names.typ).
		Relatedf(other.position(embedded.obj.Pos()), "%s", embedded.obj.Name()).
		Hintf("embed %s, which has the cache, or %s", wrapper, add)
}
