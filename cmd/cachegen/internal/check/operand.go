package check

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
)

// A resolver finds what names in directives stand for.
type resolver struct{ *pass }

// resolve finds what a path means in f. Problems are reported with code. results
// says whether the results may be used.
func (p resolver) resolve(f *facts.Function, at facts.Path, results bool, code diag.Code) *facts.Operand {
	o := p.head(f, at, results, code)
	for i := 1; o != nil && i < len(at.Names); i++ {
		o = p.step(o, at, i, code)
	}
	return o
}

// head resolves the first name of a path. Parameters go before results. One that is called recv or
// result is refused where the word could be meant: a parameter that is added would change what an old
// directive says.
func (p resolver) head(f *facts.Function, at facts.Path, results bool, code diag.Code) *facts.Operand {
	name := at.Names[0].Text
	for _, v := range f.Params {
		if v.Source() == name {
			if meaning := p.word(f, name, results); meaning != "" {
				p.addf(at.Pos(0), code, "%s is ambiguous: a parameter of %s, and %s", name, f.Name(), meaning).
					Relatedf(p.Position(v.Pos()), "the parameter").
					Hintf("give the parameter another name")
				return nil
			}
			if v.Variadic {
				d := p.addf(at.Pos(0), code, "%s is variadic and has no exact text form", name)
				if results {
					d.Hintf("take a single value as a parameter of its own")
				} else {
					d.Hintf("take a single value or, if the value does not depend on it, take {%s} out of the key and write ignore=%s", name, name)
				}
				return nil
			}
			return &facts.Operand{Root: facts.Parameter, Of: v, Type: v.Type()}
		}
	}
	if f.Context != "" && name == f.Context {
		p.addf(at.Pos(0), code, "%s is a context, which cannot be part of a key or target", name).
			Hintf("take what you need from it as a parameter")
		return nil
	}
	if results {
		for _, v := range f.Results {
			if v.Source() == name {
				return &facts.Operand{Root: facts.Result, Of: v, Type: v.Type()}
			}
		}
	}
	switch name {
	case "recv":
		if f.Recv == nil {
			p.addf(at.Pos(0), code, "%s has no receiver", f.Name()).Hintf("name a parameter, or make it a method")
			return nil
		}
		if len(at.Names) == 1 {
			p.addf(at.Pos(0), code, "recv alone cannot be used").Hintf("name a field: recv.field")
			return nil
		}
		return &facts.Operand{Root: facts.Receiver, Type: f.Recv.Object.Type()}
	case "result":
		switch {
		case !results:
			p.addf(at.Pos(0), code, "the result is not known before the load and cannot be in a key").
				Hintf("it can be in a tag: tag=name:{%s}", at)
		case len(f.Results) == 0:
			p.addf(at.Pos(0), code, "%s has no result besides the error", f.Name()).Hintf("name a parameter, or return a value")
		case len(f.Results) > 1 && !f.Reads:
			p.addf(at.Pos(0), code, "%s has several results", f.Name()).Hintf("give them names and use those")
		default:
			v := f.Results[0]
			return &facts.Operand{Root: facts.Result, Of: v, Type: v.Type()}
		}
		return nil
	}
	var candidates, fit []string
	for _, c := range p.candidates(f, results) {
		candidates = append(candidates, c.name)
		if len(at.Names) == 1 || p.HasField(c.typ, at.Names[1].Text) {
			fit = append(fit, c.name)
		}
	}
	d := p.addf(at.Pos(0), code, "no parameter %q in %s", name, f.Name()).Suggest(name, fit)
	if len(d.Hints) == 0 {
		d.Choose("", candidates, "give one that name")
	}
	return nil
}

// word says what recv or result stands for in directives of f, and nothing of other names.
func (p resolver) word(f *facts.Function, name string, results bool) string {
	switch {
	case name == "recv" && f.Recv != nil:
		return "the word for the receiver"
	case name == "result" && results && (len(f.Results) == 1 || len(f.Results) > 0 && f.Reads):
		return "the word for what it returns"
	}
	return ""
}

// A candidate is a name that a path can begin with.
type candidate struct {
	name string
	typ  types.Type
}

// candidates are the names that a path can begin with.
func (p resolver) candidates(f *facts.Function, results bool) []candidate {
	var list []candidate
	add := func(v *facts.Param) {
		if v.Source() != "" && !v.Variadic {
			list = append(list, candidate{v.Source(), v.Type()})
		}
	}
	for _, v := range f.Params {
		add(v)
	}
	if f.Recv != nil {
		list = append(list, candidate{"recv", f.Recv.Object.Type()})
	}
	if results && len(f.Results) > 0 {
		list = append(list, candidate{"result", f.Results[0].Type()})
		for _, v := range f.Results {
			add(v)
		}
	}
	return list
}

// step goes from o to the field that is the i-th name of the path.
func (p resolver) step(o *facts.Operand, at facts.Path, i int, code diag.Code) *facts.Operand {
	name := at.Names[i].Text
	obj, index, _ := types.LookupFieldOrMethod(o.Type, true, p.Types, name)
	switch found := obj.(type) {
	case nil:
		d := p.addf(at.Pos(i), code, "%s has no field %q", p.TypeName(o.Type), name)
		if index != nil {
			d.Message = "several embedded structs of " + p.TypeName(o.Type) + " have a field " + name
			d.Hintf("name the embedded struct whose field it is")
			return nil
		}
		d.Choose(name, p.FieldNames(o.Type), p.withoutFields(o, facts.Path{Names: at.Names[:i], Start: at.Start}, code))
		return nil
	case *types.Func:
		p.addf(at.Pos(i), code, "%s is a method of %s, and only fields can be used", found.Name(), p.TypeName(o.Type)).
			Hintf("take what it returns as a parameter")
		return nil
	}
	next := &facts.Operand{Root: o.Root, Of: o.Of, Pointers: slices.Clone(o.Pointers)}
	current, typ := o.Path, o.Type
	for depth, n := range index {
		if pointer, ok := typ.Underlying().(*types.Pointer); ok {
			next.Pointers = append(next.Pointers, current)
			typ = pointer.Elem()
		}
		f := typ.Underlying().(*types.Struct).Field(n)
		if depth < len(index)-1 && gotype.IsPointer(f.Type()) && !f.Exported() && f.Pkg() != p.Types {
			p.addf(at.Pos(i), code, "%s is reached through the embedded pointer %s, which can be nil and is not exported", name, f.Name()).
				Hintf("take it as a parameter of its own")
			return nil
		}
		typ, current = f.Type(), append(slices.Clone(current), f.Name())
	}
	next.Type = typ
	next.Path = append(slices.Clone(o.Path), name)
	next.Index = append(slices.Clone(o.Index), index...)
	return next
}

// withoutFields is the hint for a path that goes on where there are no fields that can be used: to stop
// there, if what is there can be used itself.
func (p resolver) withoutFields(o *facts.Operand, whole facts.Path, code diag.Code) string {
	usable := o.Root != facts.Receiver || len(o.Path) > 0
	if usable && code == diag.Placeholder {
		_, no := p.form(o.Type, whole.String())
		usable = no == nil
	}
	if !usable {
		return "it has none that can be used: take what you need from it as a parameter"
	}
	return "it has none that can be used: name " + whole.String() + " alone"
}

// placeholderForm resolves a placeholder and finds its form.
func (p resolver) placeholderForm(f *facts.Function, value *key.Placeholder, start token.Pos, results bool, code diag.Code) (*facts.Operand, facts.TextForm, bool) {
	at := facts.Path{Names: value.Path, Start: start}
	o := p.resolve(f, at, results, code)
	if o == nil {
		return nil, facts.TextForm{}, false
	}
	found, problem := p.form(o.Type, at.String())
	if problem != nil {
		hint := problem.hint
		switch {
		case results:
		case problem.opaque && o.Root == facts.Parameter:
			hint += fmt.Sprintf(" or, if the value does not depend on it, take {%s} out of the key and write ignore=%s", at, at)
		case problem.inKey != "":
			hint = problem.inKey
		}
		p.addf(start+token.Pos(value.Offset), diag.Placeholder, "{%s}: %s", at, problem.why).Hintf("%s", hint)
		return nil, facts.TextForm{}, false
	}
	return o, found, true
}
