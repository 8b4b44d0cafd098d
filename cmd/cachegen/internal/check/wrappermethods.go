package check

import (
	"go/ast"
	"go/token"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// methodsOf returns the methods of a type of that name which the sources declare, and
// where. Of a wrapper, no type says so: that is yet to be generated.
func (p *pack) methodsOf(typ string) map[string]token.Pos {
	found := map[string]token.Pos{}
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || len(f.Recv.List) != 1 {
				continue
			}
			if of := receiverName(f.Recv.List[0].Type); of == typ {
				found[f.Name.Name] = f.Name.Pos()
			}
		}
	}
	return found
}

// receiverName is the name of a receiver's type.
func receiverName(t ast.Expr) string {
	switch t := ast.Unparen(t).(type) {
	case *ast.StarExpr:
		return receiverName(t.X)
	case *ast.IndexExpr:
		return receiverName(t.X)
	case *ast.IndexListExpr:
		return receiverName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// dropsIn reports whether the wrapper may have a method in place of f, which it wraps.
func (p *pack) dropsIn(w *wrapped, f *function) bool {
	at, declared := w.own[f.name()]
	if !declared {
		return true
	}
	p.addf(f.decl.Name.Pos(), diag.Name, "%s has a method %s of its own, and gets one for %s", w.names.typ, f.name(), f.label()).
		Relatedf(p.position(at), "%s", f.name()).
		Hintf("rename it, or leave the directive out")
	return false
}
