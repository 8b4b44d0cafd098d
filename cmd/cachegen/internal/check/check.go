// Package check finds what is annotated in loaded packages and holds it to the rules of the
// product: it reports everything that would make a wrong cache.
//
// It promises that a package of which nothing was reported can be generated for, that each problem
// is reported once, under a code that its rule names in the table of rules, and at the directive's
// argument, the placeholder or the type that is at fault. It neither reads files nor decides what
// generated code looks like: what it finds are the facts of package facts, from which package build
// makes the model.
package check

import (
	goruntime "runtime"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"golang.org/x/sync/errgroup"
)

// Packages checks loaded packages against each other and returns what it has found in each, in
// their order. Problems go to list; a package that has any is marked as broken.
func Packages(loaded []*load.Package, list *diag.List) []*facts.Package {
	return (&run{}).check(loaded, list)
}

// Alone checks one package by the rules that need no other: keys of different packages are
// not compared, and what is said of packages that are not known is not judged.
func Alone(loaded *load.Package, list *diag.List) {
	(&run{alone: true}).check([]*load.Package{loaded}, list)
}

// A run is one check of packages.
type run struct {
	all   []*facts.Package
	alone bool                        // other packages are not known: what is in them is not judged
	keys  map[keySpace][]*facts.Cache // of the packages that overlapRule has looked at

	// audit is told what each rule reports, if it is set, one package after the other.
	audit func(*rule, []*diag.Diagnostic)
}

// A pass is a package while rules look at it.
type pass struct {
	*facts.Package
	*run
	problems *diag.List
}

func (r *run) check(loaded []*load.Package, list *diag.List) []*facts.Package {
	r.keys = map[keySpace][]*facts.Cache{}
	passes := make([]*pass, len(loaded))
	for i, l := range loaded {
		l.Broken = l.Broken || list.In(l.Dir) // the loader's problems
		p := &pass{Package: facts.NewPackage(l), run: r, problems: &diag.List{}}
		passes[i], r.all = p, append(r.all, p.Package)
	}
	var separate errgroup.Group
	separate.SetLimit(goruntime.GOMAXPROCS(0))
	if r.audit != nil {
		separate.SetLimit(1)
	}
	for _, p := range passes {
		separate.Go(func() error {
			p.apply(single)
			return nil
		})
	}
	_ = separate.Wait()
	for _, p := range passes {
		if p.Context {
			p.problems = &diag.List{} // reported where it is generated for
			continue
		}
		p.Broken = p.Broken || list.In(p.Dir) // those of another package there
		list.Append(p.problems)
		p.problems = list
	}
	for _, s := range []stage{linked, across} {
		for _, p := range passes {
			p.apply(s)
		}
	}
	for _, p := range passes {
		if !p.Broken {
			p.apply(sound)
		}
	}
	return r.all
}

// apply applies the rules of one stage.
func (p *pass) apply(s stage) {
	for i := range rules {
		r := &rules[i]
		if r.stage != s {
			continue
		}
		before := p.problems.Len()
		r.run(p)
		if p.audit != nil {
			p.audit(r, p.problems.Since(before))
		}
	}
}
