package facts

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/templates"
)

// Remote reports whether t is in another package than p.
func (t *Target) Remote(p *Package) bool { return t.Cache != nil && t.Cache.In != p }

// Reaches reports whether a tag that is a target can be one of c's. In another package it
// is another constructor that makes the same text.
func (t *Target) Reaches(c *Cache) bool {
	return t.Handle.Store == c.Store && slices.ContainsFunc(c.TagUses(), func(use *TagUse) bool {
		return use.Tag == t.Tag.Tag || slices.Equal(use.Segments, t.Tag.Segments) && slices.EqualFunc(use.Forms, t.Tag.Forms, sameText)
	})
}

func sameText(a, b TextForm) bool { return a.Form == b.Form }

// VerbName is the verb of the directive that asks for verb.
func VerbName(verb templates.Verb) string {
	for name, v := range Verbs {
		if v == verb {
			return name
		}
	}
	return ""
}

// Verbs are what the directives that write ask for.
var Verbs = map[string]templates.Verb{
	directive.Set: templates.Set, directive.Delete: templates.Delete, directive.Expire: templates.Expire,
	directive.Clear: templates.Clear,
}
