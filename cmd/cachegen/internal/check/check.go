// Package check turns directives and types into the model of what is generated, and
// reports everything that would make a wrong cache: it is where the rules of the
// product are. Positions are those of the directive's argument, the placeholder or
// the type that is at fault.
//
// The stages, a file each: signature, key, options, value; then, once all cached
// functions of the package are known, names, tags and targets; then, once all
// packages are, overlap; and at last the model.
package check

import (
	"go/token"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// Packages checks loaded packages against each other and returns what to generate
// for each of their source files that has directives. Problems go to list; a package
// that has any is not in the result, and marked as broken.
func Packages(loaded []*load.Package, list *diag.List) map[*load.File]*templates.File {
	var all []*pack
	for _, l := range loaded {
		l.Broken = l.Broken || list.In(l.Dir) // the loader's problems
		p := &pack{Package: l, refused: map[string]bool{}, problems: list}
		p.collect()
		p.assignNames()
		p.findTags()
		p.findTargets()
		all = append(all, p)
	}
	overlaps(all)
	files := map[*load.File]*templates.File{}
	for _, p := range all {
		if !p.Broken {
			p.checkVisible()
		}
		if !p.Broken {
			p.model(files)
		}
	}
	return files
}

// A pack is a package while it is checked.
type pack struct {
	*load.Package
	problems *diag.List

	caches   []*cache
	writers  []*writer
	wrappers []*wrapped      // in the order of their declarations
	refused  map[string]bool // names of cached functions whose directive or signature was reported
	names    names
	tags     []*tag
	bind     bool // BindCaches is generated
}

func (p *pack) addf(pos token.Pos, code, format string, args ...any) *diag.Diagnostic {
	p.Broken = true
	return p.problems.Addf(p.position(pos), code, format, args...)
}

func (p *pack) position(pos token.Pos) token.Position { return diag.Position(p.Fset, pos) }
