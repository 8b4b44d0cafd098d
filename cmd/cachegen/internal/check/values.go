package check

import (
	"cmp"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
	"github.com/cachegen/cachegen/templates"
)

// A cachedValue is a type of cached values, for which a variable is generated.
type cachedValue struct {
	typ    types.Type
	caches []*cache
	model  *templates.Value
	shapes []*templates.Shape // those that have functions of their own
}

// findValues finds the types of the cached values and names what is made for them. A
// package with problems has none: they would be about types that cannot be rendered.
func (p *pack) findValues() {
	if p.Broken {
		return
	}
	paths := map[string]string{}
	b := &value.Builder{
		Package: p.Types,
		Text: func(t types.Type) templates.Type {
			return p.typeText(t, func(pkg *types.Package) { paths[pkg.Path()] = pkg.Name() })
		},
		Namable: p.namable,
		Func:    p.functionsFor,
	}
	var byType typeutil.Map
	for _, c := range p.caches {
		t := c.value()
		if generic(t) {
			continue // what it is made of is known at run time only
		}
		v, _ := byType.At(t).(*cachedValue)
		if v == nil {
			v = &cachedValue{typ: t}
			byType.Set(t, v)
			p.values = append(p.values, v)
		}
		v.caches = append(v.caches, c)
		c.cached = v
	}
	for _, v := range p.values {
		copied := slices.ContainsFunc(v.caches, func(c *cache) bool { return !c.shared })
		shape := b.Shape(v.typ, copied)
		v.model = &templates.Value{
			Type: b.Text(v.typ), Shape: shape, Fingerprint: value.Fingerprint(v.typ, p.Types),
		}
		name := p.claim(lower(typeName(v.typ)), v.caches[0].d.Pos, func(name string) []string {
			return []string{name + "Value", "copy" + upper(name) + "Value"}
		})
		v.model.Variable = name + "Value"
		if copied && shape.Shares {
			v.model.CopyFunc = "copy" + upper(name) + "Value"
		}
	}
	p.inlineRoots()
	for _, v := range p.values {
		v.shapes = functions(v.model.Shape)
	}
	p.valuePackages = paths
}

// inlineRoots takes the functions of their own from structs that nothing but one cached
// value is made of: its codec is in the value's own functions.
func (p *pack) inlineRoots() {
	users := map[*templates.Shape]int{} // shapes and values that a shape is a part of
	met := map[*templates.Shape]bool{}
	var count func(*templates.Shape)
	count = func(s *templates.Shape) {
		users[s]++
		if met[s] {
			return
		}
		met[s] = true
		parts := map[*templates.Shape]bool{}
		for _, part := range value.Parts(s) {
			if !parts[part] {
				parts[part] = true
				count(part)
			}
		}
	}
	for _, v := range p.values {
		count(v.model.Shape)
	}
	for _, v := range p.values {
		s := v.model.Shape
		if users[s] == 1 && s.Kind == templates.Pointer {
			s = s.Elem
		}
		if users[s] == 1 && !s.Cyclic {
			s.Func = ""
		}
	}
}

// functionsFor chooses what the names of the functions for a named type end with.
func (p *pack) functionsFor(n *types.Named) string {
	return p.claim(upper(typeName(n)), token.NoPos, func(name string) []string {
		var names []string
		for _, prefix := range templates.ShapeFuncs {
			names = append(names, prefix+name)
		}
		return names
	})
}

// claim takes the package-level names that are made of name, or else of name and a
// number, and returns that. Nobody but generated code uses them.
func (p *pack) claim(name string, pos token.Pos, made func(string) []string) string {
	free := func(name string) bool {
		_, taken := p.names[name]
		return !taken && types.Universe.Lookup(name) == nil
	}
	base := name
	for i := 2; slices.ContainsFunc(made(name), func(n string) bool { return !free(n) }); i++ {
		name = base + strconv.Itoa(i)
	}
	for _, n := range made(name) {
		p.names[n] = holder{what: "is generated for a value", pos: pos, generated: true}
	}
	return name
}

// typeName makes a name of a type: User of *User, PageUser of Page[User].
func typeName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		name := upper(t.Obj().Name())
		for a := range t.TypeArgs().Types() {
			name += upper(typeName(a))
		}
		return name
	case *types.Basic:
		return upper(t.Name())
	case *types.Pointer:
		return typeName(t.Elem())
	case *types.Slice:
		return typeName(t.Elem()) + "Slice"
	case *types.Array:
		return typeName(t.Elem()) + "Array"
	case *types.Map:
		return typeName(t.Elem()) + "By" + typeName(t.Key())
	}
	return "Struct"
}

// functions lists the shapes below s that have functions of their own.
func functions(s *templates.Shape) []*templates.Shape {
	var list []*templates.Shape
	met := map[*templates.Shape]bool{}
	var walk func(*templates.Shape)
	walk = func(s *templates.Shape) {
		if met[s] {
			return
		}
		met[s] = true
		if s.Func != "" {
			list = append(list, s)
		}
		for _, part := range value.Parts(s) {
			walk(part)
		}
	}
	walk(s)
	return list
}

// file is the first of the source files that cache v, of those that are compiled under
// the fewest conditions.
func (v *cachedValue) file() *load.File {
	return leastBound(v.caches, func(c *cache) *load.File { return c.file })
}

func leastBound[T any](users []T, file func(T) *load.File) *load.File {
	return file(slices.MinFunc(users, func(a, b T) int {
		return cmp.Or(
			cmp.Compare(len(conjuncts(file(a))), len(conjuncts(file(b)))),
			strings.Compare(file(a).Name, file(b).Name),
		)
	}))
}

// shapeFile is the file in which the functions of a shape are declared.
func (p *pack) shapeFile(s *templates.Shape) *load.File {
	var users []*cachedValue
	for _, v := range p.values {
		if slices.Contains(v.shapes, s) {
			users = append(users, v)
		}
	}
	return leastBound(users, (*cachedValue).file)
}

// reachValues reports what needs a value, or a function of one, that is not always
// compiled with it.
func (p *pack) reachValues() {
	for _, v := range p.values {
		at := site{"what is made for " + p.name(v.typ), v.file(), v.caches[0].d.Pos}
		for _, c := range v.caches {
			if c.file == at.file {
				at.pos = c.d.Pos
				break
			}
		}
		ok := true
		for _, c := range v.caches {
			ok = p.reach(c.site(), at) && ok
		}
		for _, s := range v.shapes {
			if file := p.shapeFile(s); ok && !sees(at.file, file) {
				ok = p.reach(at, site{"what is made for " + s.Func, file, file.AST.Package})
			}
		}
	}
}

// values puts what is made for values into the file that it belongs to, and notes the
// packages that it needs.
func (o *output) values() {
	for _, v := range o.p.values {
		if v.file() == o.source {
			o.file.Values = append(o.file.Values, v.model)
		}
		for _, s := range v.shapes {
			if o.p.shapeFile(s) == o.source && !slices.Contains(o.file.Shapes, s) {
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
	maps.Copy(o.packages, o.p.valuePackages)
}

// valueVar is the variable that describes c's values; empty if there is none.
func (c *cache) valueVar() string {
	if c.cached == nil {
		return ""
	}
	return c.cached.model.Variable
}

// copyFunc is the function that copies c's values for callers that find them in memory;
// empty if there is none.
func (c *cache) copyFunc() string {
	if c.cached == nil || c.shared {
		return ""
	}
	return c.cached.model.CopyFunc
}
