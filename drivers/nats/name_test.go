package nats

import (
	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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

// Kind: a record of ours that somebody else has written over. It is absent, and the next write
// heals it.
func TestForeignHeadersAreAbsentAndCanBeReplaced(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "there", Value: []byte("x")}}); err != nil { // makes the bucket
		t.Fatal(err)
	}
	for name, text := range map[string]string{expiresHeader: "soon", leaseUntilHeader: "x", leaseSinceHeader: "x", awaitedHeader: "yes", leaseHeader: "=", keyHeader: "5"} {
		spoil := func() {
			t.Helper()
			m := gonats.NewMsg(d.subject + "spoilt")
			m.Header.Set(name, text)
			m.Data = []byte("data")
			if _, err := d.js.PublishMsg(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		spoil()
		got, err := d.GetMany(ctx, []string{"there", "spoilt"})
		if err != nil || got[0] == nil || got[1] != nil {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		if err := d.Scan(ctx, "", func(keys []string) error {
			if slices.Contains(keys, "spoilt") {
				t.Errorf("%s: listed", name)
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		added, err := d.AddMany(ctx, []drivers.Item{{Key: "spoilt", Value: []byte("y")}})
		if err != nil || string(added[0]) != "y" {
			t.Errorf("%s: added %q, %v", name, added, err)
		}
		spoil()
		if taken, err := d.LeaseMany(ctx, []string{"spoilt"}, drivers.LeaseRequest{Token: "token", TTL: time.Minute}); err != nil || !taken[0].Taken {
			t.Errorf("%s: lease %v, %v", name, taken, err)
		}
		spoil()
		if swapped, err := d.SwapMany(ctx, []drivers.Swap{{Key: "spoilt", New: []byte("z")}}); err != nil || !swapped[0] {
			t.Errorf("%s: swapped %v, %v", name, swapped, err)
		}
	}
}
