package check

import (
	"go/build/constraint"
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// conjuncts are the conditions that all have to hold for a source file to be compiled.
func conjuncts(file *load.File) []string {
	text := buildConstraint(file)
	if text == "" {
		return nil
	}
	expr, err := constraint.Parse("//go:build " + text)
	if err != nil {
		return []string{text}
	}
	var list []string
	var split func(constraint.Expr)
	split = func(x constraint.Expr) {
		if and, ok := x.(*constraint.AndExpr); ok {
			split(and.X)
			split(and.Y)
			return
		}
		list = append(list, x.String())
	}
	split(expr)
	return list
}

// sees reports whether one file is compiled wherever another is.
func sees(from, to *load.File) bool {
	if from == to {
		return true
	}
	have := conjuncts(from)
	return !slices.ContainsFunc(conjuncts(to), func(c string) bool { return !slices.Contains(have, c) })
}

// A site is something that is generated for a source file.
type site struct {
	what string
	file *load.File
	pos  token.Pos
}

// checkVisible reports what is generated for a file and refers to what is generated for
// one that is not always compiled with it.
func (p *pack) checkVisible() {
	for _, w := range p.wrappers {
		whole := site{"the wrapper of " + w.obj.Name(), w.file, w.obj.Pos()}
		for _, f := range w.functions() {
			part := site{f.label(), f.file, f.pos()}
			_ = p.reach(part, whole) && p.reach(whole, part)
		}
		for _, f := range w.foreign {
			if f.cache.p == p {
				p.reach(whole, f.cache.site())
			}
		}
	}
	for _, c := range p.caches {
		for _, use := range append(slices.Clone(c.keyTags), c.resultTags...) {
			p.reachTag(c.site(), use)
		}
	}
	for _, w := range p.writers {
		for _, t := range w.targets {
			from := site{w.label(), w.file, t.pos}
			switch {
			case t.remote(p):
			case t.cache != nil:
				p.reach(from, t.cache.site())
			case t.tag != nil:
				p.reachTag(from, t.tag)
			}
			if t.handle != nil && w.recv == nil {
				p.reach(from, t.handle.site())
			}
		}
	}
	for _, b := range p.batches {
		if b.cache != nil {
			p.reach(site{b.label(), b.file, b.d.Pos}, b.cache.site())
		}
	}
	p.reachValues()
	p.checkBound()
}

// checkBound reports caches that BindCaches opens and that are not always compiled with it.
func (p *pack) checkBound() {
	type bound struct {
		label string
		file  *load.File
		pos   token.Pos
	}
	var all []bound
	for _, c := range p.caches {
		if c.recv == nil {
			all = append(all, bound{c.label(), c.file, c.d.Pos})
		}
	}
	for _, h := range p.handles {
		all = append(all, bound{h.cache.label(), h.owner.file, h.owner.directives[0].Pos})
		for _, w := range p.writers {
			if w.recv == nil && slices.ContainsFunc(w.targets, func(t *target) bool { return t.cache == h.cache || t.handle == h.cache }) {
				p.reach(site{w.label(), w.file, w.directives[0].Pos}, site{"the handle on the cache of " + h.cache.label(), h.owner.file, h.owner.directives[0].Pos})
			}
		}
	}
	for i, b := range all {
		if first := all[0]; i > 0 && (!sees(first.file, b.file) || !sees(b.file, first.file)) {
			p.addf(b.pos, diag.Output, "BindCaches opens the caches of %s and %s, which are not always compiled together", first.label, b.label).
				Relatedf(p.position(first.pos), "%s", first.label).
				Hintf("put both into files with the same build constraints")
		}
	}
}

func (c *cache) site() site { return site{"the cache of " + c.label(), c.file, c.d.Pos} }

// reachTag is reach for the constructor of a tag.
func (p *pack) reachTag(from site, use *tagUse) {
	to := site{"the constructor " + use.tag.name, use.tag.file(), use.tag.uses[0].pos}
	for _, other := range use.tag.uses {
		if other.f.file == to.file {
			to.pos = other.pos
			break
		}
	}
	p.reach(from, to)
}

// reach reports whether one thing can refer to another wherever it is compiled.
func (p *pack) reach(from, to site) bool {
	if sees(from.file, to.file) {
		return true
	}
	p.addf(from.pos, diag.Output, "%s needs %s, which is compiled only if %s", from.what, to.what, buildConstraint(to.file)).
		Relatedf(p.position(to.pos), "%s", to.what).
		Hintf("put both into files with the same build constraints")
	return false
}
