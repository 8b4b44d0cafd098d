package build

import (
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/templates"
)

func (o *output) txMethod(w *facts.Wrapper, m *facts.TxMethod) *templates.TxMethod {
	model := &templates.TxMethod{
		Func: m.Name(), Context: o.functions[m.Function].context, NoContext: m.NoContext, Params: o.params(m.Params),
		Result: o.typ(m.Result), HasError: m.HasError, Bound: bound(o.wrappers[w].Pointer, m.Result), Deprecated: m.Deprecated(),
	}
	if m.Tx != nil && gotype.CanBeNil(m.Tx.Type()) {
		model.Absent = o.locals[m.Tx]
	}
	return model
}

// bound is how a wrapper holds a method's result: the wrapped type, a pointer to it, or an interface.
func bound(holdsPointer bool, result types.Type) templates.Bound {
	switch isPointer := gotype.IsPointer(result); {
	case types.IsInterface(result):
		return templates.BoundAssert
	case isPointer == holdsPointer:
		return templates.BoundAsIs
	case isPointer:
		return templates.BoundDereference
	}
	return templates.BoundAddress
}
