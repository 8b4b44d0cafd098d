package check

import (
	"go/ast"
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// function checks what every annotated function needs. It returns nil if it has
// reported something. reads says whether the function has to return exactly a value.
func (p collector) function(file *load.File, decl *ast.FuncDecl, reads bool) *facts.Function {
	name := decl.Name.Name
	if !p.valid(file, decl) {
		return nil
	}
	obj, _ := p.Info.Defs[decl.Name].(*types.Func)
	switch {
	case name == "_":
		p.addf(decl.Name.Pos(), diag.Signature, "a function named _ cannot be called").Hintf("give it a name")
		return nil
	case obj == nil:
		d := p.addf(decl.Name.Pos(), diag.Signature, "the package declares %s twice", name).Hintf("rename one of the two")
		if first := p.Types.Scope().Lookup(name); first != nil {
			d.Relatedf(p.Position(first.Pos()), "the first")
		}
		return nil
	}
	f := &facts.Function{File: file, Decl: decl, Signature: obj.Signature(), Reads: reads}
	if decl.Recv != nil && !p.receiver(f) {
		return nil
	}
	for t := range f.Signature.TypeParams().TypeParams() {
		f.TypeParams = append(f.TypeParams, t)
	}
	ok := p.takesContext(f)
	ok = p.returnsError(f, reads) && ok
	if !ok {
		return nil
	}
	for _, v := range append(f.Params, f.Results...) {
		if part := p.Unnamable(v.Type()); part != nil {
			p.addf(v.TypeExpr.Pos(), diag.Signature, "%s", p.WhyUnnamable(part)).Hintf("use a type that this package can name")
			ok = false
		} else if t := gotype.Endless(v.Type()); t != nil {
			name := t.Obj().Name()
			p.addf(v.TypeExpr.Pos(), diag.Signature, "%s refers to larger and larger instances of %s without end", p.TypeName(v.Type()), name).
				Hintf("let %s refer to instances with its own type parameters only", name)
			ok = false
		}
	}
	if !ok {
		return nil
	}
	return f
}

// valid reports the parts of a signature that have no type, with the message of the type checker.
func (p collector) valid(file *load.File, decl *ast.FuncDecl) bool {
	ok := true
	for _, list := range []*ast.FieldList{decl.Recv, decl.Type.Params, decl.Type.Results} {
		if list == nil {
			continue
		}
		for _, field := range list.List {
			expr := field.Type
			if dots, is := expr.(*ast.Ellipsis); is {
				expr = dots.Elt
			}
			if t := p.Info.TypeOf(expr); t != nil && !gotype.Invalid(t) {
				continue
			}
			ok = false
			at, why := p.Why(file, expr)
			if why == "" {
				why = "this type has errors"
			}
			d := p.addf(at, diag.Signature, "%s", why)
			if name, undefined := strings.CutPrefix(why, "undefined: "); undefined && p.looksGenerated(name) {
				d.Hintf("the signature of an annotated function cannot use what cachegen generates")
			} else {
				d.Hintf("cachegen needs the types of this function: fix the errors of the compiler first")
			}
		}
	}
	return ok
}

// looksGenerated guesses, for a hint, whether a missing type is one that would be generated.
func (p collector) looksGenerated(name string) bool {
	return strings.HasPrefix(naming.Upper(name), "Cached") || strings.HasSuffix(name, "Key")
}

// receiver finds the wrapped type of a method.
func (p collector) receiver(f *facts.Function) bool {
	at := f.Decl.Recv.List[0].Type.Pos()
	n := gotype.Named(f.Signature.Recv().Type())
	switch {
	case n == nil:
		p.addf(at, diag.Signature, "the receiver of %s has no named type", f.Name()).Hintf("annotate a method of a type that this package declares")
		return false
	case n.Obj().Pkg() != p.Types || n.Obj().Parent() != p.Types.Scope():
		p.addf(at, diag.Signature, "%s is not a type of this package", p.TypeName(n)).Hintf("annotate a method of a type that this package declares")
		return false
	}
	f.Recv = p.wrapper(n.Obj())
	if n.TypeArgs().Len() > 0 {
		f.Signature = own(n.Origin(), f.Signature, f.Name())
	}
	return true
}

// own is the signature of a generic type's method in terms of the parameters in the
// type's declaration, which methods may give other names.
func own(n *types.Named, sig *types.Signature, method string) *types.Signature {
	var args []types.Type
	for t := range n.TypeParams().TypeParams() {
		args = append(args, t)
	}
	instance, err := types.Instantiate(nil, n, args, false)
	if err != nil {
		return sig
	}
	obj, _, _ := types.LookupFieldOrMethod(types.NewPointer(instance), true, n.Obj().Pkg(), method)
	if f, ok := obj.(*types.Func); ok {
		return f.Signature()
	}
	return sig
}

// takesContext finds the context, which comes first if there is one, and collects the
// parameters after it.
func (p collector) takesContext(f *facts.Function) bool {
	params, exprs := f.Signature.Params(), expressions(f.Decl.Type.Params)
	first := 1
	if params.Len() == 0 || !gotype.IsContext(params.At(0).Type()) {
		first, f.NoContext = 0, true
	}
	if !f.NoContext {
		if f.Context = params.At(0).Name(); f.Context == "_" {
			f.Context = ""
		}
	}
	for i := first; i < params.Len(); i++ {
		if t := params.At(i).Type(); gotype.IsContext(t) || gotype.IsPointer(t) && gotype.IsContext(t.Underlying().(*types.Pointer).Elem()) {
			p.addf(exprs[i].Pos(), diag.Signature, "%s must take one context.Context, as its first parameter", f.Name()).
				Hintf("write func %s(ctx context.Context, …)", f.Name())
			return false
		}
		f.Params = append(f.Params, &facts.Param{
			Var: params.At(i), TypeExpr: exprs[i], Position: i + 1 - first,
			Variadic: f.Signature.Variadic() && i == params.Len()-1,
		})
	}
	return true
}

// returnsError checks the results, and collects those before the error.
func (p collector) returnsError(f *facts.Function, reads bool) bool {
	results := f.Signature.Results()
	n := results.Len()
	at := f.Pos()
	if n > 0 {
		at = f.Decl.Type.Results.Pos()
	}
	hasError := n > 0 && gotype.IsError(results.At(n-1).Type())
	withOK := n == 3 && types.Identical(results.At(1).Type(), types.Typ[types.Bool])
	switch {
	case reads && (n != 2 && !withOK || !hasError):
		d := p.addf(at, diag.Signature, "%s must return a value and an error", f.Name())
		if n > 2 && hasError {
			d.Hintf("return its values in one struct; a bool before the error may say whether there is a value")
		} else {
			d.Hintf("the value is cached, and an error means that there is nothing to cache")
		}
		return false
	case !hasError:
		p.addf(at, diag.Signature, "%s must return an error as its last result", f.Name()).
			Hintf("entries are stored or invalidated only if the error is nil")
		return false
	}
	exprs := expressions(f.Decl.Type.Results)
	for i := range n - 1 {
		f.Results = append(f.Results, &facts.Param{Var: results.At(i), TypeExpr: exprs[i], Position: i + 1})
	}
	return true
}

// expressions are the type expressions of a list, one for each name.
func expressions(list *ast.FieldList) []ast.Expr {
	var exprs []ast.Expr
	if list == nil {
		return nil
	}
	for _, field := range list.List {
		for range max(1, len(field.Names)) {
			exprs = append(exprs, field.Type)
		}
	}
	return exprs
}
