package conventions

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// publicPackages returns the packages that the programs of others can import, with their types.
func publicPackages(t *testing.T) []*packages.Package {
	t.Helper()
	config := &packages.Config{Mode: packages.NeedName | packages.NeedTypes, Dir: root}
	all, err := packages.Load(config, "work")
	if err != nil {
		t.Fatal(err)
	}
	var found []*packages.Package
	for _, p := range all {
		for _, e := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, e)
		}
		if dir := strings.TrimPrefix(p.PkgPath, module+"/"); p.Name != "main" && public(dir) {
			found = append(found, p)
		}
	}
	if len(found) < 15 {
		t.Fatalf("only %d packages were found", len(found))
	}
	return found
}

// hidden reports whether no documentation shows a type or method of a package.
func hidden(p *types.Package) bool {
	return p != nil && strings.HasPrefix(p.Path(), module+"/") && strings.Contains(p.Path()+"/", "/internal/")
}

// go doc lists the methods that a type declares, and those that it has from a type of the same
// package. Those of an embedded type of an internal package it does not show, and of an alias of
// an internal type it shows the name alone.
func TestDocumentationShowsEveryMethod(t *testing.T) {
	checked := 0
	for _, p := range publicPackages(t) {
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			object, ok := scope.Lookup(name).(*types.TypeName)
			if !ok || !object.Exported() {
				continue
			}
			at := p.PkgPath + "." + name
			if named, ok := types.Unalias(object.Type()).(*types.Named); ok && object.IsAlias() && hidden(named.Obj().Pkg()) {
				t.Errorf("%s is another name of %s, of which no documentation shows the methods", at, named)
				continue
			}
			of := object.Type()
			if !types.IsInterface(of) {
				of = types.NewPointer(of)
			}
			for method := range types.NewMethodSet(of).Methods() {
				if f := method.Obj(); f.Exported() && hidden(f.Pkg()) {
					t.Errorf("%s has the method %s of an internal package: declare it", at, f.Name())
				}
				checked++
			}
		}
	}
	if checked < 300 {
		t.Errorf("only %d methods were found", checked)
	}
}

// Documentation shows the expression of a constant: of one that has another constant's value the
// reader learns the name of the other, which he cannot look up where it is internal.
func TestDocumentationShowsTheValueOfEveryConstant(t *testing.T) {
	files, positions := sources(t)
	for _, file := range files {
		if !public(file.dir()) || strings.HasSuffix(file.name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok || general.Tok != token.CONST {
				continue
			}
			for _, s := range general.Specs {
				spec := s.(*ast.ValueSpec)
				for i, value := range spec.Values {
					of, ok := value.(*ast.SelectorExpr)
					if path := importedBy(file, of); ok && spec.Names[i].IsExported() && strings.Contains(path+"/", "/internal/") {
						t.Errorf("%s: %s has a value of the internal package %s", positions.Position(spec.Pos()), spec.Names[i].Name, path)
					}
				}
			}
		}
	}
}

// What a public package exports is said in types that the reader can look up, but for what only
// generated code calls: package gen, and methods that have Untyped in their names.
func TestDocumentationNamesNoTypeThatItDoesNotShow(t *testing.T) {
	for _, p := range publicPackages(t) {
		if strings.HasSuffix(p.PkgPath, "runtime/gen") {
			continue
		}
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			object := scope.Lookup(name)
			if !object.Exported() {
				continue
			}
			mentions(p.PkgPath+"."+name, object.Type(), true, func(where string, of *types.Named) {
				if hidden(of.Obj().Pkg()) && !strings.Contains(where, "Untyped") {
					t.Errorf("%s names %s, which no documentation shows", where, of)
				}
			})
		}
	}
}

// mentions calls found with each named type that a reader of the documentation of a type meets:
// in its methods and exported fields if it is declared there, otherwise the type itself.
func mentions(where string, of types.Type, declared bool, found func(where string, of *types.Named)) {
	each := func(t *types.Tuple) {
		for v := range t.Variables() {
			mentions(where, v.Type(), false, found)
		}
	}
	switch of := of.(type) {
	case *types.Alias:
		mentions(where, types.Unalias(of), declared, found)
	case *types.Named:
		found(where, of)
		for argument := range of.TypeArgs().Types() {
			mentions(where, argument, false, found)
		}
		if !declared {
			return
		}
		for method := range of.Methods() {
			if method.Exported() {
				mentions(where+"."+method.Name(), method.Type(), false, found)
			}
		}
		mentions(where, of.Underlying(), true, found)
	case *types.Struct:
		for field := range of.Fields() {
			if field.Exported() {
				mentions(where+"."+field.Name(), field.Type(), false, found)
			}
		}
	case *types.Interface:
		for method := range of.Methods() {
			if method.Exported() {
				mentions(where+"."+method.Name(), method.Type(), false, found)
			}
		}
	case *types.Signature:
		each(of.Params())
		each(of.Results())
	case *types.Map:
		mentions(where, of.Key(), false, found)
		mentions(where, of.Elem(), false, found)
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		mentions(where, of.Elem(), false, found)
	}
}
