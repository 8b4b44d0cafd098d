package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// inOtherPackage finds a cached function of another package: users.FindUser, or
// users.UserRepo.FindUser. found is false if the first name is not that of a package.
func (p calls) inOtherPackage(f *facts.Function, callee facts.Path) (c *facts.Cache, found bool) {
	head := callee.Names[0].Text
	if p.Types.Scope().Lookup(head) != nil {
		return nil, false
	}
	imported := p.Imported(f.File, head)
	if imported == nil {
		if len(callee.Names) == 3 || token.IsExported(callee.Names[1].Text) && !token.IsExported(head) {
			p.addf(callee.Pos(0), diag.Target, "no file of this package imports a package %s", head).
				Hintf("import it: where nothing else needs it, as _")
			return nil, true
		}
		return nil, false
	}
	at := slices.IndexFunc(p.all, func(other *facts.Package) bool { return other.Path == imported.Path() })
	if at < 0 {
		if !p.alone {
			p.addf(callee.Pos(0), diag.Target, "%s has no cached functions", imported.Path()).Hintf("annotate one there with //cache:getorset")
		}
		return nil, true
	}
	other := p.all[at]
	rest := facts.Path{Names: callee.Names[1:], Start: callee.Start}
	var fit []*facts.Cache
	for _, c := range other.Caches {
		if c.Name() == rest.Names[len(rest.Names)-1].Text &&
			(len(rest.Names) == 1 || c.Recv != nil && c.Recv.Object.Name() == rest.Names[0].Text) {
			fit = append(fit, c)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], true
	case len(fit) > 1:
		d := p.addf(callee.Pos(0), diag.Target, "%s is ambiguous", callee)
		for _, c := range fit {
			d.Relatedf(other.Position(c.Pos()), "%s", c.Label())
		}
		d.Hintf("write %s.%s", head, fit[0].Label())
	case other.Broken:
		p.addf(callee.Pos(0), diag.Target, "%s cannot be found: package %s has problems", callee, other.Path).Hintf("fix those first")
	default:
		chooseTarget(other, p.addf(callee.Pos(1), diag.Target, "no cached function %s in package %s", rest, other.Path), rest)
	}
	return nil, true
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
