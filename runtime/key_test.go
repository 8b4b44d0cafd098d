package runtime_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

func TestEscapedTextHoldsNothingThatSeparates(t *testing.T) {
	for in, out := range map[string]string{
		"":           "",
		"plain":      "plain",
		"a:b":        "a%3Ab",
		"100%":       "100%25",
		"{tag}":      "%7Btag%7D",
		"a\x00\n":    "a%00%0A",
		"@me":        "%40me",
		"me@x.com":   "me@x.com",
		"!d":         "%21d",
		"é\xff":      "é\xff",
		"http://x/y": "http%3A//x/y",
	} {
		if got := string(gen.AppendEscaped(nil, in)); got != out {
			t.Errorf("AppendEscaped(%q) = %q, want %q", in, got, out)
		}
	}
}

func FuzzEscaping(f *testing.F) {
	for _, s := range []string{"", "a:b", "%", "%3A", "@", "\x00", "é"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, two := gen.AppendEscaped(nil, a), gen.AppendEscaped(nil, b)
		if bytes.ContainsAny(one, ":{}") {
			t.Fatalf("%q has a separator", one)
		}
		if (a == b) != bytes.Equal(one, two) {
			t.Fatalf("%q and %q became %q and %q", a, b, one, two)
		}
		var got string
		if err := gen.ParseKey("{a}", string(one), &got); err != nil || got != a {
			t.Fatalf("%q was read back as %q, %v", a, got, err)
		}
		// Arbitrary text is read only if it is what would be written.
		if err := gen.ParseKey("{a}", a, &got); err == nil && string(gen.AppendEscaped(nil, got)) != a {
			t.Fatalf("%q was read as %q", a, got)
		}
	})
}

func TestParseKeyReadsEachForm(t *testing.T) {
	var (
		n    int8
		u    uint16
		b    bool
		str  string
		addr netip.Addr
	)
	err := gen.ParseKey("user:v{n}:{u}:{b}:{s}:{addr}", "user:v-5:7:true:a%3Ab:10.0.0.1", &n, &u, &b, &str, &addr)
	if err != nil || n != -5 || u != 7 || !b || str != "a:b" || addr.String() != "10.0.0.1" {
		t.Fatal(n, u, b, str, addr, err)
	}
}

func TestParseKeyRefusesWhatNobodyWrites(t *testing.T) {
	read := func(text string) error {
		var n int8
		var s string
		return gen.ParseKey("n:{n}:{s}", text, &n, &s)
	}
	if err := read("n:1:x"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "n", "n:1", "m:1:x", "n:+1:x", "n:01:x", "n:-0:x", "n:300:x", "n:a:x", "n:1:x:y", "n:1:%", "n:1:%3", "n:1:%zz", "n:1:%41", "n:1:%3a", "n:1:@x", "n::x"} {
		if err := read(text); err == nil {
			t.Errorf("%q was accepted", text)
		} else if !strings.Contains(err.Error(), "n:{n}:{s}") {
			t.Errorf("%q: the error does not name the key: %v", text, err)
		}
	}
}

type badText struct{}

func (badText) MarshalText() ([]byte, error) { return nil, errSource }

func TestAKeyWithoutTextIsAnError(t *testing.T) {
	c := newCache[badText, int](t, newStore(t, memoryTier()))
	if _, _, err := c.Get(t.Context(), badText{}); !errors.Is(err, errSource) {
		t.Errorf("got %v, want the key's error", err)
	}
	if err := c.Delete(t.Context(), badText{}); !errors.Is(err, errSource) {
		t.Errorf("got %v, want the key's error", err)
	}
	if _, err := runtime.NewCache[float64, int](newStore(t, memoryTier()), "values"); err == nil {
		t.Error("a float was accepted as a key")
	}
}

// A replacingText forgets the prefix that it is to append to.
type replacingText string

func (k replacingText) AppendText([]byte) ([]byte, error) { return []byte(k), nil }

func TestAKeyThatDoesNotAppendIsRefused(t *testing.T) {
	c := newCache[replacingText, int](t, newStore(t, memoryTier(), runtime.Prefix("app")))
	for _, key := range []replacingText{"elsewhere:k", "a", ""} {
		if err := c.Set(t.Context(), key, 1); err == nil {
			t.Errorf("%q was taken", key)
		}
	}
}
