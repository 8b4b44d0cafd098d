package gen

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// ParseKey reads the text of a key of a pattern, as a directive writes it: user:{id}. The
// fields point to where the placeholders' values go, in their order: pointers to predeclared
// integers, to strings and bools, to types made of these, or an encoding.TextUnmarshaler
// for what has text of its own; see also [ByKind]. Text that is not what a key of the pattern gives is an
// error, and the fields may have been changed.
func ParseKey(pattern, text string, fields ...any) error {
	s := &keyScanner{pattern: pattern, text: text, rest: text, more: true}
	for more := true; more; {
		var segment string
		segment, pattern, more = cutSegment(pattern)
		before, placeholder, ok := strings.Cut(segment, "{")
		if !ok {
			s.literal(segment)
			continue
		}
		_, after, _ := strings.Cut(placeholder, "}")
		s.field(s.segment(before, after), fields[0])
		fields = fields[1:]
	}
	return s.done()
}

// cutSegment cuts a pattern at its first colon that is not in a placeholder.
func cutSegment(pattern string) (segment, rest string, more bool) {
	inside := false
	for i := range len(pattern) {
		switch pattern[i] {
		case '{':
			inside = true
		case '}':
			inside = false
		case ':':
			if !inside {
				return pattern[:i], pattern[i+1:], true
			}
		}
	}
	return pattern, "", false
}

// A keyScanner takes the text of a key apart, segment by segment. After the first
// failure its methods return zero values and done returns the error.
type keyScanner struct {
	pattern, text, rest string
	more                bool // a segment is left, possibly an empty one
	err                 error
}

// ByKind makes [ParseKey] read what to points to by what its type is made of, although the
// type has UnmarshalText: so [AppendKeyValue] writes it.
func ByKind(to any) any { return byKind{to} }

type byKind struct{ to any }

// field reads a part into what a pointer points to.
func (s *keyScanner) field(part string, to any) {
	switch typed := to.(type) {
	case encoding.TextUnmarshaler:
		s.unmarshal(part, typed)
		return
	case byKind:
		to = typed.to
	}
	switch v := reflect.ValueOf(to).Elem(); v.Kind() {
	case reflect.String:
		v.SetString(s.unescape(part))
	case reflect.Bool:
		v.SetBool(s.bool(part))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(s.uint(part, v.Type().Bits()))
	default:
		v.SetInt(s.int(part, v.Type().Bits()))
	}
}

// fail keeps the first failure. args are strings.
func (s *keyScanner) fail(format string, args ...any) {
	if s.err == nil {
		for i, arg := range args {
			args[i] = keytext.Cut(arg.(string))
		}
		s.err = fmt.Errorf("cachegen: parse key %q with pattern %s: %s", keytext.Cut(s.text), s.pattern, fmt.Sprintf(format, args...))
	}
}

func (s *keyScanner) next() string {
	if !s.more {
		s.fail("the text ends before the pattern does")
		return ""
	}
	var segment string
	segment, s.rest, s.more = strings.Cut(s.rest, ":")
	return segment
}

// literal reads a segment that is exactly text.
func (s *keyScanner) literal(text string) {
	if segment := s.next(); segment != text {
		s.fail("segment %q is not %q", segment, text)
	}
}

// segment reads a segment and returns what is between before and after in it.
func (s *keyScanner) segment(before, after string) string {
	segment := s.next()
	if len(segment) < len(before)+len(after) || !strings.HasPrefix(segment, before) || !strings.HasSuffix(segment, after) {
		s.fail("segment %q does not begin with %q and end with %q", segment, before, after)
		return ""
	}
	return segment[len(before) : len(segment)-len(after)]
}

// int parses a part that is a decimal integer of so many bits.
func (s *keyScanner) int(part string, bits int) int64 {
	n, err := strconv.ParseInt(part, 10, bits)
	if err != nil || strconv.FormatInt(n, 10) != part {
		s.fail("%q is not a decimal integer, without leading zeros, that fits its type", part)
		return 0
	}
	return n
}

// uint parses a part that is an unsigned decimal integer; bits is as for int.
func (s *keyScanner) uint(part string, bits int) uint64 {
	n, err := strconv.ParseUint(part, 10, bits)
	if err != nil || strconv.FormatUint(n, 10) != part {
		s.fail("%q is not an unsigned decimal integer, without leading zeros, that fits its type", part)
		return 0
	}
	return n
}

// bool parses a part that is true or false.
func (s *keyScanner) bool(part string) bool {
	if part != "true" && part != "false" {
		s.fail("%q is neither true nor false", part)
	}
	return part == "true"
}

// unescape undoes [AppendEscaped]. It refuses what AppendEscaped cannot have written.
func (s *keyScanner) unescape(part string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] != '%' {
			b.WriteByte(part[i])
			continue
		}
		if i+2 >= len(part) {
			s.fail("%q ends in the middle of an escape", part)
			return ""
		}
		n, err := strconv.ParseUint(part[i+1:i+3], 16, 8)
		if err != nil {
			s.fail("%q has a %% without two hexadecimal digits", part)
			return ""
		}
		b.WriteByte(byte(n))
		i += 2
	}
	if string(AppendEscaped(nil, b.String())) != part {
		s.fail("%q is not escaped the way keys are", part)
		return ""
	}
	return b.String()
}

// unmarshal unescapes a part and hands it to u. Text that u reads but writes
// differently is accepted: only u's type could tell.
func (s *keyScanner) unmarshal(part string, u encoding.TextUnmarshaler) {
	text := s.unescape(part)
	if s.err != nil {
		return
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		s.fail("%q: %s", text, keytext.Line(err.Error()))
	}
}

// done returns the first failure, or an error if segments are left over.
func (s *keyScanner) done() error {
	if s.err == nil && s.more {
		s.fail("the text goes on after the pattern: %q", s.rest)
	}
	return s.err
}
