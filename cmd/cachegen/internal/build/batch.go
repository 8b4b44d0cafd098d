package build

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/templates"
)

// batch is the model of a batch loader.
func (o *output) batch(b *facts.Batch) *templates.Batch {
	names := o.functions[b.Function]
	m := &templates.Batch{
		Func: b.Name(), GetOrSet: b.GetOrSet, Cache: o.cacheModel(b.Cache), Context: names.context, NoContext: b.NoContext,
		Params: o.params(b.Params), Many: slices.Index(b.Params, b.Many), Element: names.element, ElementType: o.typ(b.Elem),
		Value: o.typ(b.Cache.Value()), ValueName: names.value, Result: o.typ(b.Results[0].Type()), List: b.List(),
		ValueNil: gotype.CanBeNil(b.Cache.Value()), ResultNames: names.results, Deprecated: b.Deprecated(),
	}
	if b.Recv != nil {
		m.Wrapper = o.wrappers[b.Recv]
	}
	for i, a := range b.Args {
		base := o.base(b.Function, a)
		if a.Root == facts.Element {
			base = names.element
		}
		m.Args = append(m.Args, convertField(b.Cache.Fields[i], a.Render(base)))
	}
	if b.By != nil {
		m.By = b.By.Render(names.value)
	}
	return m
}
