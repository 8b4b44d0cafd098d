package facts

import (
	"go/token"
	"go/types"
	"slices"
)

// List reports whether the loader returns a slice rather than a map.
func (b *Batch) List() bool { return b.By != nil }

// TypeParams are those of the type's declaration.
func (w *Wrapper) TypeParams() []*types.TypeParam {
	n, ok := w.Object.Type().(*types.Named)
	if !ok {
		return nil
	}
	return slices.Collect(n.TypeParams().TypeParams())
}

// Idle reports that nothing of the type is annotated.
func (w *Wrapper) Idle() bool { return len(w.Caches)+len(w.Writers)+len(w.Batches) == 0 }

// Functions are the methods of w that something is generated for.
func (w *Wrapper) Functions() []*Function {
	var list []*Function
	for _, c := range w.Caches {
		list = append(list, c.Function)
	}
	for _, x := range w.Writers {
		list = append(list, x.Function)
	}
	for _, c := range w.Promoted {
		list = append(list, c.Function)
	}
	for _, b := range w.Batches {
		list = append(list, b.Function)
	}
	for _, m := range w.TxMethods {
		list = append(list, m.Function)
	}
	return list
}

// Binds reports whether f is one of w's methods that bind its type to a transaction.
func (w *Wrapper) Binds(f *Function) bool {
	return slices.ContainsFunc(w.TxMethods, func(m *TxMethod) bool { return m.Function == f })
}

// AllTypeParams are the type parameters that f's types may mention.
func (f *Function) AllTypeParams() []*types.TypeParam {
	if f.Recv != nil {
		return f.Recv.TypeParams()
	}
	return f.TypeParams
}

// Promotes reports whether an annotated function is a method that w's type has from a type
// that it embeds.
func (p *Package) Promotes(w *Wrapper, f *Function) bool {
	if f.Recv == nil || f.Recv == w || len(w.TypeParams())+len(f.Recv.TypeParams()) > 0 {
		return false
	}
	obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.Object.Type()), true, p.Types, f.Name())
	return obj != nil && obj == p.Info.Defs[f.Decl.Name] && len(index) > 1
}

// Home is the type that a method is declared for.
func (f *Function) Home() *Wrapper {
	if f.Declared != nil {
		return f.Declared
	}
	return f.Recv
}

// Elem is the type that the source writes: for a variadic parameter, that of one element.
func (p *Param) Elem() types.Type {
	if p.Variadic {
		return p.Type().(*types.Slice).Elem()
	}
	return p.Type()
}

// Source is the name in the source; empty if there is none.
func (p *Param) Source() string {
	if p.Name() == "_" {
		return ""
	}
	return p.Name()
}

// Name is the name in the source.
func (f *Function) Name() string { return f.Decl.Name.Name }

// Pos is the position of the name.
func (f *Function) Pos() token.Pos { return f.Decl.Name.Pos() }

// Label is the function as messages call it: UserRepo.FindUser.
func (f *Function) Label() string {
	if f.Recv == nil {
		return f.Name()
	}
	return f.Recv.Object.Name() + "." + f.Name()
}
