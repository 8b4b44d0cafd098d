package check

import (
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// clearTargets finds the namespace that a clear directive is about, in every store in
// which cached functions of this package have it.
func (p targetRule) clearTargets(w *facts.Writer, d *directive.Directive) []*facts.Target {
	name, at := "", d.Pos
	if args := d.Positional(); len(args) > 0 {
		name, at = args[0].Text, args[0].Pos
	} else if name = p.ownNamespace(w); name == "" {
		p.addf(d.Pos, diag.Target, "%s has no namespace of its own to clear", w.Label()).
			Hintf("name one: //cache:clear users")
		return nil
	}
	var stores, namespaces []string
	for _, c := range p.Caches {
		namespaces = append(namespaces, c.Namespace)
		if c.Namespace == name && !slices.Contains(stores, c.Store) {
			stores = append(stores, c.Store)
		}
	}
	if len(stores) == 0 {
		d := p.addf(at, diag.Target, "no cached function of this package is in namespace %s", name)
		if strings.HasSuffix(name, ")") {
			d.Hintf("clear is for a whole namespace: write //cache:delete %s", name)
			return nil
		}
		d.Choose(name, slices.DeleteFunc(namespaces, func(n string) bool { return n == "" }), "give one of them namespace="+name)
		return nil
	}
	slices.Sort(stores)
	var list []*facts.Target
	for _, store := range stores {
		t := &facts.Target{Verb: templates.Clear, Text: name, Pos: at, Namespace: name}
		if p.inStore(w, t, store) {
			list = append(list, t)
		}
	}
	return list
}

// ownNamespace is the one that the caches of w's type, or of the package's functions,
// share; empty if there is no such one.
func (p targetRule) ownNamespace(w *facts.Writer) string {
	recv := w.Recv
	if w.Declared != nil { // which has been promoted with the namespace that it is about
		recv = w.Declared
	}
	if recv != nil && recv.Directive != nil {
		if arg, ok := recv.Directive.Option("namespace"); ok {
			return arg.Value
		}
	}
	name, first := "", true
	for _, c := range p.Caches {
		if c.Recv != recv {
			continue
		}
		if !first && c.Namespace != name {
			return ""
		}
		name, first = c.Namespace, false
	}
	return name
}
