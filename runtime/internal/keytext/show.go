package keytext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What people read: errors and log lines. Keys and tags come from the users of a program, and
// may hold anything, in any length.

const (
	// shown is how many bytes of a name are shown.
	shown = 120
	// named is how many names are shown.
	named = 3
)

// Show returns a name for an error or a log line: as it is if it is short and plain, otherwise
// quoted and cut. A line end in it cannot look like the end of the line, and nothing in it
// changes the direction of text.
func Show(name string) string {
	if len(name) > shown {
		return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(name[:cut(name)]), len(name))
	}
	if name == "" || strings.ContainsFunc(name, strange) || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	return name
}

// Cut returns text that is to be quoted, cut if it is long.
func Cut(text string) string {
	if len(text) <= shown {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:cut(text)], len(text))
}

// Line returns a text that others have made of a name on one line, cut if it is long.
func Line(text string) string {
	if text = Cut(text); strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// cut returns where a long text is cut: not within a character.
func cut(text string) int {
	n := shown
	for n > shown-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// strange reports whether a character may be taken for a part of the text around a name.
func strange(r rune) bool {
	return r == '"' || r == '\\' || r == ',' || !strconv.IsPrint(r)
}

// ShowAll names the first of names.
func ShowAll(names []string) string {
	return strings.Join(ShowEach(names), ", ") + more(len(names))
}

// ShowEach returns the first of names, each as Show.
func ShowEach(names []string) []string {
	out := make([]string, min(len(names), named))
	for i := range out {
		out[i] = Show(names[i])
	}
	return out
}

func more(n int) string {
	if n <= named {
		return ""
	}
	return fmt.Sprintf(" and %d more", n-named)
}
