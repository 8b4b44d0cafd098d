package check

import (
	"go/token"
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// member says who has a name among the wrapper's fields and methods, including those that it has
// from the wrapped type.
func (p namer) member(w *facts.Wrapper, name string) (naming.Holder, bool) {
	if name == w.Object.Name() {
		return naming.Holder{What: "the embedded " + name}, true
	}
	if h, ok := w.Names.Members[name]; ok {
		return h, true
	}
	obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.Object.Type()), true, p.Types, name)
	var h naming.Holder
	switch obj.(type) {
	case *types.Func:
		h.What = "a method of " + w.Object.Name()
	case *types.Var:
		h.What = "a field of " + w.Object.Name()
	default:
		h.What = "the name of several fields or methods of " + w.Object.Name()
		return h, index != nil
	}
	if obj.Pkg() == p.Types {
		h.Pos = obj.Pos()
	}
	return h, true
}

// isMember reports whether the wrapper has a field or method of that name.
func (p namer) isMember(w *facts.Wrapper, name string) bool {
	_, taken := p.member(w, name)
	return taken
}

// takeMember claims a name of the wrapper for what the directive at pos generates. If it is not free,
// takeMember returns who has it and false.
func (p namer) takeMember(w *facts.Wrapper, name string, pos token.Pos, what string) (naming.Holder, bool) {
	if h, taken := p.member(w, name); taken {
		return h, false
	}
	w.Names.Members[name] = naming.Holder{What: what, Pos: pos, Generated: true}
	return naming.Holder{}, true
}

// memberClash reports that a name of the wrapper is not free. Generated code takes another name for
// nothing that people call: with the next method of the wrapped type, a name would mean something else
// in code that stays as it is.
func (p namer) memberClash(at token.Pos, what string, w *facts.Wrapper, who string, h naming.Holder, name string) *diag.Diagnostic {
	d := p.addf(at, diag.Name, "cannot generate the %s %s of %s for %s: that is already %s", what, name, w.Names.Type, who, h.What)
	if h.Pos.IsValid() {
		d.Relatedf(p.Position(h.Pos), "%s", name)
	}
	return d
}
