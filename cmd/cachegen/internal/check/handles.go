package check

import (
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
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
				p.foreign(w.Recv, c, w.File, t.Pos)
			default:
				p.handle(w, c, t.Pos)
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

// handle gives the package a handle on a method's cache, which the target at pos of w needs.
func (p namer) handle(w *facts.Writer, c *facts.Cache, pos token.Pos) {
	if slices.ContainsFunc(p.Handles, func(h *facts.Handle) bool { return h.Cache == c }) {
		return
	}
	h := &facts.Handle{Cache: c, Owner: w, Name: handleName(p.qualified(c, w.File))}
	p.Handles = append(p.Handles, h)
	who := "the handle on the cache of " + p.label(c)
	if taken, ok := p.take(h.Name, w.Directives[0].Pos, who); !ok {
		at := p.handlePos(c, pos)
		p.handleHint(p.clash(at, who, h.Name, taken), c, taken)
	}
}

// foreign gives a wrapper a field for the cache of another type, which the target at pos in file needs, and
// returns its name.
func (p namer) foreign(w *facts.Wrapper, c *facts.Cache, file *load.File, pos token.Pos) string {
	if i := slices.IndexFunc(w.Foreign, func(f *facts.ForeignCache) bool { return f.Cache == c }); i >= 0 {
		return w.Foreign[i].Field
	}
	field := foreignName(p.qualified(c, file))
	w.Foreign = append(w.Foreign, &facts.ForeignCache{Cache: c, Field: field})
	if h, ok := p.takeMember(w, field, pos, "the handle on the cache of "+p.label(c)); !ok {
		p.handleHint(p.memberClash(p.handlePos(c, pos), "field", w, p.label(c), h, field), c, h)
	}
	return field
}

// handlePos is where it is said that no handle on c can be generated: where c has its name or, if that
// is in another package, at the target.
func (p namer) handlePos(c *facts.Cache, target token.Pos) token.Pos {
	if c.In == p.Package {
		return c.NamePos()
	}
	return target
}

// handleHint says what to do if the name of a handle on c is not free.
func (p namer) handleHint(d *diag.Diagnostic, c *facts.Cache, h naming.Holder) {
	switch {
	case c.In == p.Package:
		d.Hintf("choose another name, such as name=%s", p.freeName(c))
	case h.Generated:
		d.Hintf("import one of the two packages under another name")
	default:
		d.Hintf("%s", renameHint(h, "rename it, or import package "+c.In.Name+" under another name"))
	}
}

// label is c as messages about p call it.
func (p namer) label(c *facts.Cache) string {
	if c.In == p.Package {
		return c.Label()
	}
	return c.In.Path + "." + c.Label()
}

// qualified is the entity of c, after the name by which the file imports its package.
func (p namer) qualified(c *facts.Cache, file *load.File) string {
	if c.In == p.Package {
		return c.Names.Entity
	}
	return p.ImportName(file, c.In) + naming.Upper(c.Names.Entity)
}

// handleName is what a package calls its handle on the cache of an entity, and foreignName what a wrapper
// calls the field with one.
func handleName(entity string) string  { return naming.Lower(entity) + "Handle" }
func foreignName(entity string) string { return naming.Lower(entity) + "Cache" }
