package gotype_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
)

const source = `package p

import "context"

type (
	Context = context.Context
	Own     struct{}
	Pair[A any] struct{ a A }
)

func (Own) MarshalText() ([]byte, error) { return nil, nil }

type Repo[T any] struct {
	text      string
	pointer   *Own
	aliased   Context
	err       error
	anything  any
	parameter T
	inside    map[string]Pair[T]
	function  func(T) error
	missing   Missing
	nested    []chan Missing
}
`

func fields(t *testing.T) map[string]types.Type {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importer.Default(), Error: func(error) {}}
	pkg, _ := config.Check("p", fset, []*ast.File{file}, nil)
	found := map[string]types.Type{}
	for f := range pkg.Scope().Lookup("Repo").Type().Underlying().(*types.Struct).Fields() {
		found[f.Name()] = f.Type()
	}
	return found
}

// Aliases and type arguments hide nothing, and what named types are made of does not count.
func TestPredicates(t *testing.T) {
	fields := fields(t)
	for _, test := range []struct {
		name string
		ask  func(types.Type) bool
		yes  []string
	}{
		{"IsContext", gotype.IsContext, []string{"aliased"}},
		{"IsError", gotype.IsError, []string{"err"}},
		{"IsPointer", gotype.IsPointer, []string{"pointer"}},
		{"Generic", gotype.Generic, []string{"parameter", "inside", "function"}},
		{"Invalid", gotype.Invalid, []string{"missing", "nested"}},
		{"CanBeNil", gotype.CanBeNil, []string{"pointer", "aliased", "err", "anything", "inside", "function", "nested"}},
	} {
		want := map[string]bool{}
		for _, name := range test.yes {
			want[name] = true
		}
		for name, typ := range fields {
			if got := test.ask(typ); got != want[name] {
				t.Errorf("%s of %s %s is %t", test.name, name, typ, got)
			}
		}
	}
}

func TestNamedLooksBehindOnePointer(t *testing.T) {
	fields := fields(t)
	for name, want := range map[string]string{"pointer": "Own", "aliased": "Context", "err": "error", "text": "", "inside": ""} {
		got := ""
		if n := gotype.Named(fields[name]); n != nil {
			got = n.Obj().Name()
		}
		if got != want {
			t.Errorf("Named(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestHasMethodComparesTheSignature(t *testing.T) {
	own := fields(t)["pointer"]
	bytes, err := types.NewSlice(types.Typ[types.Byte]), types.Universe.Lookup("error").Type()
	if !gotype.HasMethod(own, "MarshalText", nil, []types.Type{bytes, err}) {
		t.Error("*Own has no MarshalText() ([]byte, error)")
	}
	if gotype.HasMethod(own, "MarshalText", nil, []types.Type{bytes}) || gotype.HasMethod(own, "UnmarshalText", nil, nil) {
		t.Error("*Own has a method that it does not have")
	}
}
