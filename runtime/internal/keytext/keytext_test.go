package keytext

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func TestEscapedTextHoldsNoSeparatorAndNoReservedMark(t *testing.T) {
	for in, out := range map[string]string{
		"": "", "plain": "plain", "a:b": "a%3Ab", "100%": "100%25", "{tag}": "%7Btag%7D", "\x00\x1f\x7f ": "%00%1F%7F ",
		"@me": "%40me", "me@x.com": "me@x.com", "!d": "%21d", "d!": "d!", "é\xff": "é\xff", ":": "%3A", "a:": "a%3A",
	} {
		if got := string(AppendEscaped([]byte("before "), in)); got != "before "+out {
			t.Errorf("AppendEscaped(%q) = %q, want %q", in, got, out)
		}
	}
	if got := string(AppendHex(nil, 0xA5)); got != "%A5" {
		t.Error(got)
	}
}

type failing struct{}

func (failing) MarshalText() ([]byte, error) { return nil, errors.New("no text") }

func TestATextIsEscapedAndItsErrorNamesItsType(t *testing.T) {
	got, err := AppendText([]byte("k:"), netip.MustParseAddr("::1"))
	if err != nil || string(got) != "k:%3A%3A1" {
		t.Errorf("%q, %v", got, err)
	}
	got, err = AppendText([]byte("k:"), failing{})
	if err == nil || !strings.Contains(err.Error(), "keytext.failing") || !strings.Contains(err.Error(), "no text") || string(got) != "k:" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOnlyTheFormThatStrconvWritesIsATrailingInteger(t *testing.T) {
	for text, want := range map[string]int64{
		"7": 7, "0": 0, "-5": -5, "user:7": 7, "user:-7": -7, "a:b:0": 0, ":1": 1, "v1:2": 2,
		"k:9223372036854775807": math.MaxInt64, "k:-9223372036854775808": math.MinInt64,
	} {
		i, n, ok := TrailingInt(text)
		if !ok || n != want || text[:i]+strconv.FormatInt(n, 10) != text {
			t.Errorf("%q: %d, %d, %v", text, i, n, ok)
		}
	}
	for _, text := range []string{
		"", "a", "user", "user:", "user:x", "user7", "user:x7", "7:", "00", "07", "user:07", "-0", "user:-0", "-", "user:--7", "user:+7", "user: 7", "user:7-",
		"k:9223372036854775808", "k:-9223372036854775809", "k:99999999999999999999", "k:123456789012345678901234567890", "٣",
	} {
		if i, n, ok := TrailingInt(text); ok {
			t.Errorf("%q: %d, %d", text, i, n)
		}
	}
}

func FuzzTrailingInt(f *testing.F) {
	for _, text := range []string{"", "user:", "user", "a:-", "x:0"} {
		f.Add(text, int64(0))
	}
	f.Add("user:", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, text string, number int64) {
		if i, n, ok := TrailingInt(text); ok && (text[:i]+strconv.FormatInt(n, 10) != text || i > 0 && text[i-1] != ':') {
			t.Fatalf("%q was read as %q and %d", text, text[:i], n)
		}
		if i, n, ok := TrailingInt(text + ":" + strconv.FormatInt(number, 10)); !ok || n != number || i != len(text)+1 {
			t.Fatalf("%d after %q was read as %d at %d, %v", number, text, n, i, ok)
		}
	})
}

func FuzzAppendEscaped(f *testing.F) {
	for _, s := range []string{"", "a:b", "%", "%3A", "@", "a@", "!", "\x00", "\x7f", "é", "\xff", "{}"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, two := AppendEscaped(nil, a), AppendEscaped(nil, b)
		if bytes.ContainsAny(one, ":{}") || bytes.ContainsFunc(one, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			t.Fatalf("%q has a separator or a control byte", one)
		}
		if len(one) > 0 && (one[0] == '!' || one[0] == '@') {
			t.Fatalf("%q begins like a reserved key", one)
		}
		if (a == b) != bytes.Equal(one, two) {
			t.Fatalf("%q and %q became %q and %q", a, b, one, two)
		}
	})
}
