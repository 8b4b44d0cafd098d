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

// A field is a field of a key: one placeholder.
type field struct {
	*operand
	form
	name string     // ID
	as   types.Type // in the key: its own type, or the predeclared one where that cannot be named
}

// readKey checks a cache's key: its text, its placeholders, and that every
// parameter is in it.
func (p *pack) readKey(c *cache) {
	args := c.d.Positional()
	if len(args) == 0 {
		c.broken = true // reported with the directive
		return
	}
	c.keyArg = args[0]
	var ok bool
	c.pattern, ok = p.parse(c.keyArg.Text, c.keyArg.TextPos(), diag.Key)
	if !ok {
		c.broken = true
		return
	}
	for _, s := range c.pattern.Segments {
		p.keySegment(c, s)
	}
	for _, v := range c.params {
		if slices.ContainsFunc(c.fields, func(f *field) bool { return f.of == v }) {
			c.keyParams = append(c.keyParams, v)
		}
	}
	if !c.broken {
		p.nameFields(c)
		p.unusedParams(c)
	}
}

// parse reads a pattern and reports what is wrong with its text.
func (p *pack) parse(text string, start token.Pos, code string) (key.Pattern, bool) {
	pattern, problems := key.Parse(text)
	for _, problem := range problems {
		code := code
		if problem.Reserved {
			code = diag.Reserved
		}
		d := p.addf(start+token.Pos(problem.Offset), code, "%s", problem.Message)
		if problem.Hint != "" {
			d.Hintf("%s", problem.Hint)
		}
	}
	return pattern, len(problems) == 0
}

// keySegment checks one segment and adds it to the key.
func (p *pack) keySegment(c *cache, s key.Segment) {
	segment := templates.Segment{Before: s.Before, Field: -1, After: s.After}
	shape := key.Shape{Before: s.Before, After: s.After}
	if s.Value != nil {
		start := c.keyArg.TextPos()
		o, f, ok := p.placeholderForm(c.function, s.Value, start, false, diag.Placeholder)
		if !ok {
			c.broken = true
			return
		}
		at := start + token.Pos(s.Value.Offset)
		switch again := slices.IndexFunc(c.fields, func(f *field) bool { return f.same(o) }); {
		case again >= 0:
			p.addf(at, diag.Key, "{%s} is in the key twice", s.Value).Hintf("leave one out: it says nothing that the other does not")
			c.broken = true
		case len(o.pointers) > 0:
			pointer := o.render(s.Value.Path[0].Text).NonNil[0]
			p.addf(at, diag.Placeholder, "{%s}: %s can be nil, and then there is no key", s.Value, pointer).
				Hintf("take a value instead of a pointer")
			c.broken = true
		case f.Form == templates.Text && p.unnamable(o.typ) != nil:
			p.addf(at, diag.Placeholder, "{%s}: %s", s.Value, p.whyUnnamable(p.unnamable(o.typ))).Hintf("%s", plainHint)
			c.broken = true
		}
		segment.Field = len(c.fields)
		as := o.typ
		if f.Form != templates.Text && p.unnamable(as) != nil {
			as = types.Universe.Lookup(f.basic).Type()
		}
		c.fields = append(c.fields, &field{operand: o, form: f, as: as})
		shape.Value, shape.Form, shape.Bits = true, f.Form, f.bits
	}
	c.segments = append(c.segments, segment)
	c.shapes = append(c.shapes, shape)
}

// nameFields names the key's fields: {id} is ID, {filter.Team} FilterTeam and
// {recv.tenant} Tenant, or RecvTenant where that is taken.
func (p *pack) nameFields(c *cache) {
	names := map[string]bool{"String": true, "AppendText": true} // the key's methods
	taken := func(name string) bool { return names[name] }
	for _, receivers := range []bool{false, true} { // parameters choose first
		for _, f := range c.fields {
			if (f.root == receiver) != receivers {
				continue
			}
			f.name = fieldName(f)
			if receivers && taken(f.name) {
				f.name = "Recv" + f.name
			}
			f.name = unused(f.name, "Field", taken)
			names[f.name] = true
		}
	}
}

// convert makes an expression of the operand's type fit the key.
func (f *field) convert(arg templates.TagArg) templates.TagArg {
	if !types.Identical(f.typ, f.as) {
		arg.Expr = f.as.String() + "(" + arg.Expr + ")"
	}
	return arg
}

func fieldName(f *field) string {
	var b strings.Builder
	if f.root == parameter {
		b.WriteString(upper(f.of.Name()))
	}
	for _, name := range f.path {
		b.WriteString(upper(name))
	}
	return b.String()
}
