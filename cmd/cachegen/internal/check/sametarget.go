package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// sameTargets reports what a writer names twice: the second one changes nothing, or contradicts the
// first.
func (p targetRule) sameTargets(w *facts.Writer) {
	for i, t := range w.Targets {
		first := slices.IndexFunc(w.Targets[:i], func(other *facts.Target) bool { return sameTarget(t, other) })
		if first < 0 || w.Targets[first].Pos == t.Pos { // of several stores
			continue
		}
		other := w.Targets[first]
		message := t.Text + " is given twice"
		if t.Verb != other.Verb {
			message = "//cache:" + facts.VerbName(t.Verb) + " of " + t.Text + " contradicts the //cache:" + facts.VerbName(other.Verb) + " of it"
		}
		p.addf(t.Pos, diag.Target, "%s", message).Relatedf(p.Position(other.Pos), "the first").Hintf("remove one of the two")
	}
}

// sameTarget reports whether two targets of one writer are the same entry, tag or namespace.
func sameTarget(t, other *facts.Target) bool {
	switch {
	case t.Cache != nil:
		return other.Cache == t.Cache && slices.EqualFunc(t.Args, other.Args, func(a, b *facts.Operand) bool {
			return a.Root == b.Root && a.Of == b.Of && a.Literal == b.Literal && slices.Equal(a.Path, b.Path)
		})
	case t.Tag != nil:
		return other.Tag != nil && t.Text == other.Text
	}
	return other.Cache == nil && other.Tag == nil && t.Namespace == other.Namespace
}
