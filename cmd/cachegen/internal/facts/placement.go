package facts

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// File is the first of the source files that use t, of those that are compiled under the
// fewest conditions.
func (t *Tag) File() *load.File {
	return slices.MinFunc(t.Uses, func(a, b *TagUse) int {
		return cmp.Or(
			cmp.Compare(len(Conjuncts(a.Function.File)), len(Conjuncts(b.Function.File))),
			strings.Compare(a.Function.File.Name, b.Function.File.Name),
		)
	}).Function.File
}

// File is the first of the source files that cache v, of those that are compiled under
// the fewest conditions.
func (v *Value) File() *load.File {
	return leastBound(v.Caches, func(c *Cache) *load.File { return c.File })
}

// leastBound is the file of the user that is compiled under the fewest conditions.
func leastBound[T any](users []T, file func(T) *load.File) *load.File {
	return file(slices.MinFunc(users, func(a, b T) int {
		return cmp.Or(
			cmp.Compare(len(Conjuncts(file(a))), len(Conjuncts(file(b)))),
			strings.Compare(file(a).Name, file(b).Name),
		)
	}))
}

// ShapeFile is the file in which the functions of a shape are declared.
func (p *Package) ShapeFile(s *templates.Shape) *load.File {
	var users []*Value
	for _, v := range p.Values {
		if slices.Contains(v.Shapes, s) {
			users = append(users, v)
		}
	}
	return leastBound(users, (*Value).File)
}
