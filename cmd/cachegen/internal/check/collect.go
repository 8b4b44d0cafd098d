package check

import (
	"cmp"
	"go/ast"
	"go/token"
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

// A collector finds the annotated functions and types of a package.
type collector struct{ *pass }

// collect finds the annotated functions and types, and checks what concerns only one of them.
func (p collector) collect() {
	for _, file := range p.Files {
		for _, d := range file.Directives {
			if d.Verb == directive.Wrap {
				p.wrap(file, d)
			}
		}
	}
	for _, file := range p.Files {
		for _, decl := range file.Refused {
			p.refuse(decl, true)
		}
		var order []*ast.FuncDecl
		byFunc := map[*ast.FuncDecl][]*directive.Directive{}
		for _, d := range file.Directives {
			if d.Func == nil {
				continue
			}
			if byFunc[d.Func] == nil {
				order = append(order, d.Func)
			}
			byFunc[d.Func] = append(byFunc[d.Func], d)
		}
		for _, decl := range order {
			p.annotated(file, decl, byFunc[decl])
		}
	}
}

// removeIdle reports types with a wrap directive that have nothing to wrap, removes them, and sorts
// the others by file.
func (p collector) removeIdle() {
	for _, w := range p.Wrappers {
		if w.Idle() && w.Directive != nil && !w.Refused && !p.inherits(w) {
			what := "no annotated methods"
			if embeds(w.Object.Type()) {
				what += ", and none that are promoted (those of generic types and of other packages are not)"
			}
			p.addf(w.Directive.Pos, diag.Stray, "%s has %s, so there is nothing to wrap", w.Object.Name(), what).
				Hintf("annotate a method with //cache:getorset")
		}
	}
	for _, w := range p.Wrappers {
		if w.Idle() && w.Directive == nil && !w.Refused && len(w.TxMethods) > 0 {
			p.addf(w.TxMethods[0].Directive.Pos, diag.Stray, "%s has no annotated methods, so there is no wrapper to bind to a transaction", w.Object.Name()).
				Hintf("annotate a method with //cache:getorset")
		}
	}
	p.Wrappers = slices.DeleteFunc(p.Wrappers, func(w *facts.Wrapper) bool { return w.Idle() && (w.Directive == nil || !p.inherits(w)) })
	slices.SortStableFunc(p.Wrappers, func(a, b *facts.Wrapper) int {
		return cmp.Or(strings.Compare(a.File.Name, b.File.Name), cmp.Compare(a.Object.Pos(), b.Object.Pos()))
	})
}

// inherits reports whether the type of w has annotated methods from what it embeds.
func (p collector) inherits(w *facts.Wrapper) bool {
	return slices.ContainsFunc(p.Caches, func(c *facts.Cache) bool { return p.Promotes(w, c.Function) }) ||
		slices.ContainsFunc(p.Writers, func(x *facts.Writer) bool { return p.Promotes(w, x.Function) })
}

// annotated checks one function with its directives.
func (p collector) annotated(file *load.File, decl *ast.FuncDecl, list []*directive.Directive) {
	if i := slices.IndexFunc(list, func(d *directive.Directive) bool { return d.Verb == directive.Transaction }); i >= 0 {
		p.alone(decl, list, list[i])
		p.txMethod(file, decl, list[i])
		return
	}
	first := list[0]
	i := slices.IndexFunc(list, func(d *directive.Directive) bool { return d.Verb == directive.GetOrSet || d.Verb == directive.Batch })
	if i >= 0 {
		first = list[i]
	}
	for _, d := range list {
		if i < 0 || d == first {
			continue
		}
		message := "//cache:" + d.Verb + " cannot be combined with //cache:" + first.Verb + ": a function either reads or writes"
		hint := "annotate another function with one of them"
		if d.Verb == first.Verb {
			message = decl.Name.Name + " has two //cache:" + d.Verb + " directives"
			hint = "to continue a directive on another line, write //cache:with"
		}
		p.addf(d.Pos, diag.Verb, "%s", message).Relatedf(p.Position(first.Pos), "the //cache:%s", first.Verb).Hintf("%s", hint)
	}
	reads := first.Verb == directive.GetOrSet
	loads := first.Verb == directive.Batch
	f := p.function(file, decl, reads || loads)
	if f == nil {
		p.refuse(decl, reads)
		return
	}
	if f.Recv != nil {
		f.Recv.Pointer = f.Recv.Pointer || gotype.IsPointer(f.Signature.Recv().Type())
		if f.Recv.File == nil {
			f.Recv.File = file
		}
	}
	switch {
	case loads:
		b := &facts.Batch{Function: f, In: p.Package, Directive: first}
		p.Batches = append(p.Batches, b)
		if f.Recv != nil {
			f.Recv.Batches = append(f.Recv.Batches, b)
		}
		return
	case !reads:
		w := &facts.Writer{Function: f, In: p.Package, Directives: list}
		p.Writers = append(p.Writers, w)
		if f.Recv != nil {
			f.Recv.Writers = append(f.Recv.Writers, w)
		}
		return
	}
	c := &facts.Cache{Function: f, In: p.Package, Directive: first}
	p.Caches = append(p.Caches, c)
	if f.Recv != nil {
		f.Recv.Caches = append(f.Recv.Caches, c)
	}
	readOptions(c)
}

// alone reports other directives of a function with one that stands alone.
func (p collector) alone(decl *ast.FuncDecl, list []*directive.Directive, only *directive.Directive) {
	for _, d := range list {
		switch {
		case d == only:
		case d.Verb == only.Verb:
			p.addf(d.Pos, diag.Verb, "%s has two //cache:%s directives", decl.Name.Name, d.Verb).
				Relatedf(p.Position(only.Pos), "the //cache:%s", only.Verb).Hintf("remove one of the two")
		default:
			p.addf(d.Pos, diag.Verb, "//cache:%s cannot be combined with //cache:%s: a function that binds its type to a transaction neither reads nor writes", d.Verb, only.Verb).
				Relatedf(p.Position(only.Pos), "the //cache:%s", only.Verb).Hintf("annotate another function with one of them")
		}
	}
}

// refuse notes a function whose directive or signature was reported, so that nothing else is reported
// because it is missing.
func (p collector) refuse(decl *ast.FuncDecl, reads bool) {
	if reads {
		p.Refused[decl.Name.Name] = true
	}
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return
	}
	if n := gotype.Named(p.Info.TypeOf(decl.Recv.List[0].Type)); n != nil {
		for _, w := range p.Wrappers {
			w.Refused = w.Refused || w.Object == n.Obj()
		}
	}
}

// wrap checks a wrap directive.
func (p collector) wrap(file *load.File, d *directive.Directive) {
	name := d.TypeSpec.Name
	obj, _ := p.Info.Defs[name].(*types.TypeName)
	switch {
	case obj == nil:
		return // redeclared or blank: the compiler says so
	case obj.IsAlias():
		p.addf(d.Pos, diag.Signature, "%s is an alias and has no methods of its own", name.Name).
			Hintf("annotate the type that it refers to")
		return
	case types.IsInterface(obj.Type()):
		p.addf(d.Pos, diag.Signature, "%s is an interface", name.Name).
			Hintf("annotate a type that implements it: its wrapper implements it too")
		return
	}
	w := p.wrapper(obj)
	if w.Directive != nil {
		p.addf(d.Pos, diag.Verb, "%s has two //cache:wrap directives", name.Name).
			Relatedf(p.Position(w.Directive.Pos), "the first").
			Hintf("to continue a directive on another line, write //cache:with")
		return
	}
	w.Directive, w.File = d, file
	for _, arg := range d.Positional() {
		if !token.IsIdentifier(arg.Text) || arg.Text == "_" {
			p.addf(arg.Pos, diag.Name, "%q is not a name for a type", arg.Text).
				Hintf("write a name of letters and digits, such as Cached%s", naming.Upper(name.Name))
		}
	}
}

// wrapper returns the wrapper of a type, which it makes if there is none yet.
func (p collector) wrapper(obj *types.TypeName) *facts.Wrapper {
	for _, w := range p.Wrappers {
		if w.Object == obj {
			return w
		}
	}
	w := &facts.Wrapper{Object: obj}
	p.Wrappers = append(p.Wrappers, w)
	return w
}
