package check

import (
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/templates"
)

// clearTargets finds the namespace that a clear directive is about, in every store in
// which cached functions of this package have it.
func (p *pack) clearTargets(w *writer, d *directive.Directive) []*target {
	name, at := "", d.Pos
	if args := d.Positional(); len(args) > 0 {
		name, at = args[0].Text, args[0].Pos
	} else if name = p.ownNamespace(w); name == "" {
		p.addf(d.Pos, diag.Target, "%s has no namespace of its own to clear", w.label()).
			Hintf("name one: //cache:clear users")
		return nil
	}
	var stores, namespaces []string
	for _, c := range p.caches {
		namespaces = append(namespaces, c.namespace)
		if c.namespace == name && !slices.Contains(stores, c.store) {
			stores = append(stores, c.store)
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
	var list []*target
	for _, store := range stores {
		t := &target{verb: templates.Clear, text: name, pos: at, namespace: name}
		if p.inStore(w, t, store) {
			list = append(list, t)
		}
	}
	return list
}

// ownNamespace is the one that the caches of w's type, or of the package's functions,
// share; empty if there is no such one.
func (p *pack) ownNamespace(w *writer) string {
	if w.recv != nil && w.recv.d != nil {
		if arg, ok := w.recv.d.Option("namespace"); ok {
			return arg.Value
		}
	}
	name, first := "", true
	for _, c := range p.caches {
		if c.recv != w.recv {
			continue
		}
		if !first && c.namespace != name {
			return ""
		}
		name, first = c.namespace, false
	}
	return name
}
