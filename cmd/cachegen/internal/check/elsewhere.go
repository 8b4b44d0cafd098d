package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// elsewhere finds a cached function of another package: users.FindUser, or
// users.UserRepo.FindUser. found is false if the first name is not that of a package.
func (p *pack) elsewhere(f *function, callee path) (c *cache, found bool) {
	head := callee.names[0].Text
	if p.Types.Scope().Lookup(head) != nil {
		return nil, false
	}
	imported := p.imported(f.file, head)
	if imported == nil {
		if len(callee.names) == 3 || token.IsExported(callee.names[1].Text) && !token.IsExported(head) {
			p.addf(callee.pos(0), diag.Target, "no file of this package imports a package %s", head).
				Hintf("import it: where nothing else needs it, as _")
			return nil, true
		}
		return nil, false
	}
	at := slices.IndexFunc(p.all, func(other *pack) bool { return other.Path == imported.Path() })
	if at < 0 {
		if !p.alone {
			p.addf(callee.pos(0), diag.Target, "%s has no cached functions", imported.Path()).Hintf("annotate one there with //cache:getorset")
		}
		return nil, true
	}
	other := p.all[at]
	rest := path{names: callee.names[1:], start: callee.start}
	var fit []*cache
	for _, c := range other.caches {
		if c.name() == rest.names[len(rest.names)-1].Text &&
			(len(rest.names) == 1 || c.recv != nil && c.recv.obj.Name() == rest.names[0].Text) {
			fit = append(fit, c)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], true
	case len(fit) > 1:
		d := p.addf(callee.pos(0), diag.Target, "%s is ambiguous", callee)
		for _, c := range fit {
			d.Relatedf(other.position(c.pos()), "%s", c.label())
		}
		d.Hintf("write %s.%s", head, fit[0].label())
	case other.Broken:
		p.addf(callee.pos(0), diag.Target, "%s cannot be found: package %s has problems", callee, other.Path).Hintf("mend those first")
	default:
		other.chooseTarget(p.addf(callee.pos(1), diag.Target, "no cached function %s in package %s", rest, other.Path), rest)
	}
	return nil, true
}

// remote reports whether t is in another package than p.
func (t *target) remote(p *pack) bool { return t.cache != nil && t.cache.p != p }

// reachable reports whether this package can name what is generated for c, which is in another.
func (p *pack) reachable(callee path, c *cache) bool {
	switch {
	case c.names.entity == "":
		return false // reported there
	case !token.IsExported(c.names.entity), c.recv != nil && !token.IsExported(c.recv.obj.Name()) && !token.IsExported(c.name()):
		p.addf(callee.pos(0), diag.Target, "%s is not exported, and neither is what is generated for it", callee).
			Hintf("export it, or invalidate it in its own package")
		return false
	}
	return true
}
