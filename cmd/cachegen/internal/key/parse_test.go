package key

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// describe writes a pattern with the offset of everything in it.
func describe(p Pattern) string {
	var parts []string
	for _, s := range p.Segments {
		part := fmt.Sprintf("%d:%q", s.Offset, s.Before)
		if s.Value != nil {
			part += fmt.Sprintf(" %d{", s.Value.Offset)
			for i, n := range s.Value.Path {
				if i > 0 {
					part += " "
				}
				part += fmt.Sprintf("%d:%s", n.Offset, n.Text)
			}
			part += fmt.Sprintf("} %q", s.After)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | ")
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"config", `0:"config"`},
		{"{id}", `0:"" 0{1:id} ""`},
		{"user:{id}", `0:"user" | 5:"" 5{6:id} ""`},
		{"user:{id}:orders", `0:"user" | 5:"" 5{6:id} "" | 10:"orders"`},
		{"u:v-{a.B.C}.json", `0:"u" | 2:"v-" 4{5:a 7:B 9:C} ".json"`},
		{"größe:{größe}", `0:"größe" | 8:"" 8{9:größe} ""`},
		{"a!b@c:x!", `0:"a!b@c" | 6:"x!"`},
	} {
		pattern, problems := Parse(test.text)
		if len(problems) > 0 {
			t.Errorf("Parse(%q): unexpected problems %v", test.text, problems)
		}
		if got := describe(pattern); got != test.want {
			t.Errorf("Parse(%q)\ngot  %s\nwant %s", test.text, got, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string // offset, whether reserved, message
	}{
		{"", []string{"0 the key is empty"}},
		{":", []string{"0 empty segment", "1 empty segment"}},
		{"user:", []string{"5 empty segment"}},
		{"user::{id}", []string{"5 empty segment"}},
		{"user:{}", []string{"5 empty placeholder"}},
		{"user:{id", []string{"5 '{' without '}'"}},
		{"user:{id:{x}", []string{"5 '{' without '}'", "9 two placeholders in one segment"}},
		{"user:id}", []string{"7 '}' without '{'"}},
		{"user:{id}{name}", []string{"9 two placeholders in one segment"}},
		{"user:{id}-{name}-{x}", []string{"10 two placeholders in one segment", "17 two placeholders in one segment"}},
		{"user:{1}", []string{"5 {1} is not a placeholder"}},
		{"user:{a..b}", []string{"5 {a..b} is not a placeholder"}},
		{"user:{ id }", []string{"5 { id } is not a placeholder"}},
		{"user:{type}", []string{"5 {type} is not a placeholder"}},
		{"100%:{id}", []string{"3 '%' cannot be in a pattern: it marks escaped bytes"}},
		{"a b:{id}", []string{"1 ' ' cannot be in a pattern"}},
		{"a\tb", []string{`1 '\t' cannot be in a pattern`}},
		{"@stamp:{id}", []string{"0 reserved: segments that begin with @ are reserved for the runtime"}},
		{"!x", []string{"0 reserved: segments that begin with ! are reserved for the runtime"}},
	} {
		_, problems := Parse(test.text)
		var got []string
		for _, p := range problems {
			reserved := ""
			if p.Reserved {
				reserved = "reserved: "
			}
			got = append(got, fmt.Sprintf("%d %s%s", p.Offset, reserved, p.Message))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Parse(%q)\ngot  %q\nwant %q", test.text, got, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", ":", "user:{id}", "a{b.c}d:{e}", "{", "}", "{}", "{{a}}", "a:{b", "%\x00", "é{é}", "\xff{\xff}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pattern, problems := Parse(text)
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > len(text) {
				t.Errorf("Parse(%q): problem %q at offset %d", text, p.Message, p.Offset)
			}
		}
		if len(problems) > 0 {
			return
		}
		// What is accepted is understood whole: the parts give the text again.
		var parts []string
		for _, s := range pattern.Segments {
			part := s.Before
			if s.Value != nil {
				part += "{" + s.Value.String() + "}" + s.After
			}
			if !strings.HasPrefix(text[s.Offset:], part) {
				t.Errorf("Parse(%q): segment %q is not at offset %d", text, part, s.Offset)
			}
			parts = append(parts, part)
		}
		if got := strings.Join(parts, ":"); got != text {
			t.Errorf("Parse(%q) understood %q", text, got)
		}
	})
}
