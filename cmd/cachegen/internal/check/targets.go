package check

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// targetRule checks which entries, tags and namespaces functions write to.
type targetRule struct{ calls }

// check checks the targets of all writers.
func (p targetRule) check() {
	for _, w := range p.Writers {
		tags := w.Targets
		w.Targets = nil
		for _, d := range w.Directives {
			if d.Verb == directive.Clear {
				w.Targets = append(w.Targets, p.clearTargets(w, d)...)
				continue
			}
			for _, arg := range d.Positional() {
				if t := p.target(w, d, arg); t != nil {
					w.Targets = append(w.Targets, t)
				}
			}
		}
		for _, t := range tags {
			w.Targets = append(w.Targets, p.tagTargets(w, t)...)
		}
		slices.SortStableFunc(w.Targets, func(a, b *facts.Target) int { return int(a.Pos - b.Pos) })
		p.sameTargets(w)
	}
}

// target checks a positional argument of a writer: FindUser(id). It returns nil if it
// has reported something.
func (p targetRule) target(w *facts.Writer, d *directive.Directive, arg directive.Arg) *facts.Target {
	call, c := p.call(w.Function, arg, "the arguments of its key: FindUser(id)")
	if call == nil {
		return nil
	}
	t := &facts.Target{Verb: facts.Verbs[d.Verb], Text: arg.Text, Pos: arg.Pos, Cache: c}
	args := make([]*facts.Operand, len(call.args))
	ok := true
	for i, x := range call.args {
		if call.spread && i == len(call.args)-1 {
			args[i] = p.spread(w, t, c.KeyParams[i], x, arg)
		} else {
			args[i] = p.argument(w.Function, c, c.KeyParams[i], x, arg)
		}
		ok = ok && args[i] != nil
	}
	if !ok {
		return nil
	}
	if t.Remote(p.Package) && !p.reachable(call.callee, c) {
		return nil
	}
	if t.Args, ok = p.fieldsOf(w.Function, c, args, call.callee); !ok {
		return nil
	}
	t.Params = args
	if t.Verb == templates.Set && !p.setValue(w, t) {
		return nil
	}
	return t
}

// spread checks the last argument of a target, a list of which each element names an
// entry: FindUser(ids...).
func (p targetRule) spread(w *facts.Writer, t *facts.Target, want *facts.Param, x argument, arg directive.Arg) *facts.Operand {
	if t.Verb == templates.Set {
		p.addf(x.at, diag.Target, "a set stores one value under one key").Hintf("write %s without the dots", x.text)
		return nil
	}
	if name, ok := x.expr.(*ast.Ident); ok {
		i := slices.IndexFunc(w.Params, func(v *facts.Param) bool { return v.Source() == name.Name })
		if i >= 0 {
			s, ok := w.Params[i].Type().Underlying().(*types.Slice)
			if ok && p.assignable(s.Elem(), want.Type()) {
				t.Many = w.Params[i]
				return &facts.Operand{Root: facts.Element, Of: t.Many, Type: s.Elem()}
			}
		}
	}
	p.addf(x.at, diag.Target, "%s is not a parameter with a list of %s", x.text, p.TypeName(want.Type())).
		Hintf("for one entry, write it without the dots; for many, take a []%s", p.TypeName(want.Type()))
	return nil
}

// setValue finds the result that a set stores.
func (p targetRule) setValue(w *facts.Writer, t *facts.Target) bool {
	var fit []*facts.Param
	for _, r := range w.Results {
		if p.assignable(r.Type(), t.Cache.Value()) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 1 {
		t.Value = fit[0]
		return true
	}
	want := p.TypeName(t.Cache.Value())
	if len(fit) > 1 {
		p.addf(t.Pos, diag.Target, "%s has several results of type %s: it is not clear which one to store", w.Label(), want).
			Hintf("return one, or write //cache:delete %s", t.Text)
		return false
	}
	p.addf(t.Pos, diag.Target, "%s has no result of type %s to store", w.Label(), want).
		Hintf("return it, or write //cache:delete %s", t.Text)
	return false
}

// tagTargets are the stores in which cached functions of this package have a tag,
// each with a handle that the writer can reach.
func (p targetRule) tagTargets(w *facts.Writer, t *facts.Target) []*facts.Target {
	var stores []string
	for _, use := range t.Tag.Uses {
		for _, c := range p.Caches {
			if c.Function == use.Function && !slices.Contains(stores, c.Store) {
				stores = append(stores, c.Store)
			}
		}
	}
	broken := len(p.Refused) > 0 || slices.ContainsFunc(p.Caches, func(c *facts.Cache) bool { return c.Broken })
	if len(stores) == 0 && !broken {
		d := p.addf(t.Pos, diag.Tag, "no cached function of this package has a tag like %s", t.Text)
		var texts []string
		for _, c := range p.Caches {
			for _, use := range append(slices.Clone(c.KeyTags), c.ResultTags...) {
				texts = append(texts, use.Pattern.Text)
			}
		}
		if len(texts) > 0 {
			d.Hintf("available: %s", strings.Join(slices.Compact(texts), ", "))
		}
	}
	slices.Sort(stores)
	var list []*facts.Target
	for _, store := range stores {
		in := *t
		if p.inStore(w, &in, store) {
			list = append(list, &in)
		}
	}
	return list
}
