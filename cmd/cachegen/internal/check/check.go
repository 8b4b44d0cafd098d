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
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// Packages checks loaded packages against each other and returns what to generate
// for each of their source files that has directives. Problems go to list; a package
// that has any is not in the result, and marked as broken.
func Packages(loaded []*load.Package, list *diag.List) map[*load.File]*templates.File {
	files, _ := packages(loaded, list, false)
	return files
}

// Alone checks one package for rules that need no other: keys of different packages are
// not compared, and what is said of packages that are not known is not judged.
func Alone(loaded *load.Package, list *diag.List) {
	packages([]*load.Package{loaded}, list, true)
}

func packages(loaded []*load.Package, list *diag.List, alone bool) (map[*load.File]*templates.File, []*pack) {
	all := make([]*pack, len(loaded))
	var apart errgroup.Group // what concerns a package alone
	apart.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range loaded {
		l.Broken = l.Broken || list.In(l.Dir) // the loader's problems
		p := &pack{Package: l, refused: map[string]bool{}, problems: &diag.List{}, alone: alone}
		all[i] = p
		apart.Go(func() error {
			p.allowed()
			p.collect()
			p.assignNames()
			p.promote()
			p.findTags()
			p.findValues()
			return nil
		})
	}
	_ = apart.Wait()
	for _, p := range all {
		if p.Context {
			p.problems = &diag.List{} // reported where it is generated for
			continue
		}
		p.Broken = p.Broken || list.In(p.Dir) // those of another package there
		list.Append(p.problems)
		p.problems = list
	}
	for _, p := range all {
		p.all = all
		p.findBatches()
		p.findTargets()
		p.goPast()
	}
	overlaps(all)
	files := map[*load.File]*templates.File{}
	for _, p := range all {
		if !p.Broken {
			p.checkVisible()
		}
		if !p.Broken && !p.Context {
			p.model(files)
		}
	}
	return files, all
}

// A pack is a package while it is checked.
type pack struct {
	*load.Package
	problems *diag.List

	all   []*pack // every package of the run
	alone bool    // other packages are not known: what is in them is not judged

	caches   []*cache
	writers  []*writer
	batches  []*batch
	handles  []*handle
	wrappers []*wrapped      // in the order of their declarations
	refused  map[string]bool // names of cached functions whose directive or signature was reported
	names    names
	offered  []string // names that advice has given away, in lower case
	tags     []*tag
	values   []*cachedValue
	// valuePackages are the names of the packages that values' types mention, by path.
	valuePackages map[string]string
	bind          bool // BindCaches is generated
}

func (p *pack) addf(pos token.Pos, code, format string, args ...any) *diag.Diagnostic {
	p.Broken = true
	d := p.problems.Addf(p.position(pos), code, format, args...)
	d.At = pos
	return d
}

func (p *pack) position(pos token.Pos) token.Position { return diag.Position(p.Fset, pos) }
