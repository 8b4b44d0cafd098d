package check

import (
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
)

// An ignored is what an ignore option names: a parameter or a field of one.
type ignored struct {
	*facts.Operand
	arg  directive.Arg
	used bool // something that is not in the key belongs to it
}

// An unusedPart is a parameter, or a field of one, that is not in the key.
type unusedPart struct {
	path   []string // of fields; none for a whole parameter
	hidden bool     // a field that this package cannot name
}

// unusedRule checks that every parameter is in the key.
type unusedRule struct{ resolver }

func (p unusedRule) check() {
	for _, c := range p.Caches {
		if !c.Broken {
			p.unusedParams(c)
		}
	}
}

// unusedParams reports parameters and fields of parameters that are neither in the
// key nor ignored, and ignore options without effect.
func (p unusedRule) unusedParams(c *facts.Cache) {
	list := p.ignoreOptions(c)
	for _, v := range c.Params {
		s := &search{p: p.Package, of: v, ignored: list}
		for _, f := range c.Fields {
			if f.Of == v {
				s.inKey = append(s.inKey, f.Operand)
			}
		}
		s.visit(location{outer: v.Type(), typ: v.Type()}, nil)
		for _, l := range s.accepted {
			if len(l.path) > 0 && len(s.inKey) > 0 {
				c.Ignored = append(c.Ignored, &facts.Operand{Root: facts.Parameter, Of: v, Path: l.path})
			}
		}
		if v.Source() != "" && len(s.reported) > 0 {
			p.reportUnused(c, v, s.reported)
		}
	}
	for _, i := range list {
		if !i.used && !value.HoldsNothing(i.Type) {
			p.addf(i.arg.ValuePos, diag.Option, "%s is part of the key and cannot be ignored", i.arg.Value).
				Hintf("remove %s, or take it out of the key", i.arg.Text)
		}
	}
}

// ignoreOptions reads the ignore options of a directive.
func (p unusedRule) ignoreOptions(c *facts.Cache) []*ignored {
	var list []*ignored
	first := map[string]directive.Arg{}
	for _, arg := range c.Directive.Options("ignore") {
		if before, again := first[arg.Value]; again {
			p.addf(arg.Pos, diag.Option, "%s is ignored twice", arg.Value).Relatedf(p.Position(before.Pos), "the first").
				Hintf("remove one of the two")
			continue
		}
		first[arg.Value] = arg
		if o := p.ignoreOption(c, arg); o != nil {
			list = append(list, &ignored{Operand: o, arg: arg})
		}
	}
	return list
}

func (p unusedRule) ignoreOption(c *facts.Cache, arg directive.Arg) *facts.Operand {
	at := facts.Path{Start: arg.ValuePos}
	offset := 0
	for name := range strings.SplitSeq(arg.Value, ".") {
		if !token.IsIdentifier(name) {
			p.addf(arg.ValuePos, diag.Option, "%q is neither a parameter nor a field of one", arg.Value).
				Hintf("write ignore=param or ignore=param.Field")
			return nil
		}
		at.Names = append(at.Names, key.Name{Text: name, Offset: offset})
		offset += len(name) + 1
	}
	head := at.Names[0].Text
	i := slices.IndexFunc(c.Params, func(v *facts.Param) bool { return v.Source() == head })
	if i < 0 {
		if head == c.Context {
			p.addf(arg.ValuePos, diag.Option, "the context is never part of a key").Hintf("remove %s", arg.Text)
			return nil
		}
		var names []string
		for _, v := range c.Params {
			if v.Source() != "" {
				names = append(names, v.Source())
			}
		}
		p.addf(arg.ValuePos, diag.Placeholder, "no parameter %q in %s", head, c.Name()).Choose(head, names, "remove it")
		return nil
	}
	o := &facts.Operand{Root: facts.Parameter, Of: c.Params[i], Type: c.Params[i].Type()}
	for i := 1; o != nil && i < len(at.Names); i++ {
		o = p.step(o, at, i, diag.Placeholder)
	}
	return o
}

func (p unusedRule) reportUnused(c *facts.Cache, v *facts.Param, list []unusedPart) {
	name := v.Source()
	if len(list[0].path) == 0 { // then it is the only one
		d := p.addf(c.KeyArg.Pos, diag.Unused,
			"parameter %s of %s is not part of the key: calls that differ only in %s share one entry", name, c.Name(), name)
		if v.Variadic {
			d.Hintf("if that is intended, write ignore=%s", name)
		} else {
			d.Hintf("add {%s} to the key or, if that is intended, write ignore=%s", name, name)
		}
		return
	}
	var fields, options []string
	hidden := false
	for _, l := range list {
		path := strings.Join(l.path, ".")
		fields = append(fields, path)
		options = append(options, "ignore="+name+"."+path)
		hidden = hidden || l.hidden
	}
	subject, them := "field "+fields[0]+" of "+name+" is", "it"
	if len(fields) > 1 {
		subject, them = "fields "+strings.Join(fields, ", ")+" of "+name+" are", "them"
	}
	d := p.addf(c.KeyArg.Pos, diag.Unused, "%s in no placeholder: calls that differ only in %s share one entry", subject, them)
	if hidden {
		d.Hintf("if that is intended, write ignore=%s: it covers only what is not in the key", name)
		return
	}
	d.Hintf("put %s into the key or, if that is intended, write %s (or ignore=%s for all that is not in the key)",
		them, strings.Join(options, " "), name)
}

// A search goes through a parameter's fields for what is not in the key.
type search struct {
	p        *facts.Package
	of       *facts.Param
	inKey    []*facts.Operand
	ignored  []*ignored
	accepted []unusedPart // ignored
	reported []unusedPart
}

// A location is a field that a search has reached. Its name is the shortest one: fields of embedded
// structs are promoted to outer, as long as nothing else there has their name.
type location struct {
	outer    types.Type // of the field that is no embedded one, or the parameter
	path     []string   // to outer, from the parameter
	relative []int      // from outer to typ
	index    []int      // from the parameter
	name     unusedPart
	typ      types.Type
}

// visit looks at a location. by is the ignore option that covers it, if there is one.
func (s *search) visit(at location, by *ignored) {
	deeper := false
	for _, o := range s.inKey {
		if slices.Equal(o.Index, at.index) {
			return
		}
		deeper = deeper || leads(at.index, o.Index)
	}
	for _, i := range s.ignored {
		switch {
		case i.Of != s.of:
		case slices.Equal(i.Index, at.index):
			by = i
		default:
			deeper = deeper || leads(at.index, i.Index)
		}
	}
	if deeper {
		s.fields(at, by)
		return
	}
	if by == nil {
		s.reported = append(s.reported, at.name)
		return
	}
	by.used = true
	s.accepted = append(s.accepted, at.name)
}

// leads reports whether the path that to is begins with from.
func leads(from, to []int) bool {
	return len(to) > len(from) && slices.Equal(from, to[:len(from)])
}

// fields visits the fields of the struct at a location.
func (s *search) fields(at location, by *ignored) {
	t := at.typ
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	fields, _ := t.Underlying().(*types.Struct) // it is one, because a path leads through it
	for i := range fields.NumFields() {
		f := fields.Field(i)
		if f.Name() == "_" || value.HoldsNothing(f.Type()) {
			continue // nothing can be in it
		}
		next := location{
			outer: at.outer, path: at.path, relative: append(slices.Clone(at.relative), i),
			index: append(slices.Clone(at.index), i), typ: f.Type(),
		}
		next.name.path = append(slices.Clone(at.name.path), f.Name())
		next.name.hidden = at.name.hidden || !f.Exported() && f.Pkg() != s.p.Types
		if _, index, _ := types.LookupFieldOrMethod(at.outer, true, s.p.Types, f.Name()); slices.Equal(index, next.relative) {
			next.name = unusedPart{path: append(slices.Clone(at.path), f.Name())}
		}
		if !f.Embedded() {
			next.outer, next.path, next.relative = f.Type(), next.name.path, nil
		}
		s.visit(next, by)
	}
}
