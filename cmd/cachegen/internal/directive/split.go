package directive

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// split cuts the text after the verb into arguments. The syntax is that of
// ast.Directive.ParseArgs (bare words, "quoted" and `raw` strings, separated by
// spaces), and in addition spaces and strings inside parentheses do not end a
// word, so that FindUser(id, "a b") is one argument.
func (p *reader) split(text string, pos token.Pos) (args []Arg, ok bool) {
	ok = true
	for {
		rest := strings.TrimLeftFunc(text, unicode.IsSpace)
		pos += token.Pos(len(text) - len(rest))
		text = rest
		if text == "" {
			return args, ok
		}
		if strings.HasPrefix(text, "//") || strings.HasPrefix(text, "/*") {
			p.addf(pos, diag.Syntax, "a directive cannot end with a comment").
				Hintf("put the comment on a line of its own, above the directive")
			return args, false
		}
		n, problem := argumentLength(text)
		if problem != "" {
			d := p.addf(pos, diag.Syntax, "%s", problem)
			if text[0] == '"' || text[0] == '`' {
				d.Hintf("put quotes around a whole argument that contains spaces: \"store=my store\"")
			} else {
				d.Hintf("a target cannot continue on another line; //cache:with can add more targets")
			}
			return args, false
		}
		arg := Arg{Text: text[:n], Pos: pos, ValuePos: pos}
		if text[0] == '"' || text[0] == '`' {
			arg.Text, _ = strconv.Unquote(text[:n]) // argumentLength has checked it
			arg.ValuePos++
		}
		if arg.Text == "" {
			p.addf(pos, diag.Syntax, "empty argument").Hintf("remove it")
			ok = false
		} else {
			args = append(args, arg)
		}
		text, pos = text[n:], pos+token.Pos(n)
	}
}

// argumentLength is the length of the argument that text begins with, or what is wrong with it.
func argumentLength(text string) (n int, problem string) {
	if text[0] == '"' || text[0] == '`' {
		q, err := strconv.QuotedPrefix(text)
		if err != nil {
			return 0, "the quoted argument has no closing quote"
		}
		if r, _ := utf8.DecodeRuneInString(text[len(q):]); len(q) < len(text) && !unicode.IsSpace(r) {
			return 0, "a space is missing after the quoted argument"
		}
		return len(q), ""
	}
	depth := 0
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		switch {
		case depth == 0 && unicode.IsSpace(r):
			return n, ""
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
		case depth > 0 && (r == '"' || r == '`'):
			q, err := strconv.QuotedPrefix(text[n:])
			if err != nil {
				return 0, "a quoted string has no closing quote"
			}
			size = len(q)
		case (r == '"' || r == '`') && strings.HasSuffix(text[:n], "="):
			if q, err := strconv.QuotedPrefix(text[n:]); err == nil {
				size = len(q) // refused, but as one argument
			}
		}
		n += size
	}
	if depth > 0 {
		return 0, "a closing parenthesis is missing"
	}
	return n, ""
}
