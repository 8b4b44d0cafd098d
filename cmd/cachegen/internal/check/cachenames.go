package check

import (
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// freeName suggests an entity for a cache whose own is in use: one for which every generated name is
// free. No name is suggested twice, so that all hints of a run can be followed.
func (p namer) freeName(c *facts.Cache) (free string) {
	defer func() { p.Names.Offer(free) }()
	name := c.Entity()
	taken := func(name string) bool {
		names := []string{name + "Key", naming.SameCase("Parse"+naming.Upper(name), name) + "Key", c.Variable(name)}
		var members []string
		for _, h := range c.Helpers() {
			members = append(members, naming.SameCase(h.Prefix+naming.Upper(name), name))
		}
		if c.Recv == nil {
			names = append(names, members...)
		} else if slices.ContainsFunc(append(members, name), func(m string) bool { return p.member(c.Recv, m) != "" }) {
			return true
		}
		return p.Names.Offered(name) || slices.ContainsFunc(names, p.Names.Has) ||
			slices.ContainsFunc(p.Caches, func(other *facts.Cache) bool { return naming.Lower(other.Entity()) == naming.Lower(name) })
	}
	for _, suffix := range []string{"Entry", "Item"} {
		if !taken(name + suffix) {
			return name + suffix
		}
	}
	return naming.Unused(name+"Entry", "", taken)
}

// nameEntity finds the entity of a cache, and the package-level names that come from it.
func (p namer) nameEntity(c *facts.Cache, entities map[string]*facts.Cache) {
	if arg, ok := c.Directive.Option("name"); ok && !facts.IsName(arg.Value) {
		p.addf(arg.ValuePos, diag.Name, "%q is not a Go name", arg.Value).Hintf("write a name of letters and digits, such as name=User")
		return
	}
	name := c.Entity()
	if other, taken := entities[naming.Lower(name)]; taken {
		p.addf(c.NamePos(), diag.Name, "%s and %s would both be cached as %s", c.Label(), other.Label(), name).
			Relatedf(p.Position(other.NamePos()), "%s", other.Label()).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	entities[naming.Lower(name)] = c
	n := facts.CacheNames{
		Entity:   name,
		Variable: c.Variable(name),
		KeyType:  name + "Key",
		ParseKey: naming.SameCase("Parse"+naming.Upper(name), c.Name()) + "Key",
	}
	taken := []string{n.KeyType, n.ParseKey, n.Variable}
	if len(c.TypeParams) > 0 {
		n.Caches = n.Variable + "s"
		taken = append(taken, n.Caches)
	}
	for _, name := range taken {
		if h, ok := p.take(name, c.Directive.Pos, "the cache of "+c.Label()); !ok {
			p.clash(c.NamePos(), c.Label(), name, h).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
	c.Names = n
}

// nameFunctions names the package-level helpers of a plain function.
func (p namer) nameFunctions(c *facts.Cache) {
	for _, h := range c.Helpers() {
		var taken naming.Holder
		for _, prefix := range []string{h.Prefix, h.Prefix + "Cached"} {
			name := naming.SameCase(prefix+naming.Upper(c.Names.Entity), c.Name())
			var ok bool
			if taken, ok = p.take(name, c.Directive.Pos, c.Label()); ok {
				*h.Name = name
				break
			}
		}
		if *h.Name == "" {
			name := naming.SameCase(h.Prefix+"Cached"+naming.Upper(c.Names.Entity), c.Name())
			p.clash(c.NamePos(), c.Label(), name, taken).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
}

// nameMethods names the wrapper's field and methods for a cached method. Whatever the
// wrapped type has stays visible through the wrapper.
func (p namer) nameMethods(c *facts.Cache) {
	w := c.Recv
	if !p.mayReplace(w, c.Function) {
		return
	}
	who := c.Label()
	field := c.Names.Entity
	if token.IsKeyword(field) {
		p.addf(c.NamePos(), diag.Name, "cannot generate the field %s of %s for %s: it is a Go keyword", field, w.Names.Type, who).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	owner := p.member(w, field)
	if owner != "" { // often it is the method itself
		field += "Cache"
	}
	if owner != "" && p.member(w, field) != "" {
		p.addf(c.NamePos(), diag.Name, "cannot generate the field %s of %s for %s: that is already %s", c.Names.Entity, w.Names.Type, who, owner).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	c.Names.Field = field
	w.Names.Members[field] = "the cache of " + who
	for _, h := range c.Helpers() {
		var owner string
		for _, prefix := range []string{h.Prefix, h.Prefix + "Cached"} {
			name := naming.SameCase(prefix+naming.Upper(c.Names.Entity), c.Name())
			if owner = p.member(w, name); owner == "" {
				w.Names.Members[name] = "a method of the cache of " + who
				*h.Name = name
				break
			}
		}
		if *h.Name == "" {
			name := naming.SameCase(h.Prefix+"Cached"+naming.Upper(c.Names.Entity), c.Name())
			p.addf(c.NamePos(), diag.Name, "cannot generate the method %s of %s for %s: that is already %s", name, w.Names.Type, who, owner).
				Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
}

// member says what has a name among the wrapper's fields and methods, including those that it has
// from the wrapped type. It is empty if the name is free.
func (p namer) member(w *facts.Wrapper, name string) string {
	if name == w.Object.Name() {
		return "the embedded " + name
	}
	if what := w.Names.Members[name]; what != "" {
		return what
	}
	obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.Object.Type()), true, p.Types, name)
	switch obj.(type) {
	case *types.Func:
		return "a method of " + w.Object.Name()
	case *types.Var:
		return "a field of " + w.Object.Name()
	}
	if index != nil {
		return "the name of several fields or methods of " + w.Object.Name()
	}
	return ""
}
