package check

import (
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

// keyRule reads the keys of cached functions.
type keyRule struct{ resolver }

func (p keyRule) check() {
	for _, c := range p.Caches {
		p.readKey(c)
	}
}

// readKey checks a cache's key: its text and its placeholders.
func (p keyRule) readKey(c *facts.Cache) {
	args := c.Directive.Positional()
	if len(args) == 0 {
		c.Broken = true // package directive has reported it
		return
	}
	c.KeyArg = args[0]
	var ok bool
	c.Pattern, ok = p.parse(c.KeyArg.Text, c.KeyArg.TextPos(), diag.Key)
	if !ok {
		c.Broken = true
		return
	}
	for _, s := range c.Pattern.Segments {
		p.keySegment(c, s)
	}
	for _, v := range c.Params {
		if slices.ContainsFunc(c.Fields, func(f *facts.Field) bool { return f.Of == v }) {
			c.KeyParams = append(c.KeyParams, v)
		}
	}
	if !c.Broken {
		p.nameFields(c)
	}
}

// parse reads a pattern and reports what is wrong with its text.
func (p resolver) parse(text string, start token.Pos, code diag.Code) (key.Pattern, bool) {
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
func (p keyRule) keySegment(c *facts.Cache, s key.Segment) {
	segment := templates.Segment{Before: s.Before, Field: -1, After: s.After}
	shape := key.Shape{Before: s.Before, After: s.After}
	if s.Value != nil {
		start := c.KeyArg.TextPos()
		o, f, ok := p.placeholderForm(c.Function, s.Value, start, false, diag.Placeholder)
		if !ok {
			c.Broken = true
			return
		}
		at := start + token.Pos(s.Value.Offset)
		switch again := slices.IndexFunc(c.Fields, func(f *facts.Field) bool { return f.Same(o) }); {
		case again >= 0:
			p.addf(at, diag.Key, "{%s} is in the key twice", s.Value).Hintf("remove one: the second adds nothing")
			c.Broken = true
		case len(o.Pointers) > 0:
			pointer := o.Render(s.Value.Path[0].Text).NonNil[0]
			p.addf(at, diag.Placeholder, "{%s}: %s can be nil, and then the key cannot be built", s.Value, pointer).
				Hintf("take a value instead of a pointer")
			c.Broken = true
		case f.Form == templates.Text && p.Unnamable(o.Type) != nil:
			p.addf(at, diag.Placeholder, "{%s}: %s", s.Value, p.WhyUnnamable(p.Unnamable(o.Type))).Hintf("%s", plainHint)
			c.Broken = true
		}
		segment.Field = len(c.Fields)
		as := o.Type
		if f.Form != templates.Text && p.Unnamable(as) != nil {
			as = types.Universe.Lookup(f.Basic).Type()
		}
		c.Fields = append(c.Fields, &facts.Field{Operand: o, TextForm: f, As: as})
		shape.Value, shape.Form, shape.Bits = true, f.Form, f.Bits
	}
	c.Segments = append(c.Segments, segment)
	c.Shapes = append(c.Shapes, shape)
}

// nameFields names the key's fields: {id} is ID, {filter.Team} FilterTeam and {recv.tenant} Tenant.
func (p keyRule) nameFields(c *facts.Cache) {
	placeholders := c.Pattern.Placeholders()
	names := map[string]int{}
	for i, f := range c.Fields {
		f.Name = fieldName(f)
		first, taken := names[f.Name]
		if !taken {
			names[f.Name] = i
			continue
		}
		if f.Root == facts.Receiver {
			i, first = first, i // the parameter can be renamed
		}
		d := p.addf(c.KeyArg.TextPos()+token.Pos(placeholders[i].Offset), diag.Key,
			"{%s} and {%s} would both be the field %s of the key", placeholders[i], placeholders[first], f.Name)
		if c.Fields[i].Root == facts.Parameter {
			d.Hintf("rename the parameter %s", placeholders[i].Path[0].Text)
		} else {
			d.Hintf("rename one of the two fields of the receiver")
		}
		c.Broken = true
	}
}

// fieldName is what the key's field for a placeholder is called.
func fieldName(f *facts.Field) string {
	var b strings.Builder
	if f.Root == facts.Parameter {
		b.WriteString(naming.Upper(f.Of.Name()))
	}
	for _, name := range f.Path {
		b.WriteString(naming.Upper(name))
	}
	switch name := b.String(); name {
	case "String", "AppendText": // the key's methods
		return name + "Field"
	default:
		return name
	}
}
