package conventions

import (
	"go/ast"
	"strings"
	"testing"
)

// Every constructor of a driver ends with one struct of options, also where most programs give
// none: an option that is added later changes no call, and who reads one call knows the others.
func TestConstructorsOfDriversTakeOneStructOfOptions(t *testing.T) {
	files, positions := sources(t)
	found := 0
	for _, file := range files {
		if !strings.HasPrefix(file.dir(), "drivers/") || !public(file.dir()) || strings.Contains(file.dir(), "drivertest") || strings.HasSuffix(file.name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || !strings.HasPrefix(f.Name.Name, "New") {
				continue
			}
			found++
			parameters := f.Type.Params.List
			of, ok := parameters[len(parameters)-1].Type.(*ast.Ident)
			if !ok || !strings.HasSuffix(of.Name, "Options") {
				t.Errorf("%s: the last parameter of %s is not a struct of options", positions.Position(f.Pos()), f.Name.Name)
			}
		}
	}
	if found < 12 {
		t.Errorf("only %d constructors were found", found)
	}
}
