package check

import (
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/templates"
)

// An operand is what a placeholder or a target's argument stands for: a parameter,
// the receiver, a result, or fields of those; or a literal.
type operand struct {
	root root
	of   *param   // for a parameter or a result
	path []string // of fields, as written
	// index is the same path with every field, those of embedded structs that path
	// leaves out included.
	index []int
	typ   types.Type
	// pointers are the paths, from the root, to the pointers on the way to the field.
	pointers [][]string
	literal  string // Go source
}

// A root is what an operand starts from.
type root int

const (
	parameter root = iota
	receiver
	result
	literal
	element // of the list that a batch or a target with ... goes through
)

// same reports whether two operands of one function, which are no literals, are the
// same variable.
func (o *operand) same(other *operand) bool {
	return o.root == other.root && o.of == other.of && slices.Equal(o.index, other.index)
}

// render writes o as Go source. base is the source of its root.
func (o *operand) render(base string) templates.TagArg {
	if o.root == literal {
		return templates.TagArg{Expr: o.literal}
	}
	arg := templates.TagArg{Expr: join(base, o.path)}
	for _, p := range o.pointers {
		arg.NonNil = append(arg.NonNil, join(base, p))
	}
	return arg
}

func join(base string, path []string) string {
	return strings.Join(append([]string{base}, path...), ".")
}

// A path is a dotted name in a directive.
type path struct {
	names []key.Name
	start token.Pos // of offset 0
}

func (p path) pos(i int) token.Pos { return p.start + token.Pos(p.names[i].Offset) }

func (p path) String() string {
	var texts []string
	for _, n := range p.names {
		texts = append(texts, n.Text)
	}
	return strings.Join(texts, ".")
}

// resolve finds what a path means in f. Problems are reported with code. results
// says whether the results may be used.
func (p *pack) resolve(f *function, at path, results bool, code string) *operand {
	o := p.head(f, at, results, code)
	for i := 1; o != nil && i < len(at.names); i++ {
		o = p.step(o, at, i, code)
	}
	return o
}

// head resolves the first name of a path. Parameters go before results, and both
// before the words recv and result.
func (p *pack) head(f *function, at path, results bool, code string) *operand {
	name := at.names[0].Text
	for _, v := range f.params {
		if v.source() == name {
			if v.variadic {
				d := p.addf(at.pos(0), code, "%s is variadic and has no stable text", name)
				if results {
					d.Hintf("take a single value as a parameter of its own")
				} else {
					d.Hintf("take a single value or, if the value does not depend on it, write ignore=%s", name)
				}
				return nil
			}
			return &operand{root: parameter, of: v, typ: v.Type()}
		}
	}
	if f.ctx != "" && name == f.ctx {
		p.addf(at.pos(0), code, "%s is a context, which is no part of a key or target", name).
			Hintf("take what is needed of it as a parameter")
		return nil
	}
	if results {
		for _, v := range f.results {
			if v.source() == name {
				return &operand{root: result, of: v, typ: v.Type()}
			}
		}
	}
	switch name {
	case "recv":
		if f.recv == nil {
			p.addf(at.pos(0), code, "%s has no receiver", f.name()).Hintf("name a parameter, or make it a method")
			return nil
		}
		if len(at.names) == 1 {
			p.addf(at.pos(0), code, "recv alone has no text").Hintf("name a field: recv.field")
			return nil
		}
		return &operand{root: receiver, typ: f.recv.obj.Type()}
	case "result":
		switch {
		case !results:
			p.addf(at.pos(0), code, "the result is not known before the load and cannot be in a key").
				Hintf("it can be in a tag: tag=name:{%s}", at)
		case len(f.results) == 0:
			p.addf(at.pos(0), code, "%s has no result besides the error", f.name()).Hintf("name a parameter, or return a value")
		case len(f.results) > 1 && !f.reads:
			p.addf(at.pos(0), code, "%s has several results", f.name()).Hintf("give them names and use those")
		default:
			v := f.results[0]
			return &operand{root: result, of: v, typ: v.Type()}
		}
		return nil
	}
	var candidates, fit []string
	for _, c := range p.candidates(f, results) {
		candidates = append(candidates, c.name)
		if len(at.names) == 1 || p.hasField(c.typ, at.names[1].Text) {
			fit = append(fit, c.name)
		}
	}
	d := p.addf(at.pos(0), code, "no parameter %q in %s", name, f.name()).Suggest(name, fit)
	if len(d.Hints) == 0 {
		d.Choose("", candidates, "give one that name")
	}
	return nil
}

func (p *pack) hasField(t types.Type, name string) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, true, p.Types, name)
	_, ok := obj.(*types.Var)
	return ok
}

// A candidate is a name that a path can begin with.
type candidate struct {
	name string
	typ  types.Type
}

// candidates are the names that a path can begin with.
func (p *pack) candidates(f *function, results bool) []candidate {
	var list []candidate
	add := func(v *param) {
		if v.source() != "" && !v.variadic {
			list = append(list, candidate{v.source(), v.Type()})
		}
	}
	for _, v := range f.params {
		add(v)
	}
	if f.recv != nil {
		list = append(list, candidate{"recv", f.recv.obj.Type()})
	}
	if results && len(f.results) > 0 {
		list = append(list, candidate{"result", f.results[0].Type()})
		for _, v := range f.results {
			add(v)
		}
	}
	return list
}

// step goes from o to the field that is the i-th name of the path.
func (p *pack) step(o *operand, at path, i int, code string) *operand {
	name := at.names[i].Text
	obj, index, _ := types.LookupFieldOrMethod(o.typ, true, p.Types, name)
	switch found := obj.(type) {
	case nil:
		d := p.addf(at.pos(i), code, "%s has no field %q", p.name(o.typ), name)
		if index != nil {
			d.Message = p.name(o.typ) + " has several fields " + name + " at one depth"
			d.Hintf("name the embedded struct whose field it is")
			return nil
		}
		whole := path{names: at.names[:i], start: at.start}
		d.Choose(name, p.fieldNames(o.typ), "it has none that can be used: name "+whole.String()+" alone")
		return nil
	case *types.Func:
		p.addf(at.pos(i), code, "%s is a method of %s, and only fields can be used", found.Name(), p.name(o.typ)).
			Hintf("take what it returns as a parameter")
		return nil
	}
	next := &operand{root: o.root, of: o.of, pointers: slices.Clone(o.pointers)}
	current, typ := o.path, o.typ
	for depth, n := range index {
		if pointer, ok := typ.Underlying().(*types.Pointer); ok {
			next.pointers = append(next.pointers, current)
			typ = pointer.Elem()
		}
		f := typ.Underlying().(*types.Struct).Field(n)
		if depth < len(index)-1 && isPointer(f.Type()) && !f.Exported() && f.Pkg() != p.Types {
			p.addf(at.pos(i), code, "%s is reached through the embedded pointer %s, which can be nil and is not exported", name, f.Name()).
				Hintf("take it as a parameter of its own")
			return nil
		}
		typ, current = f.Type(), append(slices.Clone(current), f.Name())
	}
	next.typ = typ
	next.path = append(slices.Clone(o.path), name)
	next.index = append(slices.Clone(o.index), index...)
	return next
}

// fieldNames are the fields of a struct, or of the struct that t points to, which
// this package can use.
func (p *pack) fieldNames(t types.Type) []string {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	var list []string
	for f := range s.Fields() {
		if f.Exported() || f.Pkg() == p.Types {
			list = append(list, f.Name())
		}
	}
	return list
}

// placeholderForm resolves a placeholder and finds its form.
func (p *pack) placeholderForm(f *function, value *key.Placeholder, start token.Pos, results bool, code string) (*operand, form, bool) {
	at := path{value.Path, start}
	o := p.resolve(f, at, results, code)
	if o == nil {
		return nil, form{}, false
	}
	found, problem := p.form(o.typ, at.String())
	if problem != nil {
		hint := problem.hint
		switch {
		case results:
		case problem.opaque && o.root == parameter:
			hint += " or, if the value does not depend on it, write ignore=" + at.String()
		case problem.inKey != "":
			hint = problem.inKey
		}
		p.addf(start+token.Pos(value.Offset), diag.Placeholder, "{%s}: %s", at, problem.why).Hintf("%s", hint)
		return nil, form{}, false
	}
	return o, found, true
}
