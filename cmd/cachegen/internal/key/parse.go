package key

import (
	"fmt"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse takes text apart. If it returns problems, the pattern holds what could be
// understood and is not fit for generating code.
func Parse(text string) (Pattern, []Problem) {
	p := &parser{text: text}
	if text == "" {
		p.addf(0, "the key is empty").Hint = "write something like user:{id}"
		return Pattern{}, p.problems
	}
	pattern := Pattern{Text: text}
	for {
		pattern.Segments = append(pattern.Segments, p.segment())
		if p.at >= len(text) {
			return pattern, p.problems
		}
		p.at++ // the colon
	}
}

const placeholders = "placeholders are written {param} or {param.Field}"

type parser struct {
	text     string
	at       int
	problems []Problem
}

func (p *parser) addf(offset int, format string, args ...any) *Problem {
	p.problems = append(p.problems, Problem{Offset: offset, Message: fmt.Sprintf(format, args...)})
	return &p.problems[len(p.problems)-1]
}

// segment reads up to the next colon or the end.
func (p *parser) segment() Segment {
	s := Segment{Offset: p.at}
	if p.at < len(p.text) && (p.text[p.at] == '@' || p.text[p.at] == '!') {
		problem := p.addf(p.at, "segments that begin with %c are reserved for the runtime", p.text[p.at])
		problem.Reserved, problem.Hint = true, "begin it with another character"
	}
	s.Before = p.literal()
	for first := true; p.at < len(p.text) && p.text[p.at] == '{'; first = false {
		value := p.placeholder()
		after := p.literal()
		switch {
		case !first:
			p.addf(value.Offset, "two placeholders in one segment").
				Hint = "separate them with ':', the only character that no value contains"
		case len(value.Path) > 0:
			s.Value, s.After = value, after
		}
	}
	if p.at == s.Offset {
		p.addf(s.Offset, "empty segment").Hint = "a segment is text or a placeholder between two ':'"
	}
	return s
}

// literal reads text up to a colon, an opening brace or the end.
func (p *parser) literal() string {
	start := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		switch {
		case r == ':' || r == '{':
			return p.text[start:p.at]
		case r == '}':
			p.addf(p.at, "'}' without '{'").Hint = placeholders
		case r == '%':
			p.addf(p.at, "'%%' cannot be in a pattern: it marks escaped bytes").Hint = "remove it; " + placeholders
		case unicode.IsSpace(r) || unicode.IsControl(r):
			p.addf(p.at, "%q cannot be in a pattern", r).Hint = "use letters, digits, '-', '_' or '.'"
		}
		p.at += size
	}
	return p.text[start:]
}

// placeholder reads from an opening brace up to the closing one. The result has no
// path if that is malformed.
func (p *parser) placeholder() *Placeholder {
	value := &Placeholder{Offset: p.at}
	p.at++
	inner := p.text[p.at:]
	end := strings.IndexAny(inner, "{}")
	if end < 0 || inner[end] == '{' {
		p.addf(value.Offset, "'{' without '}'").Hint = placeholders
		if end < 0 {
			end = len(inner)
		}
		p.at += end
		return value
	}
	path := inner[:end]
	offset := p.at
	p.at += end + 1
	if path == "" {
		p.addf(value.Offset, "empty placeholder").Hint = "write {param} or {param.Field}"
		return value
	}
	for name := range strings.SplitSeq(path, ".") {
		if !token.IsIdentifier(name) {
			p.addf(value.Offset, "{%s} is not a placeholder", path).
				Hint = "a placeholder is a Go name, or names joined by '.': {param}, {param.Field}"
			value.Path = nil
			return value
		}
		value.Path = append(value.Path, Name{name, offset})
		offset += len(name) + 1
	}
	return value
}
