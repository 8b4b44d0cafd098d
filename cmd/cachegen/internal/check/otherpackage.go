package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// inOtherPackage finds a cached function of another package: users.FindUser, or
// users.UserRepo.FindUser. found is false if the first name is not that of a package.
func (p calls) inOtherPackage(f *facts.Function, callee facts.Path) (c *facts.Cache, found bool) {
	head := callee.Names[0].Text
	if p.Types.Scope().Lookup(head) != nil {
		return nil, false
	}
	imported := p.Imported(f.File, head)
	if len(imported) == 0 {
		if len(callee.Names) == 3 || token.IsExported(callee.Names[1].Text) && !token.IsExported(head) {
			p.addf(callee.Pos(0), diag.Target, "no file of this package imports a package %s", head).
				Hintf("import it: where nothing else needs it, as _")
			return nil, true
		}
		return nil, false
	}
	// That another file imports one more package by that name changes nothing, unless it has such
	// a function, too.
	rest := facts.Path{Names: callee.Names[1:], Start: callee.Start}
	chosen := imported[0]
	for i, pkg := range imported {
		switch {
		case len(p.fit(pkg, rest)) == 0:
		case len(p.fit(chosen, rest)) == 0 && !p.importedBy(f.File, chosen):
			chosen = pkg
		case i > 0 && pkg != chosen:
			p.addf(callee.Pos(0), diag.Target, "%s is ambiguous: files of this package import %s and %s as %s", callee, chosen.Path(), pkg.Path(), head).
				Hintf("import one of the two by another name")
			return nil, true
		}
	}
	return p.inPackage(chosen, callee, rest), true
}

// importedBy reports whether file itself imports pkg.
func (p calls) importedBy(file *load.File, pkg *types.Package) bool {
	return slices.ContainsFunc(file.AST.Imports, func(spec *ast.ImportSpec) bool {
		obj := p.Info.PkgNameOf(spec)
		return obj != nil && obj.Imported() == pkg
	})
}

// fit are the cached functions of an imported package that a target without the package's name can
// mean: as in its own package, a method is named with its type.
func (p calls) fit(pkg *types.Package, rest facts.Path) []*facts.Cache {
	var fit []*facts.Cache
	for _, c := range p.cachesOf(pkg) {
		switch {
		case c.Name() != rest.Names[len(rest.Names)-1].Text:
		case len(rest.Names) == 1 && c.Recv == nil, len(rest.Names) == 2 && c.Recv != nil && c.Recv.Object.Name() == rest.Names[0].Text:
			fit = append(fit, c)
		}
	}
	return fit
}

func (p calls) cachesOf(pkg *types.Package) []*facts.Cache {
	for _, other := range p.all {
		if other.Path == pkg.Path() {
			return other.Caches
		}
	}
	return nil
}

// inPackage finds the cached function of an imported package that a target names.
func (p calls) inPackage(pkg *types.Package, callee, rest facts.Path) *facts.Cache {
	at := slices.IndexFunc(p.all, func(other *facts.Package) bool { return other.Path == pkg.Path() })
	if at < 0 {
		if !p.alone {
			p.addf(callee.Pos(0), diag.Target, "%s has no cached functions", pkg.Path()).Hintf("annotate one there with //cache:getorset")
		}
		return nil
	}
	other, fit := p.all[at], p.fit(pkg, rest)
	if len(fit) > 0 {
		return fit[0]
	}
	methods := slices.DeleteFunc(slices.Clone(other.Caches), func(c *facts.Cache) bool {
		return c.Recv == nil || len(rest.Names) > 1 || c.Name() != rest.Names[0].Text
	})
	switch {
	case len(methods) > 0:
		what := "is a method, and is not named as one"
		if len(methods) > 1 {
			what = "is ambiguous"
		}
		d := p.addf(callee.Pos(0), diag.Target, "%s %s", callee, what)
		for _, c := range methods {
			d.Relatedf(other.Position(c.Pos()), "%s", c.Label())
		}
		d.Hintf("write %s.%s", callee.Names[0].Text, methods[0].Label())
	case other.Broken:
		p.addf(callee.Pos(0), diag.Target, "%s cannot be found: package %s has problems", callee, other.Path).Hintf("fix those first")
	default:
		chooseTarget(other, p.addf(callee.Pos(1), diag.Target, "no cached function %s in package %s", rest, other.Path), rest)
	}
	return nil
}

// reachable reports whether this package can name what is generated for c, which is in another.
func (p calls) reachable(callee facts.Path, c *facts.Cache) bool {
	switch {
	case c.Names.Entity == "":
		return false // reported there
	case !token.IsExported(c.Names.Entity), c.Recv != nil && !token.IsExported(c.Recv.Object.Name()) && !token.IsExported(c.Name()):
		p.addf(callee.Pos(0), diag.Target, "%s is not exported, so the code that is generated for it is not either", callee).
			Hintf("export it, or invalidate it in its own package")
		return false
	}
	return true
}
