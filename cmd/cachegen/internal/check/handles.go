package check

import (
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// inStore gives a target that is not an entry the handle through which w reaches a store.
func (p *pack) inStore(w *writer, t *target, store string) bool {
	if t.handle = p.storeHandle(w, store); t.handle == nil {
		p.addf(t.pos, diag.Target, "%s has no way to the store of %s: only generic types have caches in it", w.label(), t.text).
			Hintf("annotate a function that is not generic, or move this one to the generic type")
		return false
	}
	return true
}

// storeHandle picks a cache of a store for tags: one that the writer has a handle to
// anyway, if there is one.
func (p *pack) storeHandle(w *writer, store string) *cache {
	rank := func(c *cache) int {
		switch {
		case w.recv != nil && c.recv == w.recv:
			return 0
		case c.recv == nil:
			return 1
		}
		return 2
	}
	var best *cache
	for _, c := range p.caches {
		if c.generic() && rank(c) > 0 {
			continue // which of its caches?
		}
		if c.store == store && (best == nil || rank(c) < rank(best)) {
			best = c
		}
	}
	return best
}

// nameHandles names what holds the handles on caches that a writer does not have
// by itself: fields of its wrapper, or package-level variables.
func (p *pack) nameHandles() {
	for _, w := range p.writers {
		for _, t := range w.targets {
			c := t.cache
			if c == nil {
				c = t.handle
			}
			switch {
			case c.recv == nil || c.recv == w.recv || c.names.entity == "":
			case w.recv != nil:
				p.foreign(w.recv, c)
			default:
				p.handle(w, c)
			}
		}
	}
	if bound := p.bound(); len(bound) > 0 {
		c, name := bound[0], p.bindName()
		p.bind = true
		if h, ok := p.take(name, c.d.Pos, name+" has"); !ok {
			p.clash(c.d.Pos, c.label(), name, h).Hintf("rename it: %s opens the caches of functions", name)
		}
	}
}

// bindName is the function that opens the caches of functions. That of a package's tests
// is apart from the package's own.
func (p *pack) bindName() string {
	if p.Test && !strings.HasSuffix(p.Name, "_test") {
		return "BindTestCaches"
	}
	return "BindCaches"
}

// bound are the package's own caches that BindCaches opens. It opens handles too.
func (p *pack) bound() []*cache {
	var list []*cache
	for _, c := range p.caches {
		if c.recv == nil {
			list = append(list, c)
		}
	}
	for _, h := range p.handles {
		list = append(list, h.cache)
	}
	return list
}

// A handle is a package-level variable with a handle on a method's cache, for functions
// that have no wrapper.
type handle struct {
	cache *cache
	name  string
	owner *writer // the first that needs it
}

// handle returns the package's handle on a method's cache.
func (p *pack) handle(w *writer, c *cache) *handle {
	i := slices.IndexFunc(p.handles, func(h *handle) bool { return h.cache == c })
	if i >= 0 {
		return p.handles[i]
	}
	name := c.names.entity
	if c.p != p {
		name = c.p.Name + upper(name)
	}
	h := &handle{cache: c, owner: w, name: unused(lower(name)+"Handle", "", func(n string) bool {
		_, taken := p.names[n]
		return taken
	})}
	p.take(h.name, w.directives[0].Pos, "the handle on the cache of "+c.label()+" has")
	p.handles = append(p.handles, h)
	return h
}

// foreign gives a wrapper a field for the cache of another type, and returns its name.
func (p *pack) foreign(w *wrapped, c *cache) string {
	if i := slices.IndexFunc(w.foreign, func(f *foreign) bool { return f.cache == c }); i >= 0 {
		return w.foreign[i].field
	}
	name := c.names.entity
	if c.p != p {
		name = c.p.Name + upper(name)
	}
	field := unused(lower(name)+"Cache", "", func(n string) bool { return p.member(w, n) != "" })
	w.names.members[field] = "a handle on the cache of " + c.label()
	w.foreign = append(w.foreign, &foreign{cache: c, field: field})
	return field
}
