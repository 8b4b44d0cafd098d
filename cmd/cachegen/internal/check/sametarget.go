package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// sameTargets reports what a writer touches twice: the second time changes nothing, or undoes
// the first.
func (p *pack) sameTargets(w *writer) {
	for i, t := range w.targets {
		first := slices.IndexFunc(w.targets[:i], t.same)
		if first < 0 || w.targets[first].pos == t.pos { // of several stores
			continue
		}
		other := w.targets[first]
		message := t.text + " is given twice"
		if t.verb != other.verb {
			message = "//cache:" + verbOf(t.verb) + " of " + t.text + " contradicts the //cache:" + verbOf(other.verb) + " of it"
		}
		p.addf(t.pos, diag.Target, "%s", message).Relatedf(p.position(other.pos), "the first").Hintf("leave one out")
	}
}

// same reports whether two targets of one writer are the same entry, tag or namespace.
func (t *target) same(other *target) bool {
	switch {
	case t.cache != nil:
		return other.cache == t.cache && slices.EqualFunc(t.args, other.args, func(a, b *operand) bool {
			return a.root == b.root && a.of == b.of && a.literal == b.literal && slices.Equal(a.path, b.path)
		})
	case t.tag != nil:
		return other.tag != nil && t.text == other.text
	}
	return other.cache == nil && other.tag == nil && t.namespace == other.namespace
}
