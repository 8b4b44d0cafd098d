package directive

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// invisible reports whether a character makes text read as something else than it is: one that turns
// the direction of what follows, has no width, looks like a space, or is no character at all.
func invisible(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// firstInvisible finds the first such character that is not a tab or the end of a line.
func firstInvisible(text string) (at int, r rune, found bool) {
	for at, r := range text {
		if r == utf8.RuneError || invisible(r) && r != '\t' && r != '\r' && r != '\n' {
			return at, r, true
		}
	}
	return 0, 0, false
}

// visible is text without characters that cannot be seen.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if invisible(r) && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// visibleSource is src without them, for [Mentions].
func visibleSource(src []byte) []byte {
	if !bytes.ContainsFunc(src, func(r rune) bool { return r >= utf8.RuneSelf }) { // as most sources
		return src
	}
	return bytes.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && invisible(r) {
			return -1
		}
		return r
	}, src)
}
