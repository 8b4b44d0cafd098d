package directive

import (
	"bytes"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// nearTools match words that people write for the tool's name, its misspellings included.
var nearTools = append(slices.Clone(toolWords), misspelt(Tool)...)

var toolWords = []string{"cache", "caches", "cached", "cachegen", "caching", "cach", "chache", "cahce", "cace"}

// misspelt are patterns for word with a letter left out, doubled, replaced, or swapped with the
// next.
func misspelt(word string) []string {
	var list []string
	for i := range len(word) {
		before, letter, after := word[:i], word[i:i+1], word[i+1:]
		list = append(list, before+after, before+letter+letter+after, before+"[a-z]"+after)
		if after != "" {
			list = append(list, before+after[:1]+letter+after[1:])
		}
	}
	return list
}

// miss matches what may be meant as a directive at the beginning of a comment's
// text: the tool, a separator, and a verb. Tabs are not skipped: text that they
// indent is an example in documentation.
var miss = regexp.MustCompile(`^( {0,3}(?:[+@] ?|/|go:)?)(?i:(` + strings.Join(nearTools, "|") + `))( ?(?:::|[:.\-=/])? ?)([A-Za-z]+)(?:$|[ \t]+(.*)$)`)

// mention matches, where a comment or a line begins, a superset of everything that Parse
// looks at.
var mention = regexp.MustCompile(`^(?i) {0,3}(?:[+@] ?|/|go:)?(?:` + strings.Join(nearTools, "|") + `) ?(?:::|[:.\-=/])? ?[a-z]`)

// mentionLength is more than the length of any text that mention matches.
const mentionLength = 32

// Mentions reports whether src may contain a directive or something close to one.
// It is quick, and wrong only in saying yes.
func Mentions(src []byte) bool {
	if bytes.IndexByte(src, '\r') >= 0 {
		src = bytes.ReplaceAll(src, []byte("\r"), nil) // as Go's scanner does in comments
	}
	src = visibleSource(src)
	for i, c := range src {
		start := i + 1
		switch {
		case c == '/' && start < len(src) && (src[start] == '/' || src[start] == '*'):
			start++
		case c != '\n':
			continue
		}
		text := src[start:min(start+mentionLength, len(src))]
		if maybe(text) && mention.Match(text) {
			return true
		}
	}
	return false
}

// maybe reports what all that mention matches has in common, because most lines do not:
// a letter or a mark after at most three spaces, and then ca or ch.
func maybe(text []byte) bool {
	text = bytes.TrimLeft(text, " ")
	if len(text) == 0 || text[0] == '\t' || text[0] == '\n' {
		return false
	}
	for i := 1; i < len(text) && text[i-1] != '\n'; i++ {
		if text[i-1]|0x20 == 'c' && (text[i]|0x20 == 'a' || text[i]|0x20 == 'h') {
			return true
		}
	}
	return false
}

// nearMiss reports a comment that is an ordinary one but was meant as a directive.
func (p *reader) nearMiss(c *ast.Comment) {
	body, block := c.Text[len("//"):], strings.HasPrefix(c.Text, "/*")
	if block {
		body = strings.TrimSuffix(body, "*/")
	}
	offset := len("//")
	for line := range strings.Lines(body) {
		text := strings.TrimRight(line, " \t\r\n")
		if verb, arguments, meant := meantAs(visible(text)); meant {
			p.reportMiss(c, c.Slash+token.Pos(offset), text, verb, arguments, block)
		}
		offset += len(line)
	}
}

func (p *reader) reportMiss(c *ast.Comment, pos token.Pos, text, verb, arguments string, block bool) {
	shown := "//" + text
	if block {
		shown = strings.TrimLeft(text, " ")
	} else {
		pos = c.Slash
	}
	right := "//" + Tool + ":" + verb
	if arguments != "" {
		right += " " + arguments
	}
	problem := p.addf(pos, diag.Stray, "%s is an ordinary comment, not a directive", quoted(shown)).
		Hintf("write %s", right)
	if !block {
		problem.Replace(c.Slash, "//"+text, right)
	}
}

// meantAs decides whether text, a comment without its slashes, was meant as a
// directive, and as which. Prose begins with the same words ("cache: delete the
// entry"), so what follows the verb has to look like arguments; the further the
// form is from that of a directive, the more so.
func meantAs(text string) (verb, arguments string, meant bool) {
	m := miss.FindStringSubmatch(text)
	if m == nil {
		return "", "", false
	}
	tool, separator, arguments := m[2], m[3], m[5]
	verb = strings.ToLower(m[4])
	exact := known(verb)
	if !exact {
		near, ok := nearVerb(verb)
		if !ok {
			return "", "", false
		}
		verb = near
	}
	words := strings.Fields(arguments)
	punctuated := strings.TrimSpace(separator) != ""
	separator = strings.ReplaceAll(separator, "::", ":")
	switch {
	case !slices.Contains(toolWords, strings.ToLower(tool)):
		meant = exact && separator == ":" && looksLikeArguments(verb, words)
	case looksLikeArguments(verb, words):
		meant = separator == ":" || punctuated && exact || exact && verb == GetOrSet
	case len(words) > 1:
		meant = false
	case separator == ":" && strings.EqualFold(tool, Tool):
		meant = exact // alone, or with one word
	default:
		meant = exact && verb == GetOrSet // not a word of any prose
	}
	return verb, arguments, meant
}

var argumentPattern = regexp.MustCompile(`^[a-z]+=\S|\{[\w.]+\}|^[A-Za-z_][\w.]*\([^)]*\)?$`)

// looksLikeArguments reports whether words begin as the arguments of verb do: with
// an option, a placeholder or a call. A key or a wrapper's name can be any word,
// so there an option may come later.
func looksLikeArguments(verb string, words []string) bool {
	if verb != GetOrSet && verb != Wrap && len(words) > 1 {
		words = words[:1]
	}
	return slices.ContainsFunc(words, argumentPattern.MatchString)
}
