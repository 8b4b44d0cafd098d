package value

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"testing"
)

// A source is a package of one file.
type source struct{ path, text string }

// An imports is what a package under test can import: packages before it, and the
// standard library.
type imports map[string]*types.Package

func (i imports) Import(path string) (*types.Package, error) {
	if p := i[path]; p != nil {
		return p, nil
	}
	return std.Import(path)
}

// fingerprint is that of variable v of the last package.
func fingerprint(t *testing.T, sources ...source) uint64 {
	t.Helper()
	known := imports{}
	for i, s := range sources {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "p.go", s.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		config := types.Config{Importer: imports(maps.Clone(known))}
		pkg, err := config.Check(s.path, fset, []*ast.File{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		known[s.path] = pkg
		if i == len(sources)-1 {
			return Fingerprint(pkg.Scope().Lookup("v").Type(), pkg)
		}
	}
	t.Fatal("no source")
	return 0
}

// user is a package with declarations, which may begin with imports, and another one
// that it imports.
func user(declarations, model string) []source {
	return []source{
		{"example.com/app/model", "package model\n" + model},
		{"example.com/app", "package app\nimport \"example.com/app/model\"\n" + declarations +
			"\nvar _ model.Team\ntype Page[T any] struct { Items []T }"},
	}
}

const (
	model  = "type Team struct { ID int64; Name string }; type Box[T any] struct { V T }; func (Box[T]) MarshalText() ([]byte, error) { return nil, nil }"
	marked = "; func (Team) MarshalMsgpack() ([]byte, error) { return nil, nil }; func (*Team) UnmarshalMsgpack([]byte) error { return nil }"
	text   = "; func (Team) MarshalText() ([]byte, error) { return nil, nil }; func (*Team) UnmarshalText([]byte) error { return nil }"
	// whole reaches Team as a field, behind pointers, and as an argument.
	whole = "type User struct { ID int64; Team *model.Team; Pages map[string]Page[model.Team]; Self *User }; var v *User"
)

// These are stored with entries: if one changes, every entry of such a type in every
// shared tier becomes a miss, so there has to be a reason, and codecVersion to change.
func TestPinnedFingerprints(t *testing.T) {
	for _, test := range []struct {
		declarations, model string
		want                uint64
	}{
		{"var v int64", model, 0x508a103c3b064e04},
		{"var v []byte", model, 0x8c63a9ae6b3fe1bb},
		{"import \"time\"\nvar v map[string]time.Time", model, 0x8775da4f676bf08f},
		{whole, model, 0x2a7647af35fc83d9},
		{"type User struct { ID int `msgpack:\"id,omitempty,alias:key\"`; *model.Team }; var v User", model, 0xd3508dc077328260},
		{"var v []model.Team", model + marked, 0xcd2169ff162664f7},
		{"type Tree map[string]Tree; var v Tree", model, 0xed06e186d4ff3f38},
		{"import (\"net/netip\"; \"net/url\"; \"database/sql\")\nvar v struct { A netip.Addr; U *url.URL; N sql.Null[int] }", model, 0x3274360821dad0c8},
	} {
		if got := fingerprint(t, user(test.declarations, test.model)...); got != test.want {
			t.Errorf("%s\n%s\nhas %#016x, want %#016x", test.declarations, test.model, got, test.want)
		}
	}
}

// What is not about the value's bytes does not change a fingerprint.
func TestFingerprintsStay(t *testing.T) {
	want := fingerprint(t, user(whole, model)...)
	for name, sources := range map[string][]source{
		"order":           user("var v *User; type User struct { ID int64; Team *model.Team; Pages map[string]Page[model.Team]; Self *User }", model),
		"other types":     user("type Aaa struct{}; func (Aaa) M() {}; "+whole+"; type Zzz int", "type Other struct{ X int }; "+model),
		"a text":          user(whole, model+text),
		"methods":         user(whole+"; func (u *User) Name() string { return \"\" }", model+"; func (Team) String() string { return \"\" }"),
		"an alias":        user("type Alias = model.Team; type User struct { ID int64; Team *Alias; Pages map[string]Page[Alias]; Self *User }; var v *User", model),
		"a name":          user("type Person struct { ID int64; Team *model.Team; Pages map[string]Page[model.Team]; Self *Person }; var v *Person", model),
		"named kinds":     user("type ID int64; type User struct { ID ID; Team *model.Team; Pages map[string]Page[model.Team]; Self *User }; var v *User", model),
		"unwritten":       user("type User struct { ID int64; Team *model.Team; Pages map[string]Page[model.Team]; Self *User; c chan int `msgpack:\"-\"` }; var v *User", model),
		"other tags":      user("type User struct { ID int64 `json:\"id\"`; Team *model.Team; Pages map[string]Page[model.Team]; Self *User }; var v *User", model),
		"the same again":  user(whole, model),
		"another package": {{"example.com/app/model", "package model\n" + model}, {"example.com/other", user(whole, model)[1].text}},
	} {
		if got := fingerprint(t, sources...); got != want {
			t.Errorf("%s: got %#x, want %#x", name, got, want)
		}
	}
}

// What is about its bytes does, wherever it is.
func TestFingerprintsChange(t *testing.T) {
	was := map[uint64]string{fingerprint(t, user(whole, model)...): "the first"}
	const pages = "; Pages map[string]Page[model.Team]; Self *User }; var v *User"
	for name, sources := range map[string][]source{
		"a field's name":            user("type User struct { Id int64; Team *model.Team"+pages, model),
		"its type":                  user("type User struct { ID int32; Team *model.Team"+pages, model),
		"its sign":                  user("type User struct { ID uint64; Team *model.Team"+pages, model),
		"its tag":                   user("type User struct { ID int64 `msgpack:\"id\"`; Team *model.Team"+pages, model),
		"omitempty":                 user("type User struct { ID int64 `msgpack:\",omitempty\"`; Team *model.Team"+pages, model),
		"an alias in a tag":         user("type User struct { ID int64 `msgpack:\",alias:id\"`; Team *model.Team"+pages, model),
		"a field left out":          user("type User struct { ID int64; Team *model.Team `msgpack:\"-\"`"+pages, model),
		"a field more":              user("type User struct { ID int64; Team *model.Team; N int"+pages, model),
		"the order":                 user("type User struct { Team *model.Team; ID int64"+pages, model),
		"no pointer":                user("type User struct { ID int64; Team model.Team"+pages, model),
		"embedded":                  user("type User struct { X int64; *model.Team"+pages, model),
		"embedded by value":         user("type User struct { X int64; model.Team"+pages, model),
		"embedded under its name":   user("type User struct { X int64; *model.Team `msgpack:\",noinline\"`"+pages, model),
		"without names":             user("type User struct { _msgpack struct{} `msgpack:\",as_array\"`; ID int64; Team *model.Team"+pages, model),
		"not a pointer":             user("type User struct { ID int64; Team *model.Team; Pages map[string]Page[model.Team]; Self *User }; var v User", model),
		"a key's type":              user("type User struct { ID int64; Team *model.Team; Pages map[int]Page[model.Team]; Self *User }; var v *User", model),
		"an argument":               user("type User struct { ID int64; Team *model.Team; Pages map[string]Page[string]; Self *User }; var v *User", model),
		"an array":                  user("type User struct { ID [8]int64; Team *model.Team"+pages, model),
		"its length":                user("type User struct { ID [9]int64; Team *model.Team"+pages, model),
		"a slice":                   user("type User struct { ID []int64; Team *model.Team"+pages, model),
		"a name elsewhere":          user(whole, "type Team struct { ID int64; Title string }"),
		"a type elsewhere":          user(whole, "type Team struct { ID int64; Name []byte }"),
		"its own methods":           user(whole, model+marked),
		"its own methods and names": user(whole, "type Team struct { ID int64; Title string }"+marked),
		"its own, of text":          user(whole, "type Team struct { ID int64; Name string; n int }"+text),
		"its numbers":               user("type Kind int; func (Kind) MarshalText() ([]byte, error) { return nil, nil }; const (One Kind = iota; Two); var v Kind", model),
		"its numbers, changed":      user("type Kind int; func (Kind) MarshalText() ([]byte, error) { return nil, nil }; const (Zero Kind = iota; One; Two); var v Kind", model),
		"a name behind its own":     user(whole, "type name struct { first string }; type Team struct { ID int64; n *name }"+marked),
		"a type behind its own":     user(whole, "type name struct { first []string }; type Team struct { ID int64; n *name }"+marked),
		"its own argument":          user("var v model.Box[model.Team]", model),
		"its own argument's field":  user("var v model.Box[model.Team]", "type Team struct { ID int64; Title string }; type Box[T any] struct { V T }; func (Box[T]) MarshalText() ([]byte, error) { return nil, nil }"),
	} {
		got := fingerprint(t, sources...)
		if before, ok := was[got]; ok {
			t.Errorf("%s and %s have one fingerprint", name, before)
		}
		was[got] = name
	}
}

// Go's releases change what types of the standard library have inside. Their own
// methods go on to read what they wrote.
func TestFingerprintsOfTheStandardLibrary(t *testing.T) {
	d := describer{pkg: types.NewPackage("example.com/app", "app")}
	_, v := load(t, "type U struct { A netip.Addr; N *big.Int; U url.URL; Own Own }\ntype Own struct { b big.Int; mu sync.Mutex }\n"+
		"func (Own) MarshalText() ([]byte, error) { return nil, nil }\nfunc (*Own) UnmarshalText([]byte) error { return nil }\nvar v U")
	d.describe(v)
	want := `{.A "A" MarshalBinary net/netip.Addr;.N "N" *GobEncode math/big.Int;.U "U" url;` +
		`.Own "Own" MarshalText example.com/p.Own {b math/big.Int;mu sync.Mutex;};}`
	if got := d.text.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
