package check

import (
	"cmp"
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// txMethod checks a method of which a directive says that it returns its type bound to a transaction.
func (p collector) txMethod(file *load.File, decl *ast.FuncDecl, d *directive.Directive) {
	if !p.valid(file, decl) {
		return
	}
	obj, _ := p.Info.Defs[decl.Name].(*types.Func)
	switch {
	case decl.Recv == nil:
		p.addf(decl.Name.Pos(), diag.Signature, "%s is no method, so it binds no type to a transaction", decl.Name.Name).
			Hintf("annotate the method that returns its type for use in a transaction")
		return
	case obj == nil || decl.Name.Name == "_":
		return // the compiler says so
	}
	f := &facts.Function{File: file, Decl: decl, Signature: obj.Signature()}
	if !p.receiver(f) || !p.takesContext(f) {
		return
	}
	m := &facts.TxMethod{Function: f, Directive: d}
	if !p.returnsType(m) {
		name := f.Recv.Object.Name()
		at := f.Pos()
		if decl.Type.Results != nil {
			at = decl.Type.Results.Pos()
		}
		p.addf(at, diag.Signature, "%s must return %s, a pointer to it, or an interface that it implements", f.Name(), name).
			Hintf("write func (…) %s(…) *%s; an error may follow", f.Name(), name)
		return
	}
	for _, v := range f.Params {
		if part := p.Unnamable(v.Type()); part != nil {
			p.addf(v.TypeExpr.Pos(), diag.Signature, "%s", p.WhyUnnamable(part)).Hintf("use a type that this package can name")
			return
		}
		if m.Tx == nil && isTx(f, v) {
			m.Tx = v
		}
	}
	f.Recv.TxMethods = append(f.Recv.TxMethods, m)
}

// returnsType finds what m returns, and reports whether that can be its type.
func (p *pass) returnsType(m *facts.TxMethod) bool {
	results := m.Signature.Results()
	m.HasError = results.Len() == 2 && gotype.IsError(results.At(1).Type())
	if results.Len() != 1 && !m.HasError {
		return false
	}
	m.Result = results.At(0).Type()
	if p.Unnamable(m.Result) != nil {
		return false
	}
	own := elem(m.Signature.Recv().Type())
	if types.Identical(elem(m.Result), own) {
		return true
	}
	i, ok := m.Result.Underlying().(*types.Interface)
	return ok && i.NumMethods() > 0 && types.Implements(types.NewPointer(own), i)
}

// elem is what t points to, or t.
func elem(t types.Type) types.Type {
	if pointer, ok := types.Unalias(t).(*types.Pointer); ok {
		return pointer.Elem()
	}
	return t
}

// isTx reports whether a parameter of f, which returns its own type, is a transaction: nil is none.
func isTx(f *facts.Function, v *facts.Param) bool {
	return isTransaction(v.Type()) || executes(v.Type()) && (saysTx(v.Name()) || saysTx(f.Name()))
}

// mayBeTx reports whether it can be one, or what somebody has made of one, such as a client, because the
// method's name says so.
func mayBeTx(f *facts.Function, v *facts.Param) bool {
	switch v.Type().Underlying().(type) {
	case *types.Pointer, *types.Interface, *types.Struct:
		return isTx(f, v) || saysTx(f.Name())
	}
	return false
}

// txRule finds the methods that return a wrapped type bound to a database transaction: without one of
// its own, the wrapper would have them from the type, and what they return would change data and leave
// caches as they are.
type txRule struct{ namer }

func (p txRule) check() {
	for _, w := range p.Wrappers {
		for _, m := range w.TxMethods {
			p.mayReplace(w, m.Function)
		}
	}
	if len(p.Wrappers) > 0 {
		p.find()
	}
	for _, w := range p.Wrappers {
		if len(w.TxMethods) == 0 {
			continue
		}
		slices.SortStableFunc(w.TxMethods, func(a, b *facts.TxMethod) int {
			return cmp.Or(strings.Compare(a.File.Name, b.File.Name), cmp.Compare(a.Pos(), b.Pos()))
		})
		if len(w.Writers) > 0 {
			w.InTx = naming.Unused("inTx", "", func(name string) bool { return p.isMember(w, name) })
			p.takeMember(w, w.InTx, w.TxMethods[0].Pos(), "says that the wrapper is of a transaction")
		}
	}
}

// find finds those that no directive names: by the type that they return, and a parameter that is a
// transaction.
func (p txRule) find() {
	for _, file := range p.Files {
		annotated := map[*ast.FuncDecl]bool{}
		for _, d := range file.Directives {
			annotated[d.Func] = true
		}
		for _, decl := range file.AST.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || len(f.Recv.List) != 1 || f.Name.Name == "_" || annotated[f] || slices.Contains(file.Refused, f) {
				continue
			}
			if m := p.looksLike(file, f); m != nil {
				m.Recv.TxMethods = append(m.Recv.TxMethods, m)
			}
		}
	}
}

// looksLike returns the method of a wrapped type that f is, if f binds the type to a transaction and
// generated code can replace it: wherever the wrapper is compiled, the method is. A method that the
// sources declare for the wrapper stays.
func (p txRule) looksLike(file *load.File, decl *ast.FuncDecl) *facts.TxMethod {
	obj, _ := p.Info.Defs[decl.Name].(*types.Func)
	if obj == nil || obj.Signature().Recv() == nil {
		return nil
	}
	n := gotype.Named(obj.Signature().Recv().Type())
	if n == nil {
		return nil
	}
	i := slices.IndexFunc(p.Wrappers, func(w *facts.Wrapper) bool { return w.Object == n.Obj() })
	if i < 0 {
		return nil
	}
	w, sig := p.Wrappers[i], obj.Signature()
	if _, declared := w.Own[decl.Name.Name]; declared || !p.bindsOne(sig) || !facts.Sees(w.File, file) {
		return nil
	}
	f := &facts.Function{File: file, Decl: decl, Signature: sig}
	if c := (collector{p.pass}); !c.receiver(f) || !c.takesContext(f) {
		return nil
	}
	m, tx := &facts.TxMethod{Function: f}, f.Params[0]
	if !mayBeTx(f, tx) || p.Unnamable(tx.Type()) != nil || !p.returnsType(m) {
		return nil
	}
	if isTx(f, tx) {
		m.Tx = tx
	}
	return m
}

// bindsOne reports whether a method takes one value, after a context if it takes one, and returns one,
// before an error if it returns one; and whether all of that has types.
func (p txRule) bindsOne(sig *types.Signature) bool {
	for tuple := range slices.Values([]*types.Tuple{sig.Params(), sig.Results()}) {
		for v := range tuple.Variables() {
			if gotype.Invalid(v.Type()) {
				return false
			}
		}
	}
	params, results := sig.Params().Len(), sig.Results().Len()
	if params > 0 && gotype.IsContext(sig.Params().At(0).Type()) {
		params--
	}
	return params == 1 && (results == 1 || results == 2) && !gotype.IsContext(sig.Params().At(sig.Params().Len()-1).Type())
}
