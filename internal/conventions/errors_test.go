package conventions

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// public reports whether the programs of others can import the packages of a directory.
func public(dir string) bool {
	for _, part := range strings.Split(dir, "/") {
		switch part {
		case "internal", "cmd", "example", "generated_test", "bench", "sqltest":
			return false
		}
	}
	return true
}

// A variable of a package, and the file that declares it.
type variable struct {
	source
	*ast.Ident
	value ast.Expr
}

// variables returns the package-level variables that have a value, by directory and name.
func variables(files []source) map[string]variable {
	all := make(map[string]variable)
	for _, file := range files {
		if strings.HasSuffix(file.name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok || general.Tok != token.VAR {
				continue
			}
			for _, s := range general.Specs {
				spec := s.(*ast.ValueSpec)
				for i, value := range spec.Values {
					if len(spec.Values) == len(spec.Names) {
						all[file.dir()+"."+spec.Names[i].Name] = variable{file, spec.Names[i], value}
					}
				}
			}
		}
	}
	return all
}

// texts returns what the method Error of a type returns, if that is always the same, by directory
// and name of the type.
func texts(files []source) map[string]string {
	all := make(map[string]string)
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Error" || f.Body == nil || len(f.Body.List) != 1 {
				continue
			}
			of, ok := f.Recv.List[0].Type.(*ast.Ident)
			if !ok {
				continue
			}
			if returns, ok := f.Body.List[0].(*ast.ReturnStmt); ok && len(returns.Results) == 1 {
				if literal, ok := returns.Results[0].(*ast.BasicLit); ok {
					all[file.dir()+"."+of.Name], _ = strconv.Unquote(literal.Value)
				}
			}
		}
	}
	return all
}

// text returns what the error of a variable says, as far as it is known from the source: the
// variable may be that of another package of the repository. It is empty for what is no error.
func text(v variable, all map[string]variable, texts map[string]string) string {
	switch value := v.value.(type) {
	case *ast.CallExpr:
		f, ok := value.Fun.(*ast.SelectorExpr)
		if !ok || f.Sel.Name != "New" && f.Sel.Name != "Errorf" || len(value.Args) == 0 {
			return ""
		}
		if in, ok := f.X.(*ast.Ident); !ok || in.Name != "errors" && in.Name != "fmt" {
			return ""
		}
		literal, ok := value.Args[0].(*ast.BasicLit)
		if !ok {
			return ""
		}
		text, _ := strconv.Unquote(literal.Value)
		return text
	case *ast.CompositeLit:
		if of, ok := value.Type.(*ast.Ident); ok {
			return texts[v.dir()+"."+of.Name]
		}
	case *ast.SelectorExpr:
		if dir, ours := strings.CutPrefix(importedBy(v.source, value), module+"/"); ours {
			return text(all[dir+"."+value.Sel.Name], all, texts)
		}
	}
	return ""
}

// A program that logs an error sees where it comes from. A sentinel can be the beginning of a
// text, or all of it.
func TestSentinelErrorsNameTheProject(t *testing.T) {
	files, positions := sources(t)
	all, texts := variables(files), texts(files)
	found := 0
	for _, v := range all {
		if !public(v.dir()) || !v.IsExported() {
			continue
		}
		says := text(v, all, texts)
		if named := strings.HasPrefix(v.Name, "Err"); says == "" && !named {
			continue
		} else if !named {
			t.Errorf("%s: the name of %s does not begin with Err", positions.Position(v.Pos()), v.Name)
		}
		found++
		if !strings.HasPrefix(says, "cachegen: ") {
			t.Errorf("%s: %s says %q, and not what begins with cachegen:", positions.Position(v.Pos()), v.Name, says)
		}
	}
	if found < 10 {
		t.Errorf("only %d sentinels were found", found)
	}
}
