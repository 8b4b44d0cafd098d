package explain

import (
	"strings"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// A page says what the code means, shows both examples, and whether allow= silences it.
func TestPagesAreWhole(t *testing.T) {
	for _, code := range diag.Codes() {
		page, err := Read(code)
		if err != nil {
			t.Fatal(err)
		}
		if page.Text == "" || len(page.Wrong) == 0 || len(page.Right) == 0 || page.Report == "" {
			t.Errorf("the page of %s lacks its text, an example or the report", code)
		}
		var b strings.Builder
		if err := page.Print(&b); err != nil {
			t.Fatal(err)
		}
		if silenced := strings.Contains(b.String(), "add allow="+code.String()+" to"); silenced != code.Warning() {
			t.Errorf("the page of %s says that allow= silences it: %t", code, silenced)
		}
		if strings.Contains(b.String(), "\n\n\n") {
			t.Errorf("the page of %s has two empty lines in a row", code)
		}
	}
}

func TestFindSuggestsTheNearestCode(t *testing.T) {
	for name, want := range map[string]string{"unsued": "unused", "placeholders": "placeholder", "Overlap": "overlap", "quantum": ""} {
		if _, ok, nearest := Find(name); ok || nearest != want {
			t.Errorf("Find(%s) = %t, nearest %q, want %q", name, ok, nearest, want)
		}
	}
	if code, ok, _ := Find("target"); !ok || code != diag.Target {
		t.Error("Find does not find target")
	}
}

// The list has every code once, with what it means.
func TestListHasEveryCode(t *testing.T) {
	var b strings.Builder
	if err := List(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	codes := diag.Codes()
	if len(lines) != len(codes) {
		t.Fatalf("%d lines for %d codes", len(lines), len(codes))
	}
	for i, c := range codes {
		if !strings.HasPrefix(lines[i], c.String()+" ") || !strings.Contains(lines[i], c.About()) {
			t.Errorf("line %q is for %s", lines[i], c)
		}
	}
}
