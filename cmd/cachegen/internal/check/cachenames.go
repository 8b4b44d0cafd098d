package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// freeName suggests an entity for a cache whose own is in use: one for which every generated name is
// free. No name is suggested twice, so that all hints of a run can be followed.
func (p namer) freeName(c *facts.Cache) string {
	entity := c.Entity()
	return p.free([]string{entity + "Entry", entity + "Item"}, func(name string) bool {
		of := func(prefix string) string { return naming.SameCase(prefix+naming.Upper(name), name) }
		names := []string{name + "Key", of("Parse") + "Key", c.Variable(name), c.Variable(name) + "s", handleName(name)}
		var members []string
		for _, h := range c.Helpers() {
			members = append(members, of(h.Prefix))
		}
		if c.Recv == nil {
			names = append(names, members...)
		}
		if slices.ContainsFunc(names, p.Names.Has) {
			return true
		}
		for _, w := range p.Wrappers {
			wanted := []string{foreignName(name)}
			switch {
			case w == c.Recv:
				wanted = append(members, c.Field(name))
			case p.Promotes(w, c.Function):
				wanted = append(wanted, of(facts.GetOrSet))
			}
			if slices.ContainsFunc(wanted, func(m string) bool { return p.isMember(w, m) }) {
				return true
			}
		}
		return false
	})
}

// free returns the first of names, or of the last with a number, that is no entity and no batch
// loader's, that no other hint has named, and that is not taken.
func (p namer) free(names []string, taken func(string) bool) (free string) {
	defer func() { p.Names.Offer(free) }()
	all := func(name string) bool {
		same := func(other string) bool { return naming.Lower(other) == naming.Lower(name) }
		return p.Names.Offered(name) || taken(name) ||
			slices.ContainsFunc(p.Caches, func(c *facts.Cache) bool { return same(c.Entity()) }) ||
			slices.ContainsFunc(p.Batches, func(b *facts.Batch) bool { return same(b.Entity()) })
	}
	for _, name := range names {
		if !all(name) {
			return name
		}
	}
	return naming.Unused(names[len(names)-1], "", all)
}

// nameEntity finds the entity of a cache, and the package-level names that come from it.
func (p namer) nameEntity(c *facts.Cache, entities map[string]*facts.Cache) {
	if arg, ok := c.Directive.Option("name"); ok && !p.isName(arg) {
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
		name := naming.SameCase(h.Prefix+naming.Upper(c.Names.Entity), c.Name())
		if taken, ok := p.take(name, c.Directive.Pos, c.Label()); !ok {
			p.clash(c.NamePos(), c.Label(), name, taken).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
		*h.Name = name
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
	field := c.Field(c.Names.Entity)
	if token.IsKeyword(field) {
		p.addf(c.NamePos(), diag.Name, "cannot generate the field %s of %s for %s: it is a Go keyword", field, w.Names.Type, who).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	if h, ok := p.takeMember(w, field, c.Directive.Pos, "the cache of "+who); !ok {
		p.memberClash(c.NamePos(), "field", w, who, h, field).Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	c.Names.Field = field
	for _, helper := range c.Helpers() {
		name := naming.SameCase(helper.Prefix+naming.Upper(c.Names.Entity), c.Name())
		if h, ok := p.takeMember(w, name, c.Directive.Pos, "a method of the cache of "+who); !ok {
			p.memberClash(c.NamePos(), "method", w, who, h, name).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
		*helper.Name = name
	}
}
