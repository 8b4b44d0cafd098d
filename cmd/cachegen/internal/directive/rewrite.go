package directive

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// What people write who know another tool's syntax, and how it is written here.

// synonyms are words of other tools for the verbs.
var synonyms = map[string]string{
	"cached": GetOrSet, "cacheable": GetOrSet, "memoize": GetOrSet, "remember": GetOrSet, "fetch": GetOrSet, "read": GetOrSet,
	"remove": Delete, "del": Delete, "evict": Delete, "invalidate": Delete, "purge": Delete, "forget": Delete,
	"put": Set, "store": Set, "update": Set,
	"flush": Clear,
	"many":  Batch, "bulk": Batch,
	"and": With, "continue": With,
	"tx": Transaction, "withtx": Transaction, "transactional": Transaction,
}

// glued matches a verb and an argument with no space between: getorset:user:{id}.
var glued = regexp.MustCompile(`^([a-z]+)[:=]+(.+)$`)

// unknownOption reports an option that there is not.
func (p *reader) unknownOption(d *Directive, a *Arg, name string) {
	problem := p.addf(a.Pos, diag.Option, "unknown option %q for //cache:%s", name, d.Verb)
	key, isKey := strings.CutPrefix(a.Text, "key=")
	switch {
	case isKey && d.Verb == GetOrSet && key != "":
		problem.Hintf("write the key without key=: %s", key).Replace(a.Pos, a.Text, key)
	default:
		problem.Choose(name, optionNames(d.Verb), "it has no options")
	}
}

// quotedValue reports quotes around the value of an option instead of around all of it.
func (p *reader) quotedValue(a *Arg) {
	problem := p.addf(a.ValuePos, diag.Syntax, "the quotes must be around the whole argument, not only around the value of %s", a.Key)
	value, err := strconv.Unquote(a.Value)
	switch right := a.Key + "=" + value; {
	case err != nil || value == "":
		problem.Hintf("write \"%s=…\"", a.Key)
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '`' }):
		problem.Hintf("write %s", strconv.Quote(right)).Replace(a.Pos, a.Text, strconv.Quote(right))
	default:
		problem.Hintf("write %s", right).Replace(a.Pos, a.Text, right)
	}
}

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
	if v := verbs[d.Verb]; v.max > 0 || v.none {
		return true
	}
	if o, known := options[a.Text]; known && !o.flag {
		p.addf(a.Pos, diag.Syntax, "%q is not a target", a.Text).Hintf("write options as %s=value", a.Text)
		return false
	}
	right, ok := withColon(d.Verb, a.Text)
	if ok {
		p.addf(a.Pos, diag.Syntax, "%q is not a target", a.Text).
			Hintf("write the option as %s", right).Replace(a.Pos, a.Text, right)
	}
	return !ok
}
