package diag

import (
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func at(file string, line, column int) token.Position {
	return token.Position{Filename: filepath.FromSlash(file), Line: line, Column: column}
}

func TestPrintSortsByPositionAndIndentsDetails(t *testing.T) {
	var l List
	l.Addf(at("/w/b/b.go", 1, 1), Verb, "unknown directive //cache:%s", "x")
	l.Addf(at("/w/a.go", 10, 2), Option, "option %q is given twice", "ttl").
		Relatedf(at("/w/a.go", 9, 4), "the first").
		Hintf("remove one")
	l.Addf(at("/w/a.go", 9, 8), Target, "no function FindUsr").Suggest("FindUsr", []string{"FindTeam", "FindUser"})
	l.Addf(at("/w/b/b.go", 1, 1), Verb, "unknown directive //cache:x") // said before
	l.Addf(at("/else/c.go", 3, 1), Stray, "elsewhere")
	var b strings.Builder
	if err := l.Print(&b, "/w"); err != nil {
		t.Fatal(err)
	}
	const want = `/else/c.go:3:1: elsewhere [stray]
a.go:9:8: no function FindUsr [target]
	did you mean "FindUser"?
a.go:10:2: option "ttl" is given twice [option]
	a.go:9:4: the first
	remove one
b/b.go:1:1: unknown directive //cache:x [verb]
`
	if got := filepath.ToSlash(b.String()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestInIsAboutOneDirectory(t *testing.T) {
	var l List
	l.Addf(at("/w/a/a.go", 1, 1), Verb, "x")
	for dir, want := range map[string]bool{"/w/a": true, "/w": false, "/w/a/b": false, "/w/b": false} {
		if got := l.In(filepath.FromSlash(dir)); got != want {
			t.Errorf("In(%s) = %t", dir, got)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"ttl", "timeout", "hardtimeout", "tag", "store", "shared", "id"}
	for word, want := range map[string]string{
		"tll": "ttl", "TTL": "ttl", "timout": "timeout", "hard-timeout": "hardtimeout", "hardtimeuot": "hardtimeout",
		"sotre": "store", "share": "shared", "uid": "id",
		"x": "", "grace": "", "namespace": "", "": "",
	} {
		if got, _ := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// A code is told apart by its name, and a warning can be silenced by it.
func TestCodesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes() {
		if c.String() == "" || c.About() == "" || seen[c.String()] {
			t.Errorf("code %q: %q", c, c.About())
		}
		seen[c.String()] = true
		if c.Warning() != slices.Contains(Warnings(), c.String()) {
			t.Errorf("code %q is a warning: %t", c, c.Warning())
		}
	}
}
