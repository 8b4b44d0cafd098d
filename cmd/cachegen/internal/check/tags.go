package check

import (
	"go/token"
	"go/types"
	"slices"
	"unicode"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

// tagRule reads tags.
type tagRule struct{ resolver }

// check reads the tags of all directives and names their constructors.
func (p tagRule) check() {
	for _, c := range p.Caches {
		if !c.Broken {
			p.cacheTags(c)
		}
	}
	for _, w := range p.Writers {
		p.writerTags(w)
	}
	p.nameTags()
}

// cacheTags reads the tags of a cached function: its own, and those of its type.
func (p tagRule) cacheTags(c *facts.Cache) {
	own := p.tagOptions(c.Directive)
	for _, arg := range own {
		p.cacheTag(c, arg, false)
	}
	if c.Recv == nil || c.Recv.Directive == nil {
		return
	}
	for _, arg := range p.tagOptions(c.Recv.Directive) {
		if slices.ContainsFunc(own, func(a directive.Arg) bool { return a.Value == arg.Value }) {
			continue
		}
		// A malformed tag is reported once, because that is not about the function.
		if _, ok := p.parse(arg.Value, arg.ValuePos, diag.Tag); !ok {
			c.Broken = true
			continue
		}
		before := p.problems.Len()
		p.cacheTag(c, arg, true)
		for _, d := range p.problems.Since(before) {
			d.Message = c.Label() + ": " + d.Message
		}
	}
}

// cacheTag reads one tag of a cached function. inherited says that it is its type's.
func (p tagRule) cacheTag(c *facts.Cache, arg directive.Arg, inherited bool) {
	use := p.tagUse(c.Function, arg)
	if use == nil {
		c.Broken = true
		return
	}
	use.Inherited = inherited
	fromKey, fromResult := 0, 0
	for i, o := range use.Operands {
		at := use.Pos + token.Pos(use.Pattern.Placeholders()[i].Offset)
		if o.Root == facts.Result {
			fromResult++
			continue
		}
		in := slices.IndexFunc(c.Fields, func(f *facts.Field) bool { return f.Same(o) })
		if in < 0 {
			name := use.Pattern.Placeholders()[i]
			p.addf(at, diag.Tag, "{%s} is not in the key, so calls that share an entry could give it different tags", name).
				Hintf("add {%s} to the key, or use {result.Field}", name)
			c.Broken = true
			continue
		}
		fromKey++
		use.Fields = append(use.Fields, c.Fields[in])
	}
	switch {
	case fromKey > 0 && fromResult > 0:
		p.addf(arg.Pos, diag.Tag, "a tag is made of the key or of the result, not of both").
			Hintf("use two tags, or a field of the result that has the same value as the key")
		c.Broken = true
	case fromResult > 0:
		c.ResultTags = append(c.ResultTags, use)
	default:
		c.KeyTags = append(c.KeyTags, use)
	}
}

// writerTags reads the tags of a writer; which stores they are in is decided when all
// tags are known.
func (p tagRule) writerTags(w *facts.Writer) {
	for _, d := range w.Directives {
		for _, arg := range p.tagOptions(d) {
			if use := p.tagUse(w.Function, arg); use != nil {
				w.Targets = append(w.Targets, &facts.Target{Verb: facts.Verbs[d.Verb], Text: arg.Value, Pos: arg.Pos, Tag: use})
			}
		}
	}
}

// tagOptions are the tags of a directive; repeated ones are reported.
func (p tagRule) tagOptions(d *directive.Directive) []directive.Arg {
	var list []directive.Arg
	for _, arg := range d.Options("tag") {
		first := slices.IndexFunc(list, func(a directive.Arg) bool { return a.Value == arg.Value })
		if first >= 0 {
			p.addf(arg.Pos, diag.Tag, "tag %s is given twice", arg.Value).Relatedf(p.Position(list[first].Pos), "the first").
				Hintf("remove one of the two")
			continue
		}
		list = append(list, arg)
	}
	return list
}

// tagUse reads one tag. It returns nil if it has reported something.
func (p tagRule) tagUse(f *facts.Function, arg directive.Arg) *facts.TagUse {
	pattern, ok := p.parse(arg.Value, arg.ValuePos, diag.Tag)
	if !ok {
		return nil
	}
	use := &facts.TagUse{Function: f, Pattern: pattern, Pos: arg.ValuePos}
	shape := &facts.Tag{Pattern: pattern}
	for _, s := range pattern.Segments {
		segment := templates.Segment{Before: s.Before, Field: -1, After: s.After}
		if s.Value != nil {
			o, form, found := p.placeholderForm(f, s.Value, use.Pos, true, diag.Placeholder)
			if !found {
				ok = false
				continue
			}
			if gotype.Generic(o.Type) {
				p.addf(use.Pos+token.Pos(s.Value.Offset), diag.Placeholder,
					"{%s}: %s is a type parameter, and a tag has one constructor for all types", s.Value, p.TypeName(o.Type)).
					Hintf("tag with a value of a fixed type")
				ok = false
				continue
			}
			if form.Form == templates.Text && p.Unnamable(o.Type) != nil {
				p.addf(use.Pos+token.Pos(s.Value.Offset), diag.Placeholder,
					"{%s}: %s", s.Value, p.WhyUnnamable(p.Unnamable(o.Type))).Hintf("%s", plainHint)
				ok = false
				continue
			}
			segment.Field = len(use.Operands)
			use.Operands = append(use.Operands, o)
			shape.Forms = append(shape.Forms, form)
		}
		shape.Segments = append(shape.Segments, segment)
	}
	if !ok {
		return nil
	}
	use.Tag = p.shape(shape, use)
	use.Uses = append(use.Uses, use)
	return use
}

// shape returns the package's tag of the same shape, which is t if it is the first.
// Values that marshal themselves have to be of one type.
func (p tagRule) shape(t *facts.Tag, use *facts.TagUse) *facts.Tag {
	i := slices.IndexFunc(p.Tags, func(other *facts.Tag) bool {
		if !slices.Equal(t.Segments, other.Segments) {
			return false
		}
		for i, f := range t.Forms {
			if f.Form != other.Forms[i].Form ||
				f.Form == templates.Text && !types.Identical(use.Operands[i].Type, other.Uses[0].Operands[i].Type) {
				return false
			}
		}
		return true
	})
	if i >= 0 {
		return p.Tags[i]
	}
	p.Tags = append(p.Tags, t)
	return t
}

// nameTags names the constructors. A name is made of the tag alone: another tag does not change it.
func (p tagRule) nameTags() {
	taken := map[string]*facts.Tag{}
	for _, t := range p.Tags {
		name := constructorName(t.Pattern)
		use := t.Uses[0]
		if other := taken[name]; other != nil {
			d := p.addf(use.Pos, diag.Tag, "tags %s and %s would have one constructor, %s", t.Pattern.Text, other.Pattern.Text, name)
			if slices.Equal(t.Segments, other.Segments) {
				d.Message = "tag " + t.Pattern.Text + " has values of another type here"
			}
			if use.Inherited {
				d.Message = use.Function.Label() + ": " + d.Message
			}
			d.Relatedf(p.Position(other.Uses[0].Pos), "%s", other.Pattern.Text).
				Hintf("use another literal in one of them")
			continue
		}
		taken[name] = t
		t.Constructor = name
		p.sameName(t)
		if h, ok := p.take(name, use.Pos, "tag "+t.Pattern.Text); !ok {
			p.clash(use.Pos, "tag "+t.Pattern.Text, name, h).Hintf("begin the tag with another word")
		}
		for i := range t.Forms {
			t.Types = append(t.Types, p.paramType(t, i))
		}
	}
}

// sameName reports that cached functions write a tag in two ways after which its constructor would have two
// names: which of them comes first would decide. The tag has no literal then.
func (p tagRule) sameName(t *facts.Tag) {
	for _, use := range t.Uses {
		if name := constructorName(use.Pattern); use.Function.Reads && name != t.Constructor {
			p.addf(use.Pos, diag.Tag, "tags %s and %s would have one constructor, called %s or %s", use.Pattern.Text, t.Pattern.Text, name, t.Constructor).
				Relatedf(p.Position(t.Uses[0].Pos), "%s", t.Pattern.Text).
				Hintf("begin both with a word")
			return
		}
	}
}

// constructorName is the name of a tag's constructor, made of the literals of its pattern, or else of the
// placeholders.
func constructorName(pattern key.Pattern) string {
	var name string
	for _, s := range pattern.Segments {
		name += naming.Camel(s.Before) + naming.Camel(s.After)
	}
	if name == "" {
		for _, value := range pattern.Placeholders() {
			name += naming.Upper(value.Path[len(value.Path)-1].Text)
		}
	}
	if name == "" || !unicode.IsLetter([]rune(name)[0]) {
		return "Tag" + name
	}
	return name + "Tag"
}

// paramType is the type of a constructor's parameter: that of all uses, or the
// predeclared one that all of them convert to.
func (p tagRule) paramType(t *facts.Tag, i int) types.Type {
	first := t.Uses[0].Operands[i].Type
	one := p.Unnamable(first) == nil
	for _, use := range t.Uses {
		one = one && types.Identical(use.Operands[i].Type, first)
	}
	if one {
		return first
	}
	basic := t.Forms[i].Basic
	for _, use := range t.Uses {
		if b, ok := use.Operands[i].Type.Underlying().(*types.Basic); ok && b.Name() != basic {
			basic = map[templates.Form]string{templates.Int: "int64", templates.Uint: "uint64"}[t.Forms[i].Form]
		}
	}
	return types.Universe.Lookup(basic).Type()
}
