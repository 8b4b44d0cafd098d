package build

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

func (o *output) wrapper(w *facts.Wrapper) *templates.Wrapper {
	m := o.wrappers[w]
	for _, c := range w.Caches {
		m.Caches = append(m.Caches, o.cacheModel(c))
	}
	for _, f := range w.Foreign {
		m.Foreign = append(m.Foreign, templates.ForeignCache{Field: f.Field, Cache: o.cacheOf(f.Cache)})
	}
	for _, c := range w.Promoted {
		m.Promoted = append(m.Promoted, o.cache(c))
	}
	m.TypeParams = o.typeParams(w.TypeParams())
	m.Deprecated = w.Deprecated(o.p)
	return m
}
