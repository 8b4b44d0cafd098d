package directive

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// FuzzParse checks that no line of comment makes the parser panic, that everything
// it points at is on that line, and that whatever it reacts to is found by the
// quick look too.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"//cache:getorset user:{id} ttl=5m tag=team:{result.TeamID} shared",
		"//cache:delete F(id, \"a b\") tag=a // trailing",
		"//cache:set F(result.ID",
		"//cache:wrap Name \"ttl=5m\" `grace=1h`",
		"//cache:with \"\\x41\" \"unterminated",
		"// cache:getorset user:{id}",
		"//Cache: GetOrSet user:{id}",
		"//cache:expire ttl= =x ==",
		"/* cache:getorset\n cache:delete F(x) */",
		"//cache:\u00e9 \u2028 \xff",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, comment string, onType bool) {
		src := "package p\n\n" + comment + "\n"
		if onType {
			src += "type T struct{}\n"
		} else {
			src += "func F() {}\n"
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "p.go", src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || strings.Contains(comment, "line ") { // a //line comment moves positions
			return
		}
		list := &diag.List{}
		all, refused := Parse(fset, file, list)
		lines := strings.Split(src, "\n")
		within := func(pos token.Position) bool {
			return pos.Line > 2 && pos.Line <= len(lines) && pos.Column <= len(lines[pos.Line-1])+1
		}
		for _, d := range all {
			if _, ok := verbs[d.Verb]; !ok || d.Verb == With || (d.Func == nil) == (d.TypeSpec == nil) {
				t.Errorf("directive %+v", d)
			}
			for _, pos := range []token.Pos{d.Pos, d.VerbPos} {
				if !within(fset.Position(pos)) {
					t.Errorf("position %v of //cache:%s", fset.Position(pos), d.Verb)
				}
			}
			for _, a := range d.Args {
				for _, pos := range []token.Pos{a.Pos, a.ValuePos, a.TextPos()} {
					if !within(fset.Position(pos)) {
						t.Errorf("position %v of %q", fset.Position(pos), a.Text)
					}
				}
			}
		}
		if len(refused) > list.Len() {
			t.Errorf("%d functions are refused with %d problems", len(refused), list.Len())
		}
		for _, d := range list.All() {
			if !within(d.Pos) {
				t.Errorf("position %v of %q", d.Pos, d.Message)
			}
		}
		if (len(all) > 0 || list.Len() > 0) && !Mentions([]byte(src)) {
			t.Errorf("%q is not mentioned, but has %d directives and %d problems", comment, len(all), list.Len())
		}
	})
}
