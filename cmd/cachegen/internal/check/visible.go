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
	text := buildConstraint(file.Name, file.AST)
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
			p.reach(whole, f.cache.site())
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
			if t.cache != nil {
				p.reach(from, t.cache.site())
				continue
			}
			p.reachTag(from, t.tag)
			if w.recv == nil {
				p.reach(from, t.handle.site())
			}
		}
	}
	var first *cache
	for _, c := range p.caches {
		switch {
		case c.recv != nil && c.handle == "":
		case first == nil:
			first = c
		default:
			if !sees(first.file, c.file) || !sees(c.file, first.file) {
				p.addf(c.d.Pos, diag.Output, "BindCaches opens the caches of %s and %s, which are not always compiled together",
					first.label(), c.label()).
					Relatedf(p.position(first.d.Pos), "%s", first.label()).
					Hintf("put both into files with the same build constraints")
			}
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
	p.addf(from.pos, diag.Output, "%s needs %s, which is compiled only if %s", from.what, to.what, buildConstraint(to.file.Name, to.file.AST)).
		Relatedf(p.position(to.pos), "%s", to.what).
		Hintf("put both into files with the same build constraints")
	return false
}
