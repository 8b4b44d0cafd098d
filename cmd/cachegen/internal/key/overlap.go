package key

import (
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/templates"
)

// A Shape is what one segment of a key can look like, once the type of its value
// is known.
type Shape struct {
	Before, After string
	Value         bool
	Form          templates.Form // of the value
	Bits          int            // of an Int or Uint; 0 stands for 64
}

// Overlap reports whether two keys of these shapes can have one text. It may say
// yes where the answer is no, never the other way round.
func Overlap(a, b []Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].meets(b[i]) {
			return false
		}
	}
	return true
}

func (a Shape) meets(b Shape) bool {
	switch {
	case !a.Value && !b.Value:
		return a.Before == b.Before
	case !a.Value:
		return b.holds(a.Before)
	case !b.Value:
		return a.holds(b.Before)
	}
	if a.Before == b.Before && a.After == b.After && a.disjoint(b) {
		return false
	}
	return (strings.HasPrefix(a.Before, b.Before) || strings.HasPrefix(b.Before, a.Before)) &&
		(strings.HasSuffix(a.After, b.After) || strings.HasSuffix(b.After, a.After))
}

// disjoint reports whether no text is a value of both forms.
func (a Shape) disjoint(b Shape) bool {
	number := func(f templates.Form) bool { return f == templates.Int || f == templates.Uint }
	return number(a.Form) && b.Form == templates.Bool || a.Form == templates.Bool && number(b.Form)
}

// holds reports whether literal can be the text of a segment with a value.
func (a Shape) holds(literal string) bool {
	if len(literal) < len(a.Before)+len(a.After) {
		return false
	}
	rest, before := strings.CutPrefix(literal, a.Before)
	rest, after := strings.CutSuffix(rest, a.After)
	if !before || !after {
		return false
	}
	bits := a.Bits
	if bits == 0 {
		bits = 64
	}
	switch a.Form {
	case templates.Int:
		n, err := strconv.ParseInt(rest, 10, bits)
		return err == nil && strconv.FormatInt(n, 10) == rest
	case templates.Uint:
		n, err := strconv.ParseUint(rest, 10, bits)
		return err == nil && strconv.FormatUint(n, 10) == rest
	case templates.Bool:
		return rest == "true" || rest == "false"
	}
	return true // strings and texts can be anything
}
