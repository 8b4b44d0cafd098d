package directive

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// The command's documentation is the reference of directives: it has them all.
func TestEveryVerbAndOptionIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../main.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	doc := file.Doc.Text()
	for verb := range verbs {
		if !strings.Contains(doc, "\t//cache:"+verb+" ") {
			t.Errorf("no line for //cache:%s", verb)
		}
	}
	for name, o := range options {
		entry := "\t" + name + "="
		if o.flag {
			entry = "\t" + name + " "
		}
		if !strings.Contains(doc, entry) {
			t.Errorf("no line for the option %s", name)
		}
	}
}
