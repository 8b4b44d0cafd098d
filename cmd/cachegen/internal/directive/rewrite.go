package directive

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// What people write who know another tool's syntax, and how it is written here.

// comma matches a comma in front of an option.
var comma = regexp.MustCompile(`,(` + strings.Join(allOptions(), "|") + `)=`)

// withoutCommas writes an argument like user:{id},ttl=5m as several.
func withoutCommas(text string) string {
	return strings.TrimRight(comma.ReplaceAllString(text, " $1="), ",")
}

// repeated writes an option with values between commas as several options.
func repeated(name, values string) string {
	var list []string
	for value := range strings.SplitSeq(values, ",") {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	return strings.Join(list, " ")
}

// withColon writes ttl:5m as ttl=5m, if ttl is an option of verb.
func withColon(verb, text string) (string, bool) {
	name, value, found := strings.Cut(text, ":")
	o, known := options[name]
	if !found || value == "" || !known || o.flag || !slices.Contains(o.verbs, verb) {
		return "", false
	}
	return name + "=" + value, true
}

// positional reports whether an argument that is neither option nor flag may be one of
// those that d's verb takes. A target has no colon, so tag:x is an option that is written
// like one of another tool; a key can begin like that.
func (p *reader) positional(d *Directive, a *Arg) bool {
	if verbs[d.Verb].max > 0 {
		return true
	}
	right, ok := withColon(d.Verb, a.Text)
	if ok {
		p.addf(a.Pos, diag.Syntax, "%q is not a target", a.Text).
			Hintf("options are written %s", right).Replace(a.Pos, a.Text, right)
	}
	return !ok
}
