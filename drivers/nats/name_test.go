package nats

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	gonats "github.com/nats-io/nats.go"
)

func TestNames(t *testing.T) {
	for key, want := range map[string]string{
		"": "=", ":": "=.=", "a": "a", "a:": "a.=", ":a": "=.a", "a::b": "a.=.b", "users:v1:7": "users.v1.7",
		"a.b": "a=2Eb", "=": "=3D", "==": "=3D=3D", "a b": "a=20b", "ä": "=C3=A4", "A/b_c-d": "A/b_c-d", "*": "=2A", ">": "=3E",
	} {
		if got := name(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// asBucketsWant is what the tools of NATS take for the name of a key.
var asBucketsWant = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

func TestNamesAreNamesAndTellKeysApart(t *testing.T) {
	seen := make(map[string]string)
	check := func(key string) {
		n := name(key)
		if !asBucketsWant.MatchString(n) || len(n) > maxName {
			t.Fatalf("key %s: name %q", brief(key), n)
		}
		if other, ok := seen[n]; ok && other != key {
			t.Fatalf("keys %s and %s have the same name %q", brief(key), brief(other), n)
		}
		seen[n] = key
		if hashed(n) {
			return
		}
		if back, err := keyOf(n); err != nil || back != key {
			t.Fatalf("key %s, name %q: back %q, %v", brief(key), n, back, err)
		}
		for cut := range len(key) + 1 {
			if words := wordsOf(key[:cut]); !strings.HasPrefix(n, words) || len(n) == len(words) {
				t.Fatalf("key %s: its name %q is not below %q, the words of %s", brief(key), n, words, brief(key[:cut]))
			}
		}
	}
	const letters = ":::.=aA \x00\xff*>"
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		for range random.IntN(9) {
			b.WriteByte(letters[random.IntN(len(letters))])
		}
		check(b.String())
	}
	for _, length := range []int{341, 342, 1024, 1025, 64 << 10} {
		for _, letter := range []string{"a", ":", "\xff"} {
			check(strings.Repeat(letter, length))
		}
	}
}

func TestForeignNames(t *testing.T) {
	for _, name := range []string{"=4", "a=", "=ZZ", "a.=", "=A", "=61", "a=2b", "a+", "a=.b"} {
		key, err := keyOf(name)
		if valid := name == "a.="; (err == nil) != valid {
			t.Errorf("%q: %q, %v", name, key, err)
		}
	}
}

func TestForeignHeadersAreAnError(t *testing.T) {
	for name, text := range map[string]string{expiresHeader: "soon", leaseUntilHeader: "x", leaseHeader: "=", keyHeader: "5"} {
		if _, err := parse(gonats.Header{name: {text}}, []byte("data"), 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
