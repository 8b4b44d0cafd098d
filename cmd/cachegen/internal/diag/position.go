package diag

import (
	"go/token"
	"strings"
)

// Position is where pos is in the file that people wrote, whatever its //line comments
// say. Only what cgo makes of a file is not theirs: there such comments lead back.
func Position(fset *token.FileSet, pos token.Pos) token.Position {
	p := fset.PositionFor(pos, false)
	if FromCgo(p.Filename) {
		return fset.Position(pos)
	}
	return p
}

// FromCgo reports whether a file that the go command listed is cgo's work: it is in the
// build cache, where names have no extension, or in a work directory.
func FromCgo(name string) bool {
	return !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".cgo1.go")
}
