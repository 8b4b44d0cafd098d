package build

import (
	"maps"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/templates"
)

// values puts what is made for values into the file that it belongs to, and notes the
// packages that it needs.
func (o *output) values() {
	for _, v := range o.p.Values {
		if v.File() == o.source {
			o.file.Values = append(o.file.Values, v.Model)
		}
		for _, s := range v.Shapes {
			if o.p.ShapeFile(s) == o.source && !slices.Contains(o.file.Shapes, s) {
				o.file.Shapes = append(o.file.Shapes, s)
			}
		}
	}
	slices.SortFunc(o.file.Values, func(a, b *templates.Value) int { return strings.Compare(a.Variable, b.Variable) })
	slices.SortFunc(o.file.Shapes, func(a, b *templates.Shape) int { return strings.Compare(a.Func, b.Func) })
	if len(o.file.Values)+len(o.file.Shapes) == 0 {
		return
	}
	o.packages[templates.WirePath] = "wire"
	maps.Copy(o.packages, o.p.ValuePackages)
}
