package build

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// handleExpr is the expression with which w reaches c.
func (o *output) handleExpr(w *facts.Writer, c *facts.Cache) string {
	switch {
	case c.Recv == nil:
		return c.Names.Variable
	case w.Recv == nil:
		return o.handleName(c)
	case c.Recv == w.Recv:
		return o.wrappers[w.Recv].Receiver + "." + c.Names.Field
	}
	i := slices.IndexFunc(w.Recv.Foreign, func(f *facts.ForeignCache) bool { return f.Cache == c })
	return o.wrappers[w.Recv].Receiver + "." + w.Recv.Foreign[i].Field
}

// handleName is the variable that holds the package's handle on a method's cache.
func (b *builder) handleName(c *facts.Cache) string {
	i := slices.IndexFunc(b.p.Handles, func(h *facts.Handle) bool { return h.Cache == c })
	return b.p.Handles[i].Name
}

// bindCaches puts BindCaches into the first file that has something to bind.
func (b *builder) bindCaches() {
	var first *output
	in := func(file *load.File) *templates.File {
		if first == nil {
			first = b.outputs[file]
		}
		return first.file
	}
	for _, c := range b.p.Caches {
		switch {
		case c.Recv != nil:
		case c.Names.Caches != "":
			f := in(c.File)
			f.BindInstances = append(f.BindInstances, c.Names.Caches)
		default:
			f := in(c.File)
			f.Bind = append(f.Bind, c.Names.Variable)
		}
	}
	for _, h := range b.p.Handles {
		f := in(h.Owner.File)
		f.Bind = append(f.Bind, h.Name)
	}
}
