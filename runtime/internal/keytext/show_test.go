package keytext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a key is, what is logged of it is one short line that shows where the key ends.
func TestShownNamesAreShortAndOnOneLine(t *testing.T) {
	for name, want := range map[string]string{
		"user:1":                 "user:1",
		"Jürgen Müller":          "Jürgen Müller",
		"":                       `""`,
		"a, b":                   `"a, b"`,
		"a\nERROR all is lost":   `"a\nERROR all is lost"`,
		"a\r\x1b[2Kb":            `"a\r\x1b[2Kb"`,
		"a\u202eb":               `"a\u202eb"`,
		"a\u2028b":               `"a\u2028b"`,
		"\xff":                   `"\xff"`,
		`say "no"`:               `"say \"no\""`,
		strings.Repeat("x", 1e7): `"` + strings.Repeat("x", shown) + `"… (10000000 bytes)`,
	} {
		if got := Show(name); got != want {
			t.Errorf("%.40q is shown as %.200s", name, got)
		}
	}
	for n := range 8 {
		if got := Show(strings.Repeat("x", n) + strings.Repeat("ü", shown)); !utf8.ValidString(got) || strings.Contains(got, `\x`) {
			t.Errorf("a character is cut: %s", got)
		}
	}
	if got := ShowAll([]string{"a", "b\n", "c", "d", "e"}); got != `a, "b\n", c and 2 more` {
		t.Error(got)
	}
}
