package directive

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t *testing.T, src string) (*token.FileSet, []*Directive, *diag.List) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	list := &diag.List{}
	all, _ := Parse(fset, file, list)
	return fset, all, list
}

func messages(t *testing.T, list *diag.List) string {
	t.Helper()
	var b strings.Builder
	if err := list.Print(&b, "."); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// at returns the source from pos on, as long as want.
func at(fset *token.FileSet, src string, pos token.Pos, want string) string {
	rest := src[fset.Position(pos).Offset:]
	return rest[:min(len(rest), len(want))]
}

func TestContinuationLinesAreMerged(t *testing.T) {
	const src = `package p

// F does.
//
//cache:getorset user:{id} ttl=5m tag=a
//cache:with tag=b:{id} shared
//go:noinline
//cache:with "store=my store" grace=1w2d3h
func F(id int)
`
	fset, all, list := parse(t, src)
	if got := messages(t, list); got != "" {
		t.Fatal(got)
	}
	if len(all) != 1 {
		t.Fatalf("got %d directives, want 1", len(all))
	}
	d := all[0]
	if d.Verb != GetOrSet || d.Func == nil || d.Func.Name.Name != "F" || d.Decl != ast.Decl(d.Func) || d.TypeSpec != nil {
		t.Errorf("directive is %+v", d)
	}
	if got := at(fset, src, d.VerbPos, "getorset "); got != "getorset " {
		t.Errorf("VerbPos is at %q", got)
	}
	if key := d.Positional(); len(key) != 1 || key[0].Text != "user:{id}" {
		t.Errorf("positional arguments are %v", key)
	}
	if _, ok := d.Flag("shared"); !ok {
		t.Error("the flag shared is missing")
	}
	var tags []string
	for _, tag := range d.Options("tag") {
		tags = append(tags, tag.Value)
	}
	if got := strings.Join(tags, " "); got != "a b:{id}" {
		t.Errorf("tags are %s", got)
	}
	for _, a := range d.Args {
		if got := at(fset, src, a.TextPos(), a.Text); got != a.Text {
			t.Errorf("TextPos of %q is at %q", a.Text, got)
		}
		if got := at(fset, src, a.ValuePos, a.Value); got != a.Value {
			t.Errorf("ValuePos of %q is at %q", a.Text, got)
		}
	}
	if got, _, ok := d.Duration("grace"); !ok || got != (9*24+3)*time.Hour {
		t.Errorf("grace is %v, %t", got, ok)
	}
	if _, _, ok := d.Duration("timeout"); ok {
		t.Error("there is a timeout")
	}
}

func TestSpacesInsideParentheses(t *testing.T) {
	const src = `package p

//cache:delete FindUser(id, "a ) b") FindTeam( u.Team ) tag=x
//cache:expire Other()
func F(id int)
`
	_, all, list := parse(t, src)
	if got := messages(t, list); got != "" {
		t.Fatal(got)
	}
	var got []string
	for _, d := range all {
		for _, a := range d.Args {
			got = append(got, a.Text)
		}
	}
	want := []string{`FindUser(id, "a ) b")`, `FindTeam( u.Team )`, `tag=x`, `Other()`}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("arguments are %q, want %q", got, want)
	}
}

func TestTypesOfAGroupHaveTheirOwnDirectives(t *testing.T) {
	_, all, list := parse(t, `package p

type (
	//cache:wrap CachedA
	A struct{}

	//cache:wrap ttl=forever
	B struct{}
)

//cache:wrap
type C struct{}
`)
	if got := messages(t, list); got != "" {
		t.Fatal(got)
	}
	var got []string
	for _, d := range all {
		got = append(got, d.TypeSpec.Name.Name)
	}
	if strings.Join(got, " ") != "A B C" {
		t.Errorf("directives are on %v", got)
	}
	if ttl, _, ok := all[1].Duration("ttl"); !ok || ttl != Forever {
		t.Errorf("ttl of B is %v, %t", ttl, ok)
	}
}

// What people write about caches is not refused.
func TestProseIsNotADirective(t *testing.T) {
	for _, text := range []string{
		"// cache: the thing that holds users",
		"// cache: delete the entry and expire(id) the others",
		"// cache: set",
		"// Cache: wrap it up, ttl (time to live) included",
		"// cache:delete removes an entry",
		"// Cached set of users",
		"// cache wraps a store",
		"// cached with ttl=5m",
		"// cache.Delete(ctx, key)",
		"// cache.Get",
		"// cache/set is a package",
		"// caching: with care",
		"// cache: see wrap(x)",
		"// catch: delete foo(x)",
		"//\tcache:getorset user:{id}",
		"//    //cache:getorset user:{id}",
		"// //cache:getorset user:{id}",
		"// The directive cache:getorset user:{id}",
		"//cached: reads",
		"// cache: read users(1), then update them",
		"// ache: delete the entry",
		"// cathe:getorset",
		"////cache:getorset user:{id}",
		"// @cache users",
		"//nolint:cache",
		"//go:generate go tool cachegen",
		"/* cache: the thing */",
	} {
		_, all, list := parse(t, "package p\n\n"+text+"\nfunc F() {}\n")
		if got := messages(t, list); got != "" || len(all) > 0 {
			t.Errorf("%s: %d directives, problems:\n%s", text, len(all), got)
		}
	}
}

func TestCommasSeparateNothing(t *testing.T) {
	for line, want := range map[string]string{
		"getorset user:{id}, ttl=5m":           `3:18: "user:{id}," has a comma`,
		"getorset user:{id},ttl=5m":            `3:18: "user:{id},ttl=5m" has a comma`,
		"getorset user:{id} namespace=a, b":    `3:28: "namespace=a," has a comma`,
		"getorset user:{id} tag=a,b":           `3:28: tag takes one value, and "a,b" has a comma`,
		"getorset user:{id} ignore=a,b":        `3:28: ignore takes one value, and "a,b" has a comma`,
		"getorset user:{id} shared, ttl=5m":    `3:28: "shared," has a comma`,
		"delete FindUser(id), FindTeam(t)":     `3:16: "FindUser(id)," has a comma`,
		"delete FindUser(id, t) Other(\"a,\")": "",
		"getorset user:a,b:{id}":               "",
	} {
		_, _, list := parse(t, "package p\n\n//cache:"+line+"\nfunc F()\n")
		got, _, _ := strings.Cut(messages(t, list), " [syntax]\n")
		if want != "" {
			want = "p.go:" + want
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

// Get is a letter away from set, and means getorset.
func TestGetIsGetOrSet(t *testing.T) {
	_, _, list := parse(t, "package p\n\n//cache:get user:{id}\nfunc F()\n")
	if got := messages(t, list); !strings.Contains(got, "did you mean //cache:getorset?") {
		t.Error(got)
	}
}

func TestNearMisses(t *testing.T) {
	for text, want := range map[string]string{
		"// cache:getorset user:{id}":              "//cache:getorset user:{id}",
		"//  cache:getorset":                       "//cache:getorset",
		"// cache: getorset user:{id} tag=a":       "//cache:getorset user:{id} tag=a",
		"// cache:delete FindUser(id)":             "//cache:delete FindUser(id)",
		"// cache:delete FindUser(id) FindTeam(t)": "//cache:delete FindUser(id) FindTeam(t)",
		"// cache:delete tag=team:{id}":            "//cache:delete tag=team:{id}",
		"// cache:wrap CachedRepo ttl=5m":          "//cache:wrap CachedRepo ttl=5m",
		"// cache:wrap CachedRepo":                 "//cache:wrap CachedRepo",
		"// cache:wrap":                            "//cache:wrap",
		"// cache:with ttl=5m":                     "//cache:with ttl=5m",
		"// cache:batch FindUser(ids)":             "//cache:batch FindUser(ids)",
		"//CACHE:getorset user:{id}":               "//cache:getorset user:{id}",
		"//cache:GetOrSet user:{id}":               "//cache:getorset user:{id}",
		"//cache getorset user:{id}":               "//cache:getorset user:{id}",
		"//cache=getorset user:{id}":               "//cache:getorset user:{id}",
		"//cachegen:expire FindUser(id)":           "//cache:expire FindUser(id)",
		"//cahce:getorset user:{id}":               "//cache:getorset user:{id}",
		"//cahe:getorset user:{id}":                "//cache:getorset user:{id}",
		"//caache:delete FindUser(id)":             "//cache:delete FindUser(id)",
		"//cacge:delete FindUser(id)":              "//cache:delete FindUser(id)",
		"//cache::getorset user:{id}":              "//cache:getorset user:{id}",
		"///cache:getorset user:{id}":              "//cache:getorset user:{id}",
		"//@cache:getorset user:{id}":              "//cache:getorset user:{id}",
		"// @cache:delete FindUser(id)":            "//cache:delete FindUser(id)",
		"// cache:delte FindUser(id)":              "//cache:delete FindUser(id)",
		"/*cache:getorset user:{id}*/":             "//cache:getorset user:{id}",
		"//+cache:getorset user:{id}":              "//cache:getorset user:{id}",
		"// +cache:getorset user:{id} ttl=5m":      "//cache:getorset user:{id} ttl=5m",
		"// + cache:delete FindUser(id)":           "//cache:delete FindUser(id)",
		"//go:cache:getorset user:{id}":            "//cache:getorset user:{id}",
		"// go:cache:expire FindUser(id)":          "//cache:expire FindUser(id)",
		"// cache:get user:{id}":                   "//cache:getorset user:{id}",
		"/*\n cache:getorset user:{id}\n*/":        "//cache:getorset user:{id}",
	} {
		src := "package p\n\n" + text + "\nfunc F() {}\n"
		_, _, list := parse(t, src)
		all := list.All()
		if len(all) != 1 || all[0].Code != diag.Stray || len(all[0].Hints) != 1 || all[0].Hints[0] != "write "+want {
			t.Errorf("%s: problems:\n%s", text, messages(t, list))
		}
		if !Mentions([]byte(src)) {
			t.Errorf("%s: not mentioned", text)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"300ms": 300 * time.Millisecond, "1h30m": 90 * time.Minute, "2d": 2 * day, "1w": 7 * day,
		"1w1d1h": 8*day + time.Hour, "0.5s": 500 * time.Millisecond, "0d1s": time.Second,
		"0": 0, "0s": 0, "0d": 0,
	} {
		if got, err := ParseDuration(text, false); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "5", "d", "w", "1.5d", "1d1w", "1d-1h", "+1h", "-1h", "forever", "Forever", "15251w", "106752d", "5 m", "1dd", "1d1d",
	} {
		if got, err := ParseDuration(text, false); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
	for _, text := range []string{"0", "0s", "0d"} {
		if got, err := ParseDuration(text, true); err == nil {
			t.Errorf("ParseDuration(%q) = %v for a ttl, want an error", text, got)
		}
	}
	if got, err := ParseDuration("forever", true); err != nil || got != Forever {
		t.Errorf("forever is %v, %v", got, err)
	}
}

// What is written as in other tools, or with a slip, has one hint and the edit that follows it.
func TestRewrites(t *testing.T) {
	for text, want := range map[string]string{
		`//cache:invalidate FindUser(id)`:      `delete`,
		`//cache:remove FindUser(id)`:          `delete`,
		`//cache:memoize user:{id}`:            `getorset`,
		`//cache:put FindUser(id)`:             `set`,
		`//cache:flush users`:                  `clear`,
		`//cache:getorset:user:{id} ttl=5m`:    `getorset user:{id}`,
		`//cache:delete=FindUser(id)`:          `delete FindUser(id)`,
		`//cache:getorset key=user:{id}`:       `user:{id}`,
		`//cache:getorset user:{id} --ttl=5m`:  `ttl=5m`,
		`//cache:getorset user:{id} ttl="5m"`:  `ttl=5m`,
		"//cache:getorset user:{id} store=`a`": `store=a`,
		`//cache:getorset u store="a\tb"`:      `"store=a\tb"`,
		`//cache:delete tag="a"`:               `tag=a`,
		`//cache:getorset user:{id},ttl=5m`:    `user:{id} ttl=5m`,
		`//cache:delete F() tag:x`:             `tag=x`,
		`//cache:getorset user:{id} ttl:5m`:    `ttl=5m`,
	} {
		_, _, list := parse(t, "package p\n\n"+text+"\nfunc F() {}\n")
		all := list.All()
		if len(all) != 1 || len(all[0].Hints) != 1 || len(all[0].Edits) != 1 || all[0].Edits[0].New != want {
			t.Errorf("%s: %+v, problems:\n%s", text, all, messages(t, list))
		}
	}
}

// Quotes around the value alone are not taken apart.
func TestQuotedValues(t *testing.T) {
	for text, want := range map[string]string{
		`store="my store"`: `write "store=my store"`,
		`store="my`:        `write "store=…"`,
		`store=""`:         `write "store=…"`,
	} {
		_, _, list := parse(t, "package p\n\n//cache:getorset u "+text+"\nfunc F() {}\n")
		if all := list.All(); len(all) != 1 || all[0].Hints[0] != want {
			t.Errorf("%s: problems:\n%s", text, messages(t, list))
		}
	}
}
