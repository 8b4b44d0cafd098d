package build

import (
	"cmp"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// base is the source of an operand's root in f.
func (o *output) base(f *facts.Function, x *facts.Operand) string {
	if x.Root == facts.Receiver {
		return o.wrappers[f.Recv].Receiver + "." + f.Recv.Object.Name()
	}
	if x.Of != nil {
		return o.locals[x.Of]
	}
	return ""
}

func (o *output) writer(w *facts.Writer) *templates.Writer {
	m := &templates.Writer{
		Func: w.Function.Name(), Label: o.p.Path + "." + w.Function.Label(), Errors: w.Errors, Collect: w.Collect, Name: w.Generated, Context: o.functions[w.Function].context,
		NoContext: w.NoContext, Params: o.params(w.Params), Results: o.params(w.Results), TypeParams: o.typeParams(w.TypeParams),
		ResultNames: o.functions[w.Function].results, Deprecated: w.Deprecated(),
	}
	if w.Recv != nil {
		m.Wrapper = o.wrappers[w.Recv]
	}
	for _, t := range w.Targets {
		m.Targets = append(m.Targets, o.target(w, t))
	}
	// A set comes after all invalidations, whatever the order of the directives: an entry with an
	// invalidated tag would be deleted by the same call.
	slices.SortStableFunc(m.Targets, func(a, b templates.Target) int {
		return cmp.Compare(setLast(a), setLast(b))
	})
	return m
}

func (o *output) target(w *facts.Writer, t *facts.Target) templates.Target {
	m := templates.Target{Verb: t.Verb, Text: t.Text, Namespace: t.Namespace}
	switch {
	case t.Tag != nil:
		m.Handle = o.handleExpr(w, t.Handle)
		use := templates.TagUse{Tag: o.tagModel(t.Tag.Tag)}
		for i, x := range t.Tag.Operands {
			use.Args = append(use.Args, convertTag(t.Tag, i, x.Render(o.base(w.Function, x))))
		}
		m.Tag = &use
		return m
	case t.Cache == nil:
		m.Handle = o.handleExpr(w, t.Handle)
		return m
	}
	if t.Many != nil {
		m.Many, m.Element, m.ElementType = o.locals[t.Many], o.elements[t], o.typ(t.Many.Type().Underlying().(*types.Slice).Elem())
	}
	base := func(a *facts.Operand) string {
		if a.Root == facts.Element {
			return o.elements[t]
		}
		return o.base(w.Function, a)
	}
	if t.Value != nil {
		m.Value = o.locals[t.Value]
	}
	if t.Remote(o.p) && t.Cache.Recv == nil {
		m.Cache = o.cacheOf(t.Cache)
		m.Call = templates.Type{{Path: t.Cache.In.Path, Text: writeFunction(t)}}
		for _, a := range t.Params {
			m.Args = append(m.Args, a.Render(base(a)))
		}
		return m
	}
	m.Cache, m.Handle = o.cacheOf(t.Cache), o.handleExpr(w, t.Cache)
	for i, a := range t.Args {
		m.Args = append(m.Args, convertField(t.Cache.Fields[i], a.Render(base(a))))
	}
	return m
}

// writeFunction is the generated function of a plain function's cache that does what t asks.
func writeFunction(t *facts.Target) string {
	switch n := t.Cache.Names; t.Verb {
	case templates.Set:
		return n.Set
	case templates.Expire:
		return n.Expire
	default:
		return n.Delete
	}
}

func setLast(t templates.Target) int {
	if t.Verb == templates.Set {
		return 1
	}
	return 0
}
