package templates

import (
	"strings"

	"github.com/dave/jennifer/jen"
)

// signatureOf renders results and an error, under the names that the source has for them, if there
// are any and none of them is taken in the generated function.
func signatureOf(names []string, results []Param) *jen.Statement {
	if len(names) == 0 {
		return resultTypes(results)
	}
	out := make([]Param, len(names))
	for i, name := range names {
		t := Type{{Text: "error"}}
		if i < len(results) {
			t = results[i].Type
		}
		out[i] = Param{Name: name, Type: t}
	}
	return jen.Params(declared(out)...)
}

// free returns names unless one of them is taken.
func (s scope) free(names []string) []string {
	for _, name := range names {
		if s[name] {
			return nil
		}
	}
	return names
}

// withDeprecation adds a paragraph to a comment: what go doc and linters know a deprecated
// declaration by.
func withDeprecation(doc, deprecated string) string {
	if deprecated == "" {
		return doc
	}
	return doc + "\n\n" + strings.TrimSpace(deprecated)
}
