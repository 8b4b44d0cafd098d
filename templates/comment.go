package templates

import "strings"

// lineWidth is where lines of comments break, without the "// ".
const lineWidth = 77

// wrap breaks a comment into lines. Words are never split, so that doc links and
// key patterns stay whole.
func wrap(text string) []string {
	var lines []string
	var line strings.Builder
	for word := range strings.FieldsSeq(text) {
		if line.Len() > 0 && line.Len()+1+len(word) > lineWidth {
			lines = append(lines, line.String())
			line.Reset()
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(word)
	}
	if line.Len() > 0 {
		lines = append(lines, line.String())
	}
	return lines
}

// sentences joins sentences, leaving out the empty ones.
func sentences(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}

// list is prose for several things: a; a and b; a, b and c.
func list(items []string, conjunction string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + conjunction + " " + items[last]
}

// article is a or an, as the first letter of a name asks for. Names that begin with U
// are mostly users, units and UUIDs.
func article(name string) string {
	if strings.ContainsAny(name[:1], "AEIOaeio") {
		return "an"
	}
	return "a"
}

func withArticle(name string) string { return article(name) + " " + name }
