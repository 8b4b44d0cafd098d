package check

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// bypassRule compares a wrapper with the types that its type embeds.
type bypassRule struct{ *pass }

// check warns of annotated methods that a type has from one that it embeds and that
// [promoter] generates nothing for: those of generic types and of other packages. The wrapper
// calls them directly, so they neither read the cache nor invalidate anything. Neither does what a
// method returns that binds the embedded type to a transaction.
func (p bypassRule) check() {
	if p.Broken || p.Context {
		return
	}
	for _, w := range p.Wrappers {
		if !embeds(w.Object.Type()) {
			continue // as with nearly all types; looking up each method of every package would take long
		}
		for _, other := range p.all {
			for _, embedded := range other.Wrappers {
				if methods := p.notPromoted(w, other, embedded); len(methods) > 0 {
					p.warnBypass(w, other, embedded, methods)
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

// notPromoted returns the names of those annotated methods of embedded, a type of other, that w's
// type has but nothing is generated for.
func (p bypassRule) notPromoted(w *facts.Wrapper, other *facts.Package, embedded *facts.Wrapper) (methods []string) {
	if w == embedded {
		return nil
	}
	var functions []*facts.Function
	for _, c := range embedded.Caches {
		functions = append(functions, c.Function)
	}
	for _, x := range embedded.Writers {
		functions = append(functions, x.Function)
	}
	for _, b := range embedded.Batches {
		functions = append(functions, b.Function)
	}
	for _, m := range embedded.TxMethods {
		functions = append(functions, m.Function)
	}
	for _, f := range functions {
		if f.Declared != nil || p.Package == other && p.Promotes(w, f) && !embedded.Binds(f) || slices.Contains(methods, f.Name()) {
			continue
		}
		obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.Object.Type()), true, p.Types, f.Name())
		if m, ok := obj.(*types.Func); ok && len(index) > 1 && m.Origin() == other.Info.Defs[f.Decl.Name] {
			methods = append(methods, f.Name())
		}
	}
	return methods
}

func (p bypassRule) warnBypass(w *facts.Wrapper, other *facts.Package, embedded *facts.Wrapper, methods []string) {
	of, wrapper := embedded.Object.Name(), embedded.Names.Type
	if other != p.Package {
		of, wrapper = other.Name+"."+of, other.Name+"."+wrapper
	}
	var allow []*directive.Directive
	add := fmt.Sprintf("write //cache:wrap allow=%s above the type", diag.Bypass)
	if w.Directive != nil {
		allow, add = append(allow, w.Directive), fmt.Sprintf("write allow=%s", diag.Bypass)
	}
	verb := "bypasses"
	if len(methods) > 1 {
		verb = "bypass"
	}
	p.warnf(w.Object.Pos(), allow, diag.Bypass, "%s of the embedded %s %s the cache in %s", strings.Join(methods, ", "), of, verb, w.Names.Type).
		Relatedf(other.Position(embedded.Object.Pos()), "%s", embedded.Object.Name()).
		Hintf("embed %s, which has the cache, or %s", wrapper, add)
}
