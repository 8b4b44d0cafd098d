package facts

import (
	"go/ast"
	"go/token"
	"strings"
)

// Deprecated is the paragraph of f's comment that says so, empty if there is none.
func (f *Function) Deprecated() string { return deprecated(f.Decl.Doc) }

// Deprecated is the paragraph of the comment of w's type that says so, empty if there is none.
func (w *Wrapper) Deprecated(in *Package) string {
	for _, decl := range in.typeDeclarations() {
		for _, spec := range decl.Specs {
			t, ok := spec.(*ast.TypeSpec)
			if !ok || t.Name.Pos() != w.Object.Pos() {
				continue
			}
			if text := deprecated(t.Doc); text != "" || decl.Lparen.IsValid() {
				return text
			}
			return deprecated(decl.Doc)
		}
	}
	return ""
}

// typeDeclarations are those of types in p.
func (p *Package) typeDeclarations() (list []*ast.GenDecl) {
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				list = append(list, d)
			}
		}
	}
	return list
}

// deprecated finds the paragraph by the convention of https://go.dev/wiki/Deprecated.
func deprecated(doc *ast.CommentGroup) string {
	for paragraph := range strings.SplitSeq(doc.Text(), "\n\n") {
		if text := strings.TrimSpace(paragraph); strings.HasPrefix(text, "Deprecated: ") {
			return text
		}
	}
	return ""
}

// ResultNames are the names that the source gives to f's results, the error last; none unless each
// has one.
func (f *Function) ResultNames() []string {
	var names []string
	for v := range f.Signature.Results().Variables() {
		if v.Name() == "" || v.Name() == "_" {
			return nil
		}
		names = append(names, v.Name())
	}
	return names
}
