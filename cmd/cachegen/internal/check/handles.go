package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// handleRule names the handles through which writers reach caches of other types and packages.
type handleRule struct{ namer }

// check names the fields of wrappers, and for plain functions the package-level variables, that hold
// the handles.
func (p handleRule) check() {
	for _, w := range p.Writers {
		for _, t := range w.Targets {
			c := t.Cache
			if c == nil {
				c = t.Handle
			}
			switch {
			case c.Recv == nil || c.Recv == w.Recv || c.Names.Entity == "":
			case w.Recv != nil:
				p.foreign(w.Recv, c)
			default:
				p.handle(w, c)
			}
		}
	}
	if bound := p.Bound(); len(bound) > 0 {
		c, name := bound[0], p.BindName()
		if h, ok := p.take(name, c.Directive.Pos, "the caches of functions"); !ok {
			p.clash(c.Directive.Pos, c.Label(), name, h).
				Hintf("%s: the generated %s opens the caches of functions", renameHint(h, "rename it"), name)
		}
	}
}

// handle returns the package's handle on a method's cache.
func (p namer) handle(w *facts.Writer, c *facts.Cache) *facts.Handle {
	i := slices.IndexFunc(p.Handles, func(h *facts.Handle) bool { return h.Cache == c })
	if i >= 0 {
		return p.Handles[i]
	}
	name := c.Names.Entity
	if c.In != p.Package {
		name = c.In.Name + naming.Upper(name)
	}
	h := &facts.Handle{Cache: c, Owner: w, Name: naming.Unused(naming.Lower(name)+"Handle", "", p.Names.Has)}
	p.take(h.Name, w.Directives[0].Pos, "the handle on the cache of "+c.Label())
	p.Handles = append(p.Handles, h)
	return h
}

// foreign gives a wrapper a field for the cache of another type, and returns its name.
func (p namer) foreign(w *facts.Wrapper, c *facts.Cache) string {
	if i := slices.IndexFunc(w.Foreign, func(f *facts.ForeignCache) bool { return f.Cache == c }); i >= 0 {
		return w.Foreign[i].Field
	}
	name := c.Names.Entity
	if c.In != p.Package {
		name = c.In.Name + naming.Upper(name)
	}
	field := naming.Unused(naming.Lower(name)+"Cache", "", func(n string) bool { return p.member(w, n) != "" })
	w.Names.Members[field] = "a handle on the cache of " + c.Label()
	w.Foreign = append(w.Foreign, &facts.ForeignCache{Cache: c, Field: field})
	return field
}
