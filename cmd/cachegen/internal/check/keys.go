package check

import (
	"go/token"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/templates"
)

// A field is a field of a key: one placeholder.
type field struct {
	*operand
	form
	name string // ID
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
			p.addf(at, diag.Key, "{%s} is in the key twice", s.Value)
			c.broken = true
		case len(o.pointers) > 0:
			pointer := o.render(s.Value.Path[0].Text).NonNil[0]
			p.addf(at, diag.Placeholder, "{%s}: %s can be nil, and then there is no key", s.Value, pointer).
				Hintf("take a value instead of a pointer")
			c.broken = true
		case p.unnamable(o.typ) != nil:
			p.addf(at, diag.Placeholder, "{%s}: %s is not exported, so generated code cannot name it", s.Value, p.name(o.typ))
			c.broken = true
		}
		segment.Field = len(c.fields)
		c.fields = append(c.fields, &field{operand: o, form: f})
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

// unusedParams reports parameters that are neither in the key nor ignored, and
// ignore options that are about nothing.
func (p *pack) unusedParams(c *cache) {
	ignored := map[string]directive.Arg{}
	for _, arg := range c.d.Options("ignore") {
		if first, again := ignored[arg.Value]; again {
			p.addf(arg.Pos, diag.Option, "%s is ignored twice", arg.Value).Relatedf(p.position(first.Pos), "the first")
		}
		ignored[arg.Value] = arg
		i := slices.IndexFunc(c.params, func(v *param) bool { return v.source() == arg.Value })
		switch {
		case i < 0 && arg.Value == c.ctx:
			p.addf(arg.ValuePos, diag.Option, "the context is never part of a key")
		case i < 0:
			var names []string
			for _, v := range c.params {
				names = append(names, v.source())
			}
			p.addf(arg.ValuePos, diag.Placeholder, "no parameter %q in %s", arg.Value, c.name()).Suggest(arg.Value, names)
		case slices.Contains(c.keyParams, c.params[i]):
			p.addf(arg.ValuePos, diag.Option, "%s is part of the key and cannot be ignored", arg.Value)
		}
	}
	for _, v := range c.params {
		_, ignore := ignored[v.source()]
		if v.source() == "" || ignore || slices.Contains(c.keyParams, v) {
			continue
		}
		d := p.addf(c.keyArg.Pos, diag.Unused,
			"parameter %s of %s is not part of the key: calls that differ only in %s share one entry", v.source(), c.name(), v.source())
		if v.variadic {
			d.Hintf("if that is right, write ignore=%s", v.source())
		} else {
			d.Hintf("add {%s} to the key or, if that is right, write ignore=%s", v.source(), v.source())
		}
	}
}
