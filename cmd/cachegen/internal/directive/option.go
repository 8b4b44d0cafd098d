package directive

import (
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// An option describes an argument of a directive that is not positional.
type option struct {
	verbs    []string
	flag     bool // a bare word
	repeats  bool
	duration bool
	forever  bool     // the duration may be forever
	percent  bool     // the duration may be a percentage of the ttl
	count    bool     // a number, 1 or more
	words    []string // what the value may be, if only some words
}

var (
	reads  = []string{GetOrSet, Wrap}
	writes = []string{Set, Delete, Expire, Clear}
)

var options = map[string]option{
	"name":         {verbs: []string{GetOrSet, Batch}},
	"ttl":          {verbs: reads, duration: true, forever: true},
	"l1ttl":        {verbs: reads, duration: true},
	"jitter":       {verbs: reads, duration: true, percent: true},
	"refresh":      {verbs: reads, duration: true, percent: true},
	"grace":        {verbs: reads, duration: true},
	"gracebackoff": {verbs: reads, duration: true},
	"timeout":      {verbs: reads, duration: true},
	"hardtimeout":  {verbs: reads, duration: true},
	"locktimeout":  {verbs: reads, duration: true},
	"notfound":     {verbs: reads},
	"notfoundttl":  {verbs: reads, duration: true},
	"errorttl":     {verbs: reads, duration: true},
	"store":        {verbs: reads},
	"namespace":    {verbs: reads},
	"shared":       {verbs: reads, flag: true},
	"instances":    {verbs: reads, words: []string{"shared"}},
	"ignore":       {verbs: []string{GetOrSet, Batch}, repeats: true},
	"tag":          {verbs: []string{GetOrSet, Wrap, Delete, Expire}, repeats: true},
	"by":           {verbs: []string{Batch}},
	"max":          {verbs: []string{Batch}, count: true},
	"allow":        {verbs: []string{GetOrSet, Wrap, Batch, Set, Delete, Expire, Clear}, repeats: true},

	"collect": {verbs: writes, flag: true},

	"invalidationerrors": {verbs: slices.Concat(reads, writes), words: []string{"report", "log"}},
}

// example is a value of the option, or a word that stands for one.
func (o option) example(word string) string {
	if len(o.words) > 0 {
		return o.words[0]
	}
	return word
}

// notDefaults says why some options of a function cannot be defaults of a type.
var notDefaults = map[string]string{
	"name":   "it names what is cached by one function; the wrapper's name stands alone: //cache:wrap NAME",
	"ignore": "it is about the parameters of one function: write it at that //cache:getorset",
}

// A verb describes the positional arguments of a verb and the declarations that it belongs to.
type verb struct {
	onType   bool
	argument string // what the positional arguments are
	min, max int    // how many there are; no limit if max is 0
	none     bool   // there are none
}

var verbs = map[string]verb{
	Wrap:     {onType: true, argument: "the wrapper's name", max: 1},
	GetOrSet: {argument: "a key", min: 1, max: 1},
	Set:      {argument: "a function whose entry is set", min: 1},
	Delete:   {argument: "a function or tag whose entries are deleted"},
	Expire:   {argument: "a function or tag whose entries expire"},
	Batch:    {argument: "the cached function whose keys it loads", min: 1, max: 1},
	Clear:    {argument: "a namespace", max: 1},
	With:     {},

	Transaction: {none: true},
}

// verbNames are the verbs in the order in which suggestions prefer them.
var verbNames = []string{GetOrSet, Wrap, Delete, Expire, Set, Batch, Clear, Transaction, With}

// optionNames are the names of what verb takes, sorted.
func optionNames(verb string) []string {
	var names []string
	for name, o := range options {
		if slices.Contains(o.verbs, verb) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// optionPattern is wider than lowercase=value, so that TTL=5m and hard-timeout=1s
// are misspelt options rather than keys.
var optionPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*=`)

// gluedOption matches an option after a comma: user:{id},ttl=5m.
var gluedOption = regexp.MustCompile(`^[^()]*,(` + strings.Join(allOptions(), "|") + `)=`)

func allOptions() []string { return slices.Sorted(maps.Keys(options)) }

// classify says of every argument whether it is an option or a flag, and reports
// options that are unknown, repeated, out of place or without a good value. What
// was reported is removed from d.Args.
func (p *reader) classify(d *Directive) {
	var good []Arg
	first := map[string]token.Pos{}
	for _, a := range d.Args {
		if p.argument(d, &a, first) {
			good = append(good, a)
		}
	}
	d.Args = good
}

// argument classifies one argument and reports whether it is a good one. first
// holds the options seen so far.
func (p *reader) argument(d *Directive, a *Arg, first map[string]token.Pos) bool {
	name, flag := a.Text, true
	if at := optionPattern.FindString(a.Text); at != "" {
		name, flag = strings.TrimSuffix(at, "="), false
	}
	o, known := options[name]
	switch {
	case strings.HasSuffix(a.Text, ",") || gluedOption.MatchString(a.Text):
		p.addf(a.Pos, diag.Syntax, "%q has a comma", a.Text).
			Hintf("arguments are separated by spaces, and an option like tag= is repeated").
			Replace(a.Pos, a.Text, withoutCommas(a.Text))
		return false
	case flag && (!known || !o.flag):
		return p.positional(d, a)
	case !known:
		p.unknownOption(d, a, name)
		return false
	case !slices.Contains(o.verbs, d.Verb):
		problem := p.addf(a.Pos, diag.Option, "option %q does not belong to //cache:%s", name, d.Verb)
		if hint := notDefaults[name]; d.Verb == Wrap && hint != "" {
			problem.Hintf("%s", hint)
		} else {
			problem.Hintf("it belongs to %s", directives(o.verbs))
		}
		return false
	case !flag && o.flag:
		problem := p.addf(a.Pos, diag.Option, "%s takes no value", name).Hintf("write %s", name)
		if strings.EqualFold(a.Text, name+"=true") {
			problem.Replace(a.Pos, a.Text, name)
		}
		return false
	}
	if earlier, again := first[name]; again && !o.repeats {
		p.addf(a.Pos, diag.Option, "option %q is given twice", name).Relatedf(p.position(earlier), "the first").
			Hintf("remove one of the two")
		return false
	}
	first[name] = a.Pos
	if flag {
		a.Flag = true
		return true
	}
	a.Key, a.Value = name, a.Text[len(name)+1:]
	if o.repeats && strings.Contains(a.Value, ",") {
		p.addf(a.Pos, diag.Syntax, "%s takes one value, and %q has a comma", name, a.Value).
			Hintf("arguments are separated by spaces, and %s= is repeated: %s=a %s=b", name, name, name).
			Replace(a.Pos, a.Text, repeated(name, a.Value))
		return false
	}
	a.ValuePos += token.Pos(len(name) + 1)
	if quote := a.Value != "" && (a.Value[0] == '"' || a.Value[0] == '`'); quote && a.Text[0] == name[0] {
		p.quotedValue(a)
		return false
	}
	if a.Value == "" {
		p.addf(a.Pos, diag.Option, "option %q has no value", name).Hintf("write %s=%s, or remove it", name, o.example("VALUE"))
		return false
	}
	if o.count {
		if n, err := strconv.Atoi(a.Value); err != nil || n < 1 {
			p.addf(a.ValuePos, diag.Option, "%s: %q is not a number greater than zero", name, a.Value).Hintf("write %s=100, or remove it for no limit", name)
			return false
		}
	}
	if len(o.words) > 0 && !slices.Contains(o.words, a.Value) {
		p.addf(a.ValuePos, diag.Option, "%s: there is no %q", name, a.Value).Hintf("write %s=%s", name, strings.Join(o.words, " or "+name+"="))
		return false
	}
	if o.duration {
		if _, _, err := o.amount(a.Value); err != nil {
			problem := p.addf(a.ValuePos, diag.Duration, "%s: %v", name, err)
			if o.percent {
				problem.Hintf("write a duration like 90s, 5m or 2d, or a part of the ttl like 80%%")
			} else {
				problem.Hintf("durations are written like 300ms, 90s, 5m, 1h30m, 2d or 1w")
			}
			return false
		}
	}
	return true
}

func directives(verbs []string) string {
	var names []string
	for _, v := range verbs {
		names = append(names, "//cache:"+v)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// count reports missing and superfluous positional arguments. An argument that was
// refused counts as one that is there: one mistake is one diagnostic.
func (p *reader) count(d *Directive, refused bool) {
	v, args := verbs[d.Verb], d.Positional()
	missing := len(args) < v.min
	if d.Verb == Delete || d.Verb == Expire {
		missing = len(args) == 0 && len(d.Options("tag")) == 0
	}
	if missing && !refused {
		p.addf(d.VerbPos, diag.Syntax, "//cache:%s needs %s", d.Verb, v.argument).Hintf("write %s", examples[d.Verb])
	}
	if v.none && len(args) > 0 {
		p.addf(args[0].Pos, diag.Syntax, "unexpected argument %q: //cache:%s takes none", args[0].Text, d.Verb).Hintf("remove it")
	}
	if v.max == 0 {
		return
	}
	for _, a := range args[min(v.max, len(args)):] {
		problem := p.addf(a.Pos, diag.Syntax, "unexpected argument %q: //cache:%s takes one, %s", a.Text, d.Verb, v.argument)
		bare := strings.TrimLeft(a.Text, "-")
		if o, ok := options[a.Text]; ok && !o.flag {
			problem.Hintf("write options as %s=%s", a.Text, o.example("value"))
		} else if right, ok := withColon(d.Verb, a.Text); ok {
			problem.Hintf("write the option as %s", right).Replace(a.Pos, a.Text, right)
		} else if bare != a.Text && bare != "" {
			problem.Hintf("write options without dashes: %s", bare).Replace(a.Pos, a.Text, bare)
		} else if problem.Suggest(a.Text, []string{"shared"}); len(problem.Hints) == 0 {
			problem.Hintf("remove it, or put quotes around a whole argument that contains a space")
		}
	}
}

var examples = map[string]string{
	Wrap:     "//cache:wrap CachedUserRepo ttl=5m",
	GetOrSet: "//cache:getorset user:{id}",
	Set:      "//cache:set FindUser(result.ID)",
	Delete:   "//cache:delete FindUser(id) or //cache:delete tag=team:{id}",
	Expire:   "//cache:expire FindUser(id) or //cache:expire tag=team:{id}",
	Batch:    "//cache:batch FindUser(ids)",
}
