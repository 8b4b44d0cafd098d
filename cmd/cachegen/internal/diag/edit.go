package diag

import "go/token"

// An Edit replaces text of a source file. Positions in directives are computed, and in a
// quoted argument with escapes they can be off: who applies an edit makes sure that Old
// is what stands there.
type Edit struct {
	Pos      token.Pos
	Old, New string
}

// End is the position after the text that is replaced.
func (e Edit) End() token.Pos { return e.Pos + token.Pos(len(e.Old)) }

// Replace adds an edit that writes text instead of what stands at pos, and returns d. All
// edits of a diagnostic together mend it. One without a position is not added.
func (d *Diagnostic) Replace(pos token.Pos, old, text string) *Diagnostic {
	if pos.IsValid() && old != text {
		d.Edits = append(d.Edits, Edit{Pos: pos, Old: old, New: text})
	}
	return d
}
