package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// A function is an annotated function or method.
type function struct {
	file     *load.File
	decl     *ast.FuncDecl
	sig      *types.Signature // of a method of a generic type, in terms of the type's own parameters
	recv     *wrapped         // nil for a plain function
	reads    bool             // it has a getorset
	declared *wrapped         // the type that recv embeds and has the method from; nil if it is recv's own

	typeParams []*types.TypeParam // of a generic plain function

	noContext bool     // it takes none
	ctx       string   // the context parameter as the source calls it; empty if it has no name
	context   string   // the name in generated code
	params    []*param // after the context
	results   []*param // before the error
}

// A param is a parameter or a result.
type param struct {
	*types.Var
	typeExpr ast.Expr
	position int // among the function's parameters or results, from 1
	variadic bool
	name     string // in generated code
}

// elem is the type that the source writes: for a variadic parameter, that of one element.
func (p *param) elem() types.Type {
	if p.variadic {
		return p.Type().(*types.Slice).Elem()
	}
	return p.Type()
}

// source is the name in the source; empty if there is none.
func (p *param) source() string {
	if p.Name() == "_" {
		return ""
	}
	return p.Name()
}

func (f *function) name() string { return f.decl.Name.Name }

func (f *function) pos() token.Pos { return f.decl.Name.Pos() }

// label is the function as messages call it: UserRepo.FindUser.
func (f *function) label() string {
	if f.recv == nil {
		return f.name()
	}
	return f.recv.obj.Name() + "." + f.name()
}

// function checks what every annotated function needs. It returns nil if it has
// reported something. reads says whether the function has to return exactly a value.
func (p *pack) function(file *load.File, decl *ast.FuncDecl, reads bool) *function {
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
			d.Relatedf(p.position(first.Pos()), "the first")
		}
		return nil
	}
	f := &function{file: file, decl: decl, sig: obj.Signature(), reads: reads}
	if decl.Recv != nil && !p.receiver(f) {
		return nil
	}
	for t := range f.sig.TypeParams().TypeParams() {
		f.typeParams = append(f.typeParams, t)
	}
	ok := p.takesContext(f)
	ok = p.returnsError(f, reads) && ok
	if !ok {
		return nil
	}
	for _, v := range append(f.params, f.results...) {
		if part := p.unnamable(v.Type()); part != nil {
			p.addf(v.typeExpr.Pos(), diag.Signature, "%s", p.whyUnnamable(part)).Hintf("use a type that this package can name")
			ok = false
		}
	}
	if !ok {
		return nil
	}
	return f
}

// valid reports the parts of a signature that have no type, in the words of the
// type checker.
func (p *pack) valid(file *load.File, decl *ast.FuncDecl) bool {
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
			if t := p.Info.TypeOf(expr); t != nil && !invalid(t) {
				continue
			}
			ok = false
			at, why := p.Why(file, expr)
			if why == "" {
				why = "this type has errors"
			}
			d := p.addf(at, diag.Signature, "%s", why)
			if name, undefined := strings.CutPrefix(why, "undefined: "); undefined && p.looksGenerated(name) {
				d.Hintf("an annotated function cannot name what cachegen generates")
			} else {
				d.Hintf("cachegen needs the types of this function: mend what the compiler reports first")
			}
		}
	}
	return ok
}

// looksGenerated guesses, for a hint, whether a missing type is one that would be generated.
func (p *pack) looksGenerated(name string) bool {
	return strings.HasPrefix(upper(name), "Cached") || strings.HasSuffix(name, "Key")
}

// receiver finds the wrapped type of a method.
func (p *pack) receiver(f *function) bool {
	at := f.decl.Recv.List[0].Type.Pos()
	n := named(f.sig.Recv().Type())
	switch {
	case n == nil:
		p.addf(at, diag.Signature, "the receiver of %s has no named type", f.name()).Hintf("annotate a method of a type that this package declares")
		return false
	case n.Obj().Pkg() != p.Types || n.Obj().Parent() != p.Types.Scope():
		p.addf(at, diag.Signature, "%s is not a type of this package", p.name(n)).Hintf("annotate a method of a type that this package declares")
		return false
	}
	f.recv = p.wrapper(n.Obj())
	if n.TypeArgs().Len() > 0 {
		f.sig = own(n.Origin(), f.sig, f.name())
	}
	return true
}

// own is the signature of a generic type's method in terms of the parameters in the
// type's declaration: methods may call theirs otherwise.
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
func (p *pack) takesContext(f *function) bool {
	params, exprs := f.sig.Params(), expressions(f.decl.Type.Params)
	first := 1
	if params.Len() == 0 || !isContext(params.At(0).Type()) {
		first, f.noContext = 0, true
	}
	if !f.noContext {
		if f.ctx = params.At(0).Name(); f.ctx == "_" {
			f.ctx = ""
		}
	}
	for i := first; i < params.Len(); i++ {
		if t := params.At(i).Type(); isContext(t) || isPointer(t) && isContext(t.Underlying().(*types.Pointer).Elem()) {
			p.addf(exprs[i].Pos(), diag.Signature, "%s must take its context.Context first, and only one", f.name()).
				Hintf("write func %s(ctx context.Context, …)", f.name())
			return false
		}
		f.params = append(f.params, &param{
			Var: params.At(i), typeExpr: exprs[i], position: i + 1 - first,
			variadic: f.sig.Variadic() && i == params.Len()-1,
		})
	}
	return true
}

// returnsError checks the results, and collects those before the error.
func (p *pack) returnsError(f *function, reads bool) bool {
	results := f.sig.Results()
	n := results.Len()
	at := f.pos()
	if n > 0 {
		at = f.decl.Type.Results.Pos()
	}
	hasError := n > 0 && isError(results.At(n-1).Type())
	withOK := n == 3 && types.Identical(results.At(1).Type(), types.Typ[types.Bool])
	switch {
	case reads && (n != 2 && !withOK || !hasError):
		d := p.addf(at, diag.Signature, "%s must return a value and an error", f.name())
		if n > 2 && hasError {
			d.Hintf("put its values into one struct; a bool before the error may say whether there is a value")
		} else {
			d.Hintf("what it returns is what is cached, and an error says that there is nothing to cache")
		}
		return false
	case !hasError:
		p.addf(at, diag.Signature, "%s must return an error last", f.name()).
			Hintf("without it nobody knows whether there is something to invalidate")
		return false
	}
	exprs := expressions(f.decl.Type.Results)
	for i := range n - 1 {
		f.results = append(f.results, &param{Var: results.At(i), typeExpr: exprs[i], position: i + 1})
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
