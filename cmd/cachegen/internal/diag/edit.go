package diag

import "go/token"

// An Edit replaces text of a source file. Positions in directives are computed, and in a
// quoted argument with escapes they can be wrong: who applies an edit first checks that Old
// is the text there.
type Edit struct {
	Pos      token.Pos
	Old, New string
}

// End is the position after the text that is replaced.
func (e Edit) End() token.Pos { return e.Pos + token.Pos(len(e.Old)) }

// Replace adds an edit that replaces old at pos by text, and returns d. All
// edits of a diagnostic together correct it. One without a position is not added.
func (d *Diagnostic) Replace(pos token.Pos, old, text string) *Diagnostic {
	if pos.IsValid() && old != text {
		d.Edits = append(d.Edits, Edit{Pos: pos, Old: old, New: text})
	}
	return d
}
