// Package build makes the model of the generated files from the facts of package facts: what is
// in which file, how types and imports are written, and what variables are called.
//
// It promises that the same facts give the same model, in whatever order packages come, and that
// no name in a file hides one that the file needs. It reports no problems, because check has let
// through only what can be generated, and it does not change the facts.
package build

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// Files returns what to generate for each source file that has directives, in packages of which
// nothing was reported.
func Files(all []*facts.Package) map[*load.File]*templates.File {
	files := map[*load.File]*templates.File{}
	for _, p := range all {
		if !p.Broken && !p.Context {
			newBuilder(p).build(files)
		}
	}
	return files
}

// A builder makes the model of a package's files.
type builder struct {
	p       *facts.Package
	outputs map[*load.File]*output
	ordered []*output // in the order of the sources

	// Models that others refer to before they are filled.
	wrappers map[*facts.Wrapper]*templates.Wrapper
	caches   map[*facts.Cache]*templates.Cache
	tags     map[*facts.Tag]*templates.Tag

	locals    map[*facts.Param]string     // what generated code calls parameters and results
	functions map[*facts.Function]*locals // and what else it has names for
	elements  map[*facts.Target]string    // of the lists of targets
	tagParams map[*facts.Tag][]string     // of constructors
}

// locals are names of variables in a generated function.
type locals struct {
	context   string
	value, ok string
	results   []string // as the source has them, if generated code can
	element   string   // of a batch loader's list
}

func newBuilder(p *facts.Package) *builder {
	return &builder{
		p: p, outputs: map[*load.File]*output{},
		wrappers: map[*facts.Wrapper]*templates.Wrapper{}, caches: map[*facts.Cache]*templates.Cache{}, tags: map[*facts.Tag]*templates.Tag{},
		locals: map[*facts.Param]string{}, functions: map[*facts.Function]*locals{}, elements: map[*facts.Target]string{}, tagParams: map[*facts.Tag][]string{},
	}
}

// build adds the package's files. Types come first, because the names of imports follow from
// them, and the names of variables from those, and expressions from these.
func (b *builder) build(files map[*load.File]*templates.File) {
	for _, source := range b.p.Files {
		if len(source.Directives) == 0 {
			continue
		}
		o := &output{builder: b, source: source, packages: map[string]string{}, file: &templates.File{
			Path: b.p.Path, Package: b.p.Name, BindName: b.p.BindName(), Constraint: facts.BuildConstraint(source),
		}}
		b.outputs[source], files[source] = o, o.file
		b.ordered = append(b.ordered, o)
	}
	for _, w := range b.p.Wrappers {
		b.wrappers[w] = &templates.Wrapper{
			Type: w.Object.Name(), Name: w.Names.Type, Constructor: w.Names.Constructor, Pointer: w.Pointer || changes(w.Object.Type()),
			InTx: w.InTx,
		}
	}
	for _, o := range b.ordered {
		o.noteTypes()
		o.assignImports()
	}
	b.pickReceivers()
	for _, o := range b.ordered {
		o.nameVariables()
	}
	for _, o := range b.ordered {
		o.fill()
	}
	for _, h := range b.p.Handles {
		o := b.outputs[h.Owner.File]
		o.file.Handles = append(o.file.Handles, templates.Handle{Name: h.Name, Cache: o.cacheOf(h.Cache)})
	}
	b.bindCaches()
}

// cacheModel is the model of a cache, which others may refer to before it is filled.
func (b *builder) cacheModel(c *facts.Cache) *templates.Cache {
	if b.caches[c] == nil {
		b.caches[c] = &templates.Cache{}
	}
	return b.caches[c]
}

func (b *builder) tagModel(t *facts.Tag) *templates.Tag {
	if b.tags[t] == nil {
		b.tags[t] = &templates.Tag{}
	}
	return b.tags[t]
}
