package check

import (
	"cmp"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// A tag is a shape of tags: the same literals around values of the same forms. It
// has one constructor in the package.
type tag struct {
	pattern  key.Pattern // of the first use
	segments []templates.Segment
	forms    []form
	uses     []*tagUse // those of caches first
	name     string    // of the constructor
	types    []types.Type
	params   []string // their names
	model    *templates.Tag
}

// A tagUse is a tag= option.
type tagUse struct {
	*tag
	f        *function
	pattern  key.Pattern
	operands []*operand
	fields   []*field // of the key, for a tag that is known from it
	pos      token.Pos

	inherited bool // from the function's type
}

// findTags reads the tags of all directives and names their constructors.
func (p *pack) findTags() {
	for _, c := range p.caches {
		if !c.broken {
			p.cacheTags(c)
		}
	}
	for _, w := range p.writers {
		p.writerTags(w)
	}
	p.nameTags()
}

// cacheTags reads the tags of a cached function: its own, and those of its type.
func (p *pack) cacheTags(c *cache) {
	own := p.tagOptions(c.d)
	for _, arg := range own {
		p.cacheTag(c, arg, false)
	}
	if c.recv == nil || c.recv.d == nil {
		return
	}
	for _, arg := range p.tagOptions(c.recv.d) {
		if slices.ContainsFunc(own, func(a directive.Arg) bool { return a.Value == arg.Value }) {
			continue
		}
		// A malformed tag is reported once, because that is not about the function.
		if _, ok := p.parse(arg.Value, arg.ValuePos, diag.Tag); !ok {
			c.broken = true
			continue
		}
		before := p.problems.Len()
		p.cacheTag(c, arg, true)
		for _, d := range p.problems.Since(before) {
			d.Message = c.label() + ": " + d.Message
		}
	}
}

// cacheTag reads one tag of a cached function. inherited says that it is its type's.
func (p *pack) cacheTag(c *cache, arg directive.Arg, inherited bool) {
	use := p.tagUse(c.function, arg)
	if use == nil {
		c.broken = true
		return
	}
	use.inherited = inherited
	fromKey, fromResult := 0, 0
	for i, o := range use.operands {
		at := use.pos + token.Pos(use.pattern.Placeholders()[i].Offset)
		if o.root == result {
			fromResult++
			continue
		}
		in := slices.IndexFunc(c.fields, func(f *field) bool { return f.same(o) })
		if in < 0 {
			name := use.pattern.Placeholders()[i]
			p.addf(at, diag.Tag, "{%s} is not in the key, so calls that share an entry would differ in its tags", name).
				Hintf("add {%s} to the key, or use {result.Field}", name)
			c.broken = true
			continue
		}
		fromKey++
		use.fields = append(use.fields, c.fields[in])
	}
	switch {
	case fromKey > 0 && fromResult > 0:
		p.addf(arg.Pos, diag.Tag, "a tag is made of the key or of the result, not of both").
			Hintf("use two tags, or a field of the result that says the same as the key")
		c.broken = true
	case fromResult > 0:
		c.resultTags = append(c.resultTags, use)
	default:
		c.keyTags = append(c.keyTags, use)
	}
}

// tagOptions are the tags of a directive; repeated ones are reported.
func (p *pack) tagOptions(d *directive.Directive) []directive.Arg {
	var list []directive.Arg
	for _, arg := range d.Options("tag") {
		first := slices.IndexFunc(list, func(a directive.Arg) bool { return a.Value == arg.Value })
		if first >= 0 {
			p.addf(arg.Pos, diag.Tag, "tag %s is given twice", arg.Value).Relatedf(p.position(list[first].Pos), "the first").
				Hintf("leave one out")
			continue
		}
		list = append(list, arg)
	}
	return list
}

// tagUse reads one tag. It returns nil if it has reported something.
func (p *pack) tagUse(f *function, arg directive.Arg) *tagUse {
	pattern, ok := p.parse(arg.Value, arg.ValuePos, diag.Tag)
	if !ok {
		return nil
	}
	use := &tagUse{f: f, pattern: pattern, pos: arg.ValuePos}
	shape := &tag{pattern: pattern}
	for _, s := range pattern.Segments {
		segment := templates.Segment{Before: s.Before, Field: -1, After: s.After}
		if s.Value != nil {
			o, form, found := p.placeholderForm(f, s.Value, use.pos, true, diag.Placeholder)
			if !found {
				ok = false
				continue
			}
			if generic(o.typ) {
				p.addf(use.pos+token.Pos(s.Value.Offset), diag.Placeholder,
					"{%s}: %s is a type parameter, and a tag has one constructor for all types", s.Value, p.name(o.typ)).
					Hintf("tag with a value of a fixed type")
				ok = false
				continue
			}
			if form.Form == templates.Text && p.unnamable(o.typ) != nil {
				p.addf(use.pos+token.Pos(s.Value.Offset), diag.Placeholder,
					"{%s}: %s", s.Value, p.whyUnnamable(p.unnamable(o.typ))).Hintf("%s", plainHint)
				ok = false
				continue
			}
			segment.Field = len(use.operands)
			use.operands = append(use.operands, o)
			shape.forms = append(shape.forms, form)
		}
		shape.segments = append(shape.segments, segment)
	}
	if !ok {
		return nil
	}
	use.tag = p.shape(shape, use)
	use.uses = append(use.uses, use)
	return use
}

// shape returns the package's tag of the same shape, which is t if it is the first.
// Values that marshal themselves have to be of one type.
func (p *pack) shape(t *tag, use *tagUse) *tag {
	i := slices.IndexFunc(p.tags, func(other *tag) bool {
		if !slices.Equal(t.segments, other.segments) {
			return false
		}
		for i, f := range t.forms {
			if f.Form != other.forms[i].Form ||
				f.Form == templates.Text && !types.Identical(use.operands[i].typ, other.uses[0].operands[i].typ) {
				return false
			}
		}
		return true
	})
	if i >= 0 {
		return p.tags[i]
	}
	p.tags = append(p.tags, t)
	return t
}

// file is the first of the source files that use t, of those that are compiled under the
// fewest conditions.
func (t *tag) file() *load.File {
	return slices.MinFunc(t.uses, func(a, b *tagUse) int {
		return cmp.Or(
			cmp.Compare(len(conjuncts(a.f.file)), len(conjuncts(b.f.file))),
			strings.Compare(a.f.file.Name, b.f.file.Name),
		)
	}).f.file
}

// nameTags names the constructors: by the tag's first literal where that is enough
// to tell them apart, or else by all of them.
func (p *pack) nameTags() {
	short := map[string]int{}
	for _, t := range p.tags {
		short[t.literals(true)]++
	}
	taken := map[string]*tag{}
	for _, t := range p.tags {
		name := t.literals(true)
		if short[name] > 1 {
			name = t.literals(false)
		}
		use := t.uses[0]
		if other := taken[name]; other != nil {
			d := p.addf(use.pos, diag.Tag, "tags %s and %s would both be made by %s", t.pattern.Text, other.pattern.Text, name)
			if slices.Equal(t.segments, other.segments) {
				d.Message = "tag " + t.pattern.Text + " has values of other types here"
			}
			if use.inherited {
				d.Message = use.f.label() + ": " + d.Message
			}
			d.Relatedf(p.position(other.uses[0].pos), "%s", other.pattern.Text).
				Hintf("use other literals for one of them")
			continue
		}
		taken[name] = t
		t.name = name
		if h, ok := p.take(name, use.pos, "tag "+t.pattern.Text+" has"); !ok {
			p.clash(use.pos, "tag "+t.pattern.Text, name, h).Hintf("begin the tag with another word")
		}
		for i := range t.forms {
			t.types = append(t.types, p.paramType(t, i))
		}
	}
}

// literals is a constructor's name made of t's first literal, or of all.
func (t *tag) literals(onlyFirst bool) string {
	var name string
	for _, s := range t.segments {
		for _, literal := range []string{s.Before, s.After} {
			if !onlyFirst || name == "" {
				name += camel(literal)
			}
		}
	}
	if name == "" {
		for _, value := range t.pattern.Placeholders() {
			name += upper(value.Path[len(value.Path)-1].Text)
		}
	}
	if name == "" || !unicode.IsLetter([]rune(name)[0]) {
		return "Tag" + name
	}
	return name + "Tag"
}

// paramType is the type of a constructor's parameter: that of all uses, or the
// predeclared one that all of them convert to.
func (p *pack) paramType(t *tag, i int) types.Type {
	first := t.uses[0].operands[i].typ
	one := p.unnamable(first) == nil
	for _, use := range t.uses {
		one = one && types.Identical(use.operands[i].typ, first)
	}
	if one {
		return first
	}
	basic := t.forms[i].basic
	for _, use := range t.uses {
		if b, ok := use.operands[i].typ.Underlying().(*types.Basic); ok && b.Name() != basic {
			basic = map[templates.Form]string{templates.Int: "int64", templates.Uint: "uint64"}[t.forms[i].Form]
		}
	}
	return types.Universe.Lookup(basic).Type()
}

// paramNames names a constructor's parameters after the last name of the first use's
// placeholders.
func (t *tag) paramNames(taken func(string) bool) {
	mine := map[string]bool{}
	for i, value := range t.pattern.Placeholders() {
		name := lower(value.Path[len(value.Path)-1].Text)
		if o := t.uses[0].operands[i]; o.root == result && len(o.path) == 0 && o.of.source() == "" {
			name = "value"
		}
		name = unused(name, "Arg", func(n string) bool { return reserved(n) || mine[n] || taken(n) })
		mine[name] = true
		t.params = append(t.params, name)
	}
}
