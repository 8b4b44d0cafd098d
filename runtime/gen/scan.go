package gen

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"
)

// A KeyScanner takes the text of a key apart, segment by segment. Generated
// parsers use it. After the first failure its methods return zero values and
// [KeyScanner.Done] returns the error.
type KeyScanner struct {
	pattern, text, rest string
	more                bool // a segment is left, possibly an empty one
	err                 error
}

// ScanKey starts on text; pattern is how errors call the key.
func ScanKey(pattern, text string) *KeyScanner {
	return &KeyScanner{pattern: pattern, text: text, rest: text, more: true}
}

func (s *KeyScanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("cachegen: parse key %q with pattern %s: %s", s.text, s.pattern, fmt.Sprintf(format, args...))
	}
}

func (s *KeyScanner) next() string {
	if !s.more {
		s.fail("the text ends before the pattern does")
		return ""
	}
	var segment string
	segment, s.rest, s.more = strings.Cut(s.rest, ":")
	return segment
}

// Literal reads a segment that is exactly text.
func (s *KeyScanner) Literal(text string) {
	if segment := s.next(); segment != text {
		s.fail("segment %q is not %q", segment, text)
	}
}

// Segment reads a segment and returns what is between before and after in it.
func (s *KeyScanner) Segment(before, after string) string {
	segment := s.next()
	if len(segment) < len(before)+len(after) || !strings.HasPrefix(segment, before) || !strings.HasSuffix(segment, after) {
		s.fail("segment %q does not begin with %q and end with %q", segment, before, after)
		return ""
	}
	return segment[len(before) : len(segment)-len(after)]
}

// Int parses a part that is a decimal integer of so many bits; 0 stands for int.
func (s *KeyScanner) Int(part string, bits int) int64 {
	n, err := strconv.ParseInt(part, 10, bits)
	if err != nil || strconv.FormatInt(n, 10) != part {
		s.fail("%q is not a decimal integer, without leading zeros, that fits its type", part)
		return 0
	}
	return n
}

// Uint parses a part that is an unsigned decimal integer; bits is as for Int.
func (s *KeyScanner) Uint(part string, bits int) uint64 {
	n, err := strconv.ParseUint(part, 10, bits)
	if err != nil || strconv.FormatUint(n, 10) != part {
		s.fail("%q is not an unsigned decimal integer, without leading zeros, that fits its type", part)
		return 0
	}
	return n
}

// Bool parses a part that is true or false.
func (s *KeyScanner) Bool(part string) bool {
	if part != "true" && part != "false" {
		s.fail("%q is neither true nor false", part)
	}
	return part == "true"
}

// String undoes [AppendEscaped]. It refuses what AppendEscaped cannot have written.
func (s *KeyScanner) String(part string) string {
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

// Text unescapes a part and hands it to u. Text that u reads but writes
// differently is accepted: only u's type could tell.
func (s *KeyScanner) Text(part string, u encoding.TextUnmarshaler) {
	text := s.String(part)
	if s.err != nil {
		return
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		s.fail("%q: %v", text, err)
	}
}

// Done returns the first failure, or an error if segments are left over.
func (s *KeyScanner) Done() error {
	if s.err == nil && s.more {
		s.fail("the text goes on after the pattern: %q", s.rest)
	}
	return s.err
}
