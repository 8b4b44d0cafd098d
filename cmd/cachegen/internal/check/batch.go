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
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
)

// batchRule checks the loaders of many keys.
type batchRule struct{ calls }

// check checks the batch loaders.
func (p batchRule) check() {
	for _, b := range p.Batches {
		list := b.Directive.Positional()
		if len(list) == 0 {
			continue // reported with the directive
		}
		arg := list[0]
		call, c := p.call(b.Function, arg, "the parameter with the keys for one of them: FindUser(ids)")
		if call == nil || c.Broken {
			continue
		}
		b.Cache = c
		switch {
		case call.spread:
			last := call.args[len(call.args)-1]
			p.addf(last.at, diag.Target, "the list of a batch is written without dots").Hintf("write %s", last.text)
			continue
		case c.In != p.Package:
			p.addf(arg.Pos, diag.Target, "the batch loader %s is for %s, which is in another package", b.Label(), call.callee).
				Hintf("declare both in one package")
			continue
		case c.Recv != b.Home():
			p.addf(arg.Pos, diag.Target, "the batch loader %s is for %s, which is not a %s", b.Label(), c.Label(), kindOf(b)).
				Hintf("declare both as methods of one type, or both without a receiver")
			continue
		case len(b.TypeParams)+len(c.TypeParams) > 0:
			p.addf(arg.Pos, diag.Target, "a generic function cannot have a batch loader").Hintf("make them methods of a generic type")
			continue
		}
		if clone := b.Clones[c]; clone != nil {
			b.Cache = clone
		} else if other := c.Batch; other != nil {
			p.addf(b.Directive.Pos, diag.Target, "%s already has the batch loader %s", c.Label(), other.Label()).Relatedf(p.Position(other.Directive.Pos), "%s", other.Label()).
				Hintf("remove one of the two directives")
			continue
		}
		if b.Declared == nil {
			c.Batch = b
		}
		args := make([]*facts.Operand, len(call.args))
		ok := true
		for i, x := range call.args {
			if args[i] = p.batchArgument(b, c.KeyParams[i], x, arg); args[i] == nil {
				ok = false
			}
		}
		if !ok {
			continue
		}
		if b.Many == nil {
			p.addf(call.callee.Pos(0), diag.Target, "no argument of %s is a list of keys", call.callee).
				Hintf("give one of its parameters a []%s", p.TypeName(c.KeyParams[0].Type()))
			continue
		}
		if most, ok := b.Directive.Option("max"); ok {
			b.Cache.Options.BatchMax, _ = strconv.Atoi(most.Value) // which the directive has checked
		}
		if b.Args, ok = p.fieldsOf(b.Function, c, args, call.callee); ok {
			p.batchUnused(b)
			p.batchResult(b)
		}
	}
	// Others were reported or, where a package is checked without the others, cannot be.
	unknown := func(b *facts.Batch) bool { return b.Many == nil }
	p.Batches = slices.DeleteFunc(p.Batches, unknown)
	for _, w := range p.Wrappers {
		w.Batches = slices.DeleteFunc(w.Batches, unknown)
	}
}

func kindOf(b *facts.Batch) string {
	if b.Recv == nil {
		return "function without a receiver"
	}
	return "method of " + b.Recv.Object.Name()
}

// batchArgument checks an argument for the parameter want: a value for all keys, or a
// list with one for each.
func (p batchRule) batchArgument(b *facts.Batch, want *facts.Param, x argument, arg directive.Arg) *facts.Operand {
	if names, ok := dotted(x.expr, arg); ok && len(names.Names) == 1 {
		i := slices.IndexFunc(b.Params, func(v *facts.Param) bool { return v.Source() == names.Names[0].Text })
		if i >= 0 {
			v := b.Params[i]
			if s, ok := v.Type().Underlying().(*types.Slice); ok && types.Identical(s.Elem(), want.Type()) {
				if b.Many != nil {
					p.addf(x.at, diag.Target, "two arguments are lists: %s and %s", b.Many.Source(), v.Source()).
						Hintf("only one parameter of a batch loader may be a list")
					return nil
				}
				b.Many, b.Elem = v, s.Elem()
				return &facts.Operand{Root: facts.Element, Of: v, Type: s.Elem()}
			}
		}
	}
	return p.argument(b.Function, b.Cache, want, x, arg)
}

// batchUnused reports parameters that no argument uses: calls that differ only in them would
// share entries.
func (p batchRule) batchUnused(b *facts.Batch) {
	for _, v := range b.Params {
		used := slices.ContainsFunc(b.Args, func(o *facts.Operand) bool { return o.Of == v })
		ignored := slices.ContainsFunc(b.Directive.Options("ignore"), func(a directive.Arg) bool { return a.Value == v.Source() })
		if !used && !ignored && v.Source() != "" {
			p.addf(v.TypeExpr.Pos(), diag.Unused, "parameter %s of %s is not part of the key: calls that differ only in %s share entries",
				v.Source(), b.Name(), v.Source()).
				Hintf("make it a parameter of %s or, if that is intended, write ignore=%s", b.Cache.Name(), v.Source())
		}
	}
}

// batchResult checks that the loader returns a map from the list's elements to values, or a
// list of values with a field that holds the element of the key.
func (p batchRule) batchResult(b *facts.Batch) {
	if len(b.Results) > 1 {
		p.addf(b.Results[1].TypeExpr.Pos(), diag.Signature, "%s must return one list or map, and an error", b.Name()).
			Hintf("annotate a function with such results; what does not exist is left out of them")
		return
	}
	at, want := b.Results[0].TypeExpr.Pos(), b.Cache.Value()
	by, hasBy := b.Directive.Option("by")
	switch t := b.Results[0].Type().Underlying().(type) {
	case *types.Map:
		switch {
		case !types.Identical(t.Key(), b.Elem) || !types.Identical(t.Elem(), want):
			p.addf(at, diag.Signature, "%s must return a map[%s]%s for %s", b.Name(), p.TypeName(b.Elem), p.TypeName(want), b.Cache.Name()).
				Hintf("both functions fill the same entries, so they return the same type of value")
		case hasBy:
			p.addf(by.Pos, diag.Option, "by= is for a list: a map already has the key of each value").Hintf("remove it")
		}
	case *types.Slice:
		switch {
		case !types.Identical(t.Elem(), want):
			p.addf(at, diag.Signature, "%s must return a []%s for %s", b.Name(), p.TypeName(want), b.Cache.Name()).
				Hintf("both functions fill the same entries, so they return the same type of value")
		case !hasBy:
			p.addf(b.Directive.Pos, diag.Option, "nothing says which key a value in the list belongs to").
				Hintf("%s", p.byHint(b))
		case !types.Comparable(b.Elem):
			p.addf(b.Many.TypeExpr.Pos(), diag.Signature, "%s is not comparable, so a value cannot be matched with its key", p.TypeName(b.Elem)).
				Hintf("take a list of a comparable type, such as string")
		default:
			b.By = p.byField(b, by)
		}
	default:
		p.addf(at, diag.Signature, "%s must return a map[%s]%s, or a []%s with by=Field", b.Name(), p.TypeName(b.Elem), p.TypeName(want), p.TypeName(want)).
			Hintf("annotate a function with such results; what does not exist is left out of them")
	}
}

// byHint says how the values of a list can be matched with their keys.
func (p batchRule) byHint(b *facts.Batch) string {
	if name := p.fieldOf(b.Cache.Value(), b.Elem); name != "" {
		return fmt.Sprintf("name the field that has the %s: by=%s", p.TypeName(b.Elem), name)
	}
	return fmt.Sprintf("return a map[%s]%s", p.TypeName(b.Elem), p.TypeName(b.Cache.Value()))
}

// fieldOf guesses a field of t that holds an elem; it is empty if there is none.
func (p batchRule) fieldOf(t, elem types.Type) string {
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
func (p batchRule) byField(b *facts.Batch, arg directive.Arg) *facts.Operand {
	at := facts.Path{Start: arg.ValuePos}
	offset := 0
	for name := range strings.SplitSeq(arg.Value, ".") {
		if !token.IsIdentifier(name) {
			p.addf(arg.ValuePos, diag.Option, "%q is not a field", arg.Value).Hintf("write by=ID, or by=Key.ID")
			return nil
		}
		at.Names = append(at.Names, key.Name{Text: name, Offset: offset})
		offset += len(name) + 1
	}
	o := &facts.Operand{Root: facts.Result, Type: b.Cache.Value()}
	for i := range at.Names {
		if o = p.step(o, at, i, diag.Option); o == nil {
			return nil
		}
	}
	if !types.AssignableTo(o.Type, b.Elem) {
		p.addf(arg.ValuePos, diag.Option, "%s has type %s, and the keys have type %s", arg.Value, p.TypeName(o.Type), p.TypeName(b.Elem)).
			Hintf("%s", p.byHint(b))
		return nil
	}
	return o
}
