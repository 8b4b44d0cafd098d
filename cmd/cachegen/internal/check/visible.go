package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// A site is something that is generated for a source file.
type site struct {
	what string
	file *load.File
	pos  token.Pos
}

// visibleRule compares the build constraints of files that refer to each other.
type visibleRule struct{ *pass }

// check reports code that is generated for one file and needs code that is generated for another
// file, which is not always compiled together with the first.
func (p visibleRule) check() {
	for _, w := range p.Wrappers {
		whole := site{"the wrapper of " + w.Object.Name(), w.File, w.Object.Pos()}
		for _, f := range w.Functions() {
			part := site{f.Label(), f.File, f.Pos()}
			if w.Binds(f) { // nothing is generated for its file
				p.reach(whole, part)
				continue
			}
			_ = p.reach(part, whole) && p.reach(whole, part)
		}
		for _, f := range w.Foreign {
			if f.Cache.In == p.Package {
				p.reach(whole, siteOf(f.Cache))
			}
		}
	}
	for _, c := range p.Caches {
		for _, use := range append(slices.Clone(c.KeyTags), c.ResultTags...) {
			p.reachTag(siteOf(c), use)
		}
	}
	for _, w := range p.Writers {
		for _, t := range w.Targets {
			from := site{w.Label(), w.File, t.Pos}
			switch {
			case t.Remote(p.Package):
			case t.Cache != nil:
				p.reach(from, siteOf(t.Cache))
			case t.Tag != nil:
				p.reachTag(from, t.Tag)
			}
			if t.Handle != nil && w.Recv == nil {
				p.reach(from, siteOf(t.Handle))
			}
		}
	}
	for _, b := range p.Batches {
		if b.Cache != nil {
			p.reach(site{b.Label(), b.File, b.Directive.Pos}, siteOf(b.Cache))
		}
	}
	p.reachValues()
	p.checkBound()
}

// checkBound reports caches that BindCaches opens and that are not always compiled with it.
func (p visibleRule) checkBound() {
	type bound struct {
		label string
		file  *load.File
		pos   token.Pos
	}
	var all []bound
	for _, c := range p.Caches {
		if c.Recv == nil {
			all = append(all, bound{c.Label(), c.File, c.Directive.Pos})
		}
	}
	for _, h := range p.Handles {
		all = append(all, bound{h.Cache.Label(), h.Owner.File, h.Owner.Directives[0].Pos})
		for _, w := range p.Writers {
			if w.Recv == nil && slices.ContainsFunc(w.Targets, func(t *facts.Target) bool { return t.Cache == h.Cache || t.Handle == h.Cache }) {
				p.reach(site{w.Label(), w.File, w.Directives[0].Pos}, site{"the handle on the cache of " + h.Cache.Label(), h.Owner.File, h.Owner.Directives[0].Pos})
			}
		}
	}
	for i, b := range all {
		if first := all[0]; i > 0 && (!facts.Sees(first.file, b.file) || !facts.Sees(b.file, first.file)) {
			p.addf(b.pos, diag.Output, "BindCaches opens the caches of %s and %s, which are not always compiled together", first.label, b.label).
				Relatedf(p.Position(first.pos), "%s", first.label).
				Hintf("put both into files with the same build constraints")
		}
	}
}

func siteOf(c *facts.Cache) site { return site{"the cache of " + c.Label(), c.File, c.Directive.Pos} }

// reachTag is reach for the constructor of a tag.
func (p visibleRule) reachTag(from site, use *facts.TagUse) {
	to := site{"the constructor " + use.Tag.Constructor, use.Tag.File(), use.Tag.Uses[0].Pos}
	for _, other := range use.Tag.Uses {
		if other.Function.File == to.file {
			to.pos = other.Pos
			break
		}
	}
	p.reach(from, to)
}

// reach reports whether one thing can refer to another wherever it is compiled.
func (p visibleRule) reach(from, to site) bool {
	if facts.Sees(from.file, to.file) {
		return true
	}
	p.addf(from.pos, diag.Output, "%s needs %s, which is compiled only if %s", from.what, to.what, facts.BuildConstraint(to.file)).
		Relatedf(p.Position(to.pos), "%s", to.what).
		Hintf("put both into files with the same build constraints")
	return false
}

// reachValues is reach for what is generated for the types of values.
func (p visibleRule) reachValues() {
	for _, v := range p.Values {
		at := site{"what is made for " + p.TypeName(v.Type), v.File(), v.Caches[0].Directive.Pos}
		for _, c := range v.Caches {
			if c.File == at.file {
				at.pos = c.Directive.Pos
				break
			}
		}
		ok := true
		for _, c := range v.Caches {
			ok = p.reach(siteOf(c), at) && ok
		}
		for _, s := range v.Shapes {
			if file := p.ShapeFile(s); ok && !facts.Sees(at.file, file) {
				ok = p.reach(at, site{"what is made for " + s.Func, file, file.AST.Package})
			}
		}
	}
}
