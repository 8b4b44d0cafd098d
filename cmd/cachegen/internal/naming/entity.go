package naming

import (
	"slices"
	"strings"
	"unicode"
)

// verbs are the first words of function names that say how a value is found, not
// which one.
var verbs = []string{"Find", "Get", "Load", "Fetch", "Read", "Lookup", "LookUp", "Query", "Select", "List", "Search"}

// prepositions are words after which a function's name says which value it is, no longer what.
var prepositions = []string{
	"After", "At", "Before", "Between", "By", "For", "From", "In", "Near", "Of", "On", "Per", "Since", "To", "With", "Without",
}

// plurals are those that do not end with an s.
var plurals = []string{"children", "criteria", "men", "people", "women"}

// A Noun is what a value is called after its type: a Product, or, with Many, a list of them. It is the
// zero Noun if the type has no name.
type Noun struct {
	Type string // Product
	Many bool
}

// words are those of the noun, in upper case: ProductRows.
func (n Noun) words() []string {
	list := Words(Upper(n.Type))
	if n.Many {
		list[len(list)-1] = Plural(list[len(list)-1])
	}
	return list
}

// Entity is the name under which a function's value is cached: its own name without the leading verb, in
// upper or lower case as the function is.
//
// The value is named where the function's name does not: after a verb alone, and after a verb and a
// preposition. List becomes Products, and FindByID ProductByID. And a list is not called like one thing:
// ListCategory becomes CategoryProducts, and ListProduct becomes Products.
func Entity(function string, value Noun) string {
	name := Upper(function)
	rest, verb := cutVerb(name)
	if !verb {
		return SameCase(name, function)
	}
	if value.Type == "" {
		if rest != "" {
			name = rest
		}
		return SameCase(name, function)
	}
	var what []string
	if rest != "" {
		what = Words(rest)
	}
	which := ""
	if i := slices.IndexFunc(what, func(w string) bool { return slices.Contains(prepositions, w) }); i >= 0 {
		what, which = what[:i], strings.Join(what[i:], "")
	}
	if len(what) == 0 || value.Many && !several(what, value) {
		what = joined(what, value.words())
	}
	return SameCase(strings.Join(what, "")+which, function)
}

// cutVerb cuts a verb from the beginning of a function's name.
func cutVerb(name string) (rest string, found bool) {
	for _, verb := range verbs {
		rest, ok := strings.CutPrefix(name, verb)
		if ok && (rest == "" || unicode.IsUpper([]rune(rest)[0])) {
			return rest, true
		}
	}
	return name, false
}

// several reports whether words are the name of more than one thing: they end with a plural, or have the
// name of the elements and another word after it, as in UserHistory.
func several(what []string, elements Noun) bool {
	if isPlural(what[len(what)-1]) {
		return true
	}
	for _, n := range []Noun{elements, {Type: elements.Type}} {
		words := n.words()
		for i := 0; i+len(words) < len(what); i++ {
			if slices.Equal(what[i:i+len(words)], words) {
				return true
			}
		}
	}
	return false
}

// joined is a noun behind other words. What both have, they have once: Product and ProductRows are
// ProductRows.
func joined(what, noun []string) []string {
	one := slices.Clone(what)
	if len(one) > 0 {
		one[len(one)-1] = Plural(one[len(one)-1])
	}
	for n := min(len(what), len(noun)); n > 0; n-- {
		at := len(what) - n
		if slices.Equal(what[at:], noun[:n]) || slices.Equal(one[at:], noun[:n]) {
			return slices.Concat(what[:at], noun)
		}
	}
	return slices.Concat(what, noun)
}

// isPlural guesses whether a word stands for several things.
func isPlural(word string) bool {
	if strings.ToUpper(word) == word {
		return false // DNS
	}
	word = strings.ToLower(word)
	return slices.Contains(plurals, word) || strings.HasSuffix(word, "s") &&
		!strings.HasSuffix(word, "ss") && !strings.HasSuffix(word, "us") && !strings.HasSuffix(word, "is")
}
