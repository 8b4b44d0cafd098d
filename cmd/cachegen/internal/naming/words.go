package naming

import (
	"go/token"
	"slices"
	"strings"
	"unicode"
)

// SameCase gives name the exportedness of model.
func SameCase(name, model string) string {
	if token.IsExported(model) {
		return Upper(name)
	}
	return Lower(name)
}

// Words splits a camel case name: UserByEmail, HTTPServer, userID.
func Words(name string) []string {
	var list []string
	r := []rune(name)
	start := 0
	for i := 1; i < len(r); i++ {
		before, here := r[i-1], r[i]
		begins := unicode.IsUpper(here) && !unicode.IsUpper(before) ||
			unicode.IsUpper(before) && unicode.IsUpper(here) && i+1 < len(r) && unicode.IsLower(r[i+1])
		if begins {
			list = append(list, string(r[start:i]))
			start = i
		}
	}
	return append(list, string(r[start:]))
}

var initialisms = []string{"API", "DB", "HTTP", "ID", "IP", "JSON", "SQL", "URI", "URL", "UUID"}

// Upper makes a name exported: id becomes ID, userName UserName, urlPath URLPath.
func Upper(name string) string {
	list := Words(name)
	first := list[0]
	if up := strings.ToUpper(first); slices.Contains(initialisms, up) {
		first = up
	} else {
		r := []rune(first)
		r[0] = unicode.ToUpper(r[0])
		first = string(r)
	}
	return first + strings.Join(list[1:], "")
}

// Lower makes a name unexported: ID becomes id, UserName userName, HTTPServer httpServer.
func Lower(name string) string {
	list := Words(name)
	first := list[0]
	if strings.ToUpper(first) == first {
		first = strings.ToLower(first)
	} else {
		r := []rune(first)
		r[0] = unicode.ToLower(r[0])
		first = string(r)
	}
	return first + strings.Join(list[1:], "")
}

// Prose writes a name as words: UserByEmail becomes user by email. Words in capitals
// stay: UserURL becomes user URL.
func Prose(name string) string {
	list := Words(name)
	for i, word := range list {
		if len(word) < 2 || strings.ToUpper(word) != word {
			list[i] = strings.ToLower(word)
		}
	}
	return strings.Join(list, " ")
}

// Plural is what several of a name are called: user becomes users, entry entries. One
// that ends with an s may be several already.
func Plural(name string) string {
	stem, y := strings.CutSuffix(name, "y")
	switch {
	case y && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou"):
		return stem + "ies"
	case strings.HasSuffix(name, "ss"), strings.HasSuffix(name, "x"), strings.HasSuffix(name, "ch"), strings.HasSuffix(name, "sh"):
		return name + "es"
	case strings.HasSuffix(name, "s"):
		return name
	}
	return name + "s"
}

// Singular is what one of many is called: ids are made of id.
func Singular(name string) string {
	switch {
	case strings.HasSuffix(name, "ies") && len(name) > 4:
		return name[:len(name)-3] + "y"
	case strings.HasSuffix(name, "s") && !strings.HasSuffix(name, "ss") && len(name) > 1:
		return name[:len(name)-1]
	}
	return "one"
}

// Camel joins the words of a literal, user-list, into an exported name, UserList. It
// is empty if the literal has no letter or digit.
func Camel(literal string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(literal, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(Upper(word))
	}
	return b.String()
}
