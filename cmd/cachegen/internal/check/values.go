package check

import (
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
	"github.com/cachegen/cachegen/templates"
	"golang.org/x/tools/go/types/typeutil"
)

// A valueFinder finds the types of values. It reports nothing.
type valueFinder struct{ *facts.Package }

// findValues finds the types of the cached values and names what is generated for them. A package
// with problems is skipped, because its types may be impossible to render.
func (p valueFinder) findValues() {
	if p.Broken {
		return
	}
	paths := map[string]string{}
	b := &value.Builder{
		Package: p.Types,
		Text: func(t types.Type) templates.Type {
			return p.TypeText(t, func(pkg *types.Package) { paths[pkg.Path()] = pkg.Name() })
		},
		Namable: p.Namable,
		Func:    p.functionsFor,
	}
	var byType typeutil.Map
	for _, c := range p.Caches {
		t := c.Value()
		if gotype.Generic(t) {
			continue // its parts are known only at run time
		}
		v, _ := byType.At(t).(*facts.Value)
		if v == nil {
			v = &facts.Value{Type: t}
			byType.Set(t, v)
			p.Values = append(p.Values, v)
		}
		v.Caches = append(v.Caches, c)
		c.Cached = v
	}
	for _, v := range p.Values {
		copied := slices.ContainsFunc(v.Caches, func(c *facts.Cache) bool { return !c.Shared })
		shape := b.Shape(v.Type, copied)
		v.Model = &templates.Value{
			Type: b.Text(v.Type), Shape: shape, Fingerprint: value.Fingerprint(v.Type, p.Types),
			Lossy: value.Loses(v.Type),
		}
		name := p.Names.Claim(naming.Lower(typeName(v.Type)), forValues, v.Caches[0].Directive.Pos, func(name string) []string {
			return []string{name + "Value", "copy" + naming.Upper(name) + "Value"}
		})
		v.Model.Variable = name + "Value"
		if copied && shape.Shares {
			v.Model.CopyFunc = "copy" + naming.Upper(name) + "Value"
		}
	}
	p.inlineRoots()
	for _, v := range p.Values {
		v.Shapes = functions(v.Model.Shape)
	}
	p.ValuePackages = paths
}

// inlineRoots takes the functions of their own from structs that nothing but one cached
// value is made of: its codec is in the value's own functions.
func (p valueFinder) inlineRoots() {
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
	for _, v := range p.Values {
		count(v.Model.Shape)
	}
	for _, v := range p.Values {
		s := v.Model.Shape
		if users[s] == 1 && s.Kind == templates.Pointer {
			s = s.Elem
		}
		if users[s] == 1 && !s.Cyclic {
			s.Func = ""
		}
	}
}

// forValues says what a name is used for that is generated for a type of values.
const forValues = "that name is generated for a type of values"

// functionsFor chooses what the names of the functions for a named type end with.
func (p valueFinder) functionsFor(n *types.Named) string {
	return p.Names.Claim(naming.Upper(typeName(n)), forValues, token.NoPos, func(name string) []string {
		var names []string
		for _, prefix := range templates.ShapeFuncs {
			names = append(names, prefix+name)
		}
		return names
	})
}

// typeName makes a name of a type: User of *User, PageUser of Page[User].
func typeName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		name := naming.Upper(t.Obj().Name())
		for a := range t.TypeArgs().Types() {
			name += naming.Upper(typeName(a))
		}
		return name
	case *types.Basic:
		return naming.Upper(t.Name())
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
