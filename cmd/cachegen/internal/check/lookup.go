package check

import (
	"go/ast"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
)

// targetCache finds the cached function that a target of f names: a method of its own type or a
// plain function by its name alone, a method of another type with the type, one of another package
// with the package. What a name means never depends on what else is cached: whoever annotates one
// more function would change what an old directive invalidates.
func (p calls) targetCache(f *facts.Function, callee facts.Path) *facts.Cache {
	if len(callee.Names) > 1 {
		if c, found := p.inOtherPackage(f, callee); found {
			return c
		}
	}
	name := callee.Names[len(callee.Names)-1].Text
	var own, plain, others []*facts.Cache
	for _, c := range p.Caches {
		switch {
		case c.Name() != name:
		case len(callee.Names) == 2:
			if c.Recv != nil && c.Recv.Object.Name() == callee.Names[0].Text {
				return c
			}
		case c.Recv == nil:
			plain = append(plain, c)
		case c.Recv == f.Home():
			own = append(own, c)
		default:
			others = append(others, c)
		}
	}
	found := slices.Concat(own, plain)
	if len(found) == 1 {
		return found[0]
	}
	if found = slices.Concat(found, others); len(found) > 0 {
		what := "is ambiguous"
		if len(found) == 1 {
			what = "is a method of another type, and is not named as one"
		}
		d := p.addf(callee.Pos(0), diag.Target, "%s %s", callee, what)
		for _, c := range found {
			d.Relatedf(p.Position(c.Pos()), "%s", c.Label())
		}
		i := slices.IndexFunc(found, func(c *facts.Cache) bool { return c.Recv != nil })
		if d.Hintf("write %s", found[i].Label()); len(plain) > 0 {
			d.Hintf("or rename the function %s, if that is meant", name)
		}
		return nil
	}
	if p.Refused[name] {
		return nil // a cached function whose signature was reported
	}
	if p.declares(callee) {
		p.addf(callee.Pos(0), diag.Target, "%s is not cached: it has no //cache:getorset", callee).Hintf("annotate it, or remove it here")
		return nil
	}
	if p.Test && p.declaredAnywhere(name) {
		p.addf(callee.Pos(0), diag.Target, "%s is not declared in a test file, and directives in tests can only name functions of tests", callee).
			Hintf("call the generated function in the body instead")
		return nil
	}
	chooseTarget(p.Package, p.addf(callee.Pos(0), diag.Target, "no cached function %s in this package", callee), callee)
	return nil
}

// declaredAnywhere reports whether any file of the package declares a function or method of that
// name. For a package of tests those are more than the files that directives are read from.
func (p calls) declaredAnywhere(name string) bool {
	scope := p.Types.Scope()
	if _, ok := scope.Lookup(name).(*types.Func); ok {
		return true
	}
	return slices.ContainsFunc(scope.Names(), func(of string) bool {
		t, ok := scope.Lookup(of).(*types.TypeName)
		if !ok {
			return false
		}
		m, _, _ := types.LookupFieldOrMethod(t.Type(), true, p.Types, name)
		_, ok = m.(*types.Func)
		return ok
	})
}

// chooseTarget adds a hint: which of p's cached functions was probably meant, or which there are.
func chooseTarget(p *facts.Package, d *diag.Diagnostic, name facts.Path) {
	if d.Suggest(name.String(), labelsOf(p)); len(d.Hints) > 0 {
		return
	}
	var labels []string
	for _, c := range p.Caches {
		labels = append(labels, c.Label())
	}
	d.Choose("", labels, "annotate it with //cache:getorset")
}

// labelsOf are the names of the package's cached functions.
func labelsOf(p *facts.Package) []string {
	var names []string
	for _, c := range p.Caches {
		names = append(names, c.Name())
		if c.Recv != nil {
			names = append(names, c.Label())
		}
	}
	return names
}

// declares reports whether the package has a function or method of that name.
func (p calls) declares(callee facts.Path) bool {
	name := callee.Names[len(callee.Names)-1].Text
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Name.Name != name {
				continue
			}
			if len(callee.Names) == 1 {
				return true
			}
			if f.Recv != nil {
				n := gotype.Named(p.Info.TypeOf(f.Recv.List[0].Type))
				if n != nil && n.Obj().Name() == callee.Names[0].Text {
					return true
				}
			}
		}
	}
	return false
}
