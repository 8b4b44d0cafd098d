package build

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// An output is the generated file of one source file while it is put together.
type output struct {
	*builder
	source   *load.File
	file     *templates.File
	packages map[string]string // import path to the package's own name
	imports  map[string]bool   // the names that the file imports
}

// own returns what belongs to the output's file.
func (o *output) own() (caches []*facts.Cache, writers []*facts.Writer, wrappers []*facts.Wrapper, tags []*facts.Tag) {
	for _, c := range o.p.Caches {
		if c.File == o.source {
			caches = append(caches, c)
		}
	}
	for _, w := range o.p.Writers {
		if w.File == o.source {
			writers = append(writers, w)
		}
	}
	for _, w := range o.p.Wrappers {
		if w.File == o.source {
			wrappers = append(wrappers, w)
		}
	}
	for _, t := range o.p.Tags {
		if t.File() == o.source {
			tags = append(tags, t)
		}
	}
	return caches, writers, wrappers, tags
}

// batches are the batch loaders of the output's file.
func (o *output) batches() []*facts.Batch {
	return slices.DeleteFunc(slices.Clone(o.p.Batches), func(b *facts.Batch) bool { return b.File != o.source })
}

// fill writes everything into the file.
func (o *output) fill() {
	caches, writers, wrappers, tags := o.own()
	for _, t := range tags {
		o.file.Tags = append(o.file.Tags, o.tag(t))
	}
	for _, w := range wrappers {
		o.file.Wrappers = append(o.file.Wrappers, o.wrapper(w))
	}
	for _, c := range caches {
		o.file.Caches = append(o.file.Caches, o.cache(c))
	}
	for _, w := range writers {
		o.file.Writers = append(o.file.Writers, o.writer(w))
	}
	for _, b := range o.batches() {
		o.file.Batches = append(o.file.Batches, o.batch(b))
	}
}
