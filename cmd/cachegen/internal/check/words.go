package check

import (
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// verbs are the first words of function names that say how a value is found, not
// which one.
var verbs = []string{"Find", "Get", "Load", "Fetch", "Read", "Lookup", "LookUp", "Query", "Select", "List", "Search"}

// entity is the name under which a function's value is cached: its own name without
// the leading verb, in upper or lower case as the function is. One that is nothing but a
// verb keeps it.
func entity(function string) string {
	name := upper(function)
	for _, verb := range verbs {
		rest, ok := strings.CutPrefix(name, verb)
		if ok && rest != "" && unicode.IsUpper([]rune(rest)[0]) {
			name = rest
			break
		}
	}
	return sameCase(name, function)
}

// sameCase gives name the exportedness of model.
func sameCase(name, model string) string {
	if token.IsExported(model) {
		return upper(name)
	}
	return lower(name)
}

// words splits a camel case name: UserByEmail, HTTPServer, userID.
func words(name string) []string {
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

// upper makes a name exported: id becomes ID, userName UserName, urlPath URLPath.
func upper(name string) string {
	list := words(name)
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

// lower makes a name unexported: ID becomes id, UserName userName, HTTPServer httpServer.
func lower(name string) string {
	list := words(name)
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

// prose writes a name as words: UserByEmail becomes user by email. Words in capitals
// stay: UserURL becomes user URL.
func prose(name string) string {
	list := words(name)
	for i, word := range list {
		if len(word) < 2 || strings.ToUpper(word) != word {
			list[i] = strings.ToLower(word)
		}
	}
	return strings.Join(list, " ")
}

// plural is what several of a name are called: user becomes users, entry entries. One
// that ends with an s may be several already.
func plural(name string) string {
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

// camel joins the words of a literal, user-list, into an exported name, UserList. It
// is empty if the literal has no letter or digit.
func camel(literal string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(literal, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(upper(word))
	}
	return b.String()
}

// harmless are predeclared functions that generated code does not call, so that
// parameters may have their names, as they often do.
var harmless = []string{"cap", "clear", "close", "complex", "copy", "delete", "imag", "max", "min", "new", "print", "println", "real", "recover"}

// reserved reports whether a variable of generated code cannot have that name: a
// keyword, or a predeclared name.
func reserved(name string) bool {
	return token.IsKeyword(name) || name == "_" || name == "" || name == "init" ||
		types.Universe.Lookup(name) != nil && !slices.Contains(harmless, name)
}

// unused returns name, or else name with fallback added to its end, or that with a
// number: the first that is not taken.
func unused(name, fallback string, taken func(string) bool) string {
	if !taken(name) {
		return name
	}
	name += fallback
	candidate := name
	for i := 2; taken(candidate); i++ {
		candidate = name + strconv.Itoa(i)
	}
	return candidate
}
