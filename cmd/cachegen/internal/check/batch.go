package check

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/templates"
)

// A batch is a function with a batch directive: it loads many keys of a cached one.
type batch struct {
	*function
	p        *pack
	d        *directive.Directive
	cache    *cache
	getOrSet string // of the generated function that takes options

	many   *param            // the parameter that holds what differs between the keys
	elem   types.Type        // of its elements
	args   []*operand        // the key's fields, in order; those of many stand for an element
	by     *operand          // for a list: which field of a value says whose it is
	clones map[*cache]*cache // for a promoted method: the caches as its wrapper has them
	element,
	valueName string // in generated code
}

// list reports whether the loader returns a slice rather than a map.
func (b *batch) list() bool { return b.by != nil }

// findBatches checks the batch loaders.
func (p *pack) findBatches() {
	for _, b := range p.batches {
		list := b.d.Positional()
		if len(list) == 0 {
			continue // reported with the directive
		}
		arg := list[0]
		call, c := p.call(b.function, arg, "the parameter with the keys for one of them: FindUser(ids)")
		if call == nil || c.broken {
			continue
		}
		b.cache = c
		switch {
		case call.spread:
			last := call.args[len(call.args)-1]
			p.addf(last.at, diag.Target, "a batch loads for a list, and has no dots").Hintf("write %s", last.text)
			continue
		case c.p != p:
			p.addf(arg.Pos, diag.Target, "%s loads for %s, which is in another package", b.label(), call.callee).
				Hintf("put the two together")
			continue
		case c.recv != b.home():
			p.addf(arg.Pos, diag.Target, "%s loads for %s, which is not a %s", b.label(), c.label(), b.kind()).
				Hintf("put the two together")
			continue
		case len(b.typeParams)+len(c.typeParams) > 0:
			p.addf(arg.Pos, diag.Target, "generic functions have no batch loaders").Hintf("make them methods of a generic type")
			continue
		}
		if clone := b.clones[c]; clone != nil {
			b.cache = clone
		} else if other := c.batch; other != nil {
			p.addf(b.d.Pos, diag.Target, "%s has a batch loader, %s", c.label(), other.label()).Relatedf(p.position(other.d.Pos), "%s", other.label()).
				Hintf("remove one of the two directives")
			continue
		}
		if b.declared == nil {
			c.batch = b
		}
		args := make([]*operand, len(call.args))
		ok := true
		for i, x := range call.args {
			if args[i] = p.batchArgument(b, c.keyParams[i], x, arg); args[i] == nil {
				ok = false
			}
		}
		if !ok {
			continue
		}
		if b.many == nil {
			p.addf(call.callee.pos(0), diag.Target, "no argument of %s is a list of keys", call.callee).
				Hintf("give one of its parameters a []%s", p.name(c.keyParams[0].Type()))
			continue
		}
		if most, ok := b.d.Option("max"); ok {
			b.cache.options.BatchMax, _ = strconv.Atoi(most.Value) // which the directive has checked
		}
		if b.args, ok = p.fieldsOf(b.function, c, args, call.callee); ok {
			p.batchUnused(b)
			p.batchResult(b)
		}
	}
	// What is left was reported or, where one package is judged alone, cannot be.
	unknown := func(b *batch) bool { return b.many == nil }
	p.batches = slices.DeleteFunc(p.batches, unknown)
	for _, w := range p.wrappers {
		w.batches = slices.DeleteFunc(w.batches, unknown)
	}
}

func (b *batch) kind() string {
	if b.recv == nil {
		return "function without a receiver"
	}
	return "method of " + b.recv.obj.Name()
}

// batchArgument checks an argument for the parameter want: a value for all keys, or a
// list with one for each.
func (p *pack) batchArgument(b *batch, want *param, x argument, arg directive.Arg) *operand {
	if names, ok := dotted(x.expr, arg); ok && len(names.names) == 1 {
		i := slices.IndexFunc(b.params, func(v *param) bool { return v.source() == names.names[0].Text })
		if i >= 0 {
			v := b.params[i]
			if s, ok := v.Type().Underlying().(*types.Slice); ok && types.Identical(s.Elem(), want.Type()) {
				if b.many != nil {
					p.addf(x.at, diag.Target, "two arguments are lists: %s and %s", b.many.source(), v.source()).
						Hintf("the keys of a batch differ in one parameter")
					return nil
				}
				b.many, b.elem = v, s.Elem()
				return &operand{root: element, of: v, typ: s.Elem()}
			}
		}
	}
	return p.argument(b.function, b.cache, want, x, arg)
}

// batchUnused reports parameters that no argument uses: calls that differ in them would
// share entries.
func (p *pack) batchUnused(b *batch) {
	for _, v := range b.params {
		used := slices.ContainsFunc(b.args, func(o *operand) bool { return o.of == v })
		ignored := slices.ContainsFunc(b.d.Options("ignore"), func(a directive.Arg) bool { return a.Value == v.source() })
		if !used && !ignored && v.source() != "" {
			p.addf(v.typeExpr.Pos(), diag.Unused, "parameter %s of %s is not part of the key: calls that differ only in %s share entries",
				v.source(), b.name(), v.source()).
				Hintf("give it to %s or, if that is right, write ignore=%s", b.cache.name(), v.source())
		}
	}
}

// batchResult checks that the loader returns a map from the list's elements to values, or a
// list of values that say whose they are.
func (p *pack) batchResult(b *batch) {
	if len(b.results) > 1 {
		p.addf(b.results[1].typeExpr.Pos(), diag.Signature, "%s must return one list or map, and an error: what is not there is left out", b.name()).
			Hintf("write a function that does, and annotate that")
		return
	}
	at, want := b.results[0].typeExpr.Pos(), b.cache.value()
	by, hasBy := b.d.Option("by")
	switch t := b.results[0].Type().Underlying().(type) {
	case *types.Map:
		switch {
		case !types.Identical(t.Key(), b.elem) || !types.Identical(t.Elem(), want):
			p.addf(at, diag.Signature, "%s must return a map[%s]%s for %s", b.name(), p.name(b.elem), p.name(want), b.cache.name()).
				Hintf("an entry is the same, whoever loads it")
		case hasBy:
			p.addf(by.Pos, diag.Option, "by is for lists: the keys of a map say whose the values are").Hintf("leave it out")
		}
	case *types.Slice:
		switch {
		case !types.Identical(t.Elem(), want):
			p.addf(at, diag.Signature, "%s must return a []%s for %s", b.name(), p.name(want), b.cache.name()).
				Hintf("an entry is the same, whoever loads it")
		case !hasBy:
			p.addf(b.d.Pos, diag.Option, "nothing says which key a value in the list belongs to").
				Hintf("%s", p.byHint(b))
		case !types.Comparable(b.elem):
			p.addf(b.many.typeExpr.Pos(), diag.Signature, "%s is not comparable, so values cannot be found by it", p.name(b.elem)).
				Hintf("take a list of what can be compared, such as strings")
		default:
			b.by = p.byField(b, by)
		}
	default:
		p.addf(at, diag.Signature, "%s must return a map[%s]%s, or a []%s with by=Field", b.name(), p.name(b.elem), p.name(want), p.name(want)).
			Hintf("write a function that does, and annotate that")
	}
}

// byHint says how a list can tell whose its values are.
func (p *pack) byHint(b *batch) string {
	if name := p.fieldOf(b.cache.value(), b.elem); name != "" {
		return fmt.Sprintf("name the field that has the %s: by=%s", p.name(b.elem), name)
	}
	return fmt.Sprintf("return a map[%s]%s", p.name(b.elem), p.name(b.cache.value()))
}

// fieldOf guesses a field of t that holds an elem; it is empty if there is none.
func (p *pack) fieldOf(t, elem types.Type) string {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if s, ok := t.Underlying().(*types.Struct); ok {
		for f := range s.Fields() {
			if types.Identical(f.Type(), elem) && (f.Exported() || f.Pkg() == p.Types) {
				return f.Name()
			}
		}
	}
	return ""
}

// byField resolves by=Field.
func (p *pack) byField(b *batch, arg directive.Arg) *operand {
	at := path{start: arg.ValuePos}
	offset := 0
	for name := range strings.SplitSeq(arg.Value, ".") {
		if !token.IsIdentifier(name) {
			p.addf(arg.ValuePos, diag.Option, "%q is not a field", arg.Value).Hintf("write by=ID, or by=Key.ID")
			return nil
		}
		at.names = append(at.names, key.Name{Text: name, Offset: offset})
		offset += len(name) + 1
	}
	o := &operand{root: result, typ: b.cache.value()}
	for i := range at.names {
		if o = p.step(o, at, i, diag.Option); o == nil {
			return nil
		}
	}
	if !types.AssignableTo(o.typ, b.elem) {
		p.addf(arg.ValuePos, diag.Option, "%s is a %s, and the keys are of type %s", arg.Value, p.name(o.typ), p.name(b.elem)).
			Hintf("%s", p.byHint(b))
		return nil
	}
	return o
}

// batchModel writes a batch loader for the model.
func (o *output) batchModel(b *batch) *templates.Batch {
	m := &templates.Batch{
		Func: b.name(), GetOrSet: b.getOrSet, Cache: b.cache.skeleton(), Context: b.context, NoContext: b.noContext,
		Params: o.params(b.params), Many: slices.Index(b.params, b.many), Element: b.element, ElementType: o.typ(b.elem),
		Value: o.typ(b.cache.value()), ValueName: b.valueName, Result: o.typ(b.results[0].Type()), List: b.list(),
		ValueNil: canBeNil(b.cache.value()),
	}
	if b.recv != nil {
		m.Wrapper = b.recv.model
	}
	for i, a := range b.args {
		base := b.base(a)
		if a.root == element {
			base = b.element
		}
		m.Args = append(m.Args, b.cache.fields[i].convert(a.render(base)))
	}
	if b.by != nil {
		m.By = b.by.render(b.valueName)
	}
	return m
}
